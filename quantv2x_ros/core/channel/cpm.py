# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How many bytes boxes take in collective perception messages (ETSI TS 103 324).

Thandavarayan, Sepulcre and Gozalvez (Generation of Cooperative Perception Messages for Connected
and Automated Vehicles, IEEE Transactions on Vehicular Technology 69, 2020) count 121 bytes for
header, management and station data, 35 for a sensor, and 35 for each object with its position,
velocity, size, heading and class, each with its confidence. A signature comes on top, as to a
packet with features.
"""

from __future__ import annotations

from quantv2x_ros.core.transport.packet_sizes import FIELD_BYTES, GEONETWORKING_UNIT, HEADER_BYTES

#: Header, management and station data, one sensor, the signature.
FRAME_BYTES = 121 + 35 + FIELD_BYTES - HEADER_BYTES
#: An object.
OBJECT_BYTES = 35
#: Objects of a message: it fits one frame.
MOST_OBJECTS = (GEONETWORKING_UNIT - FRAME_BYTES) // OBJECT_BYTES


def cpm_sizes(objects: int) -> list[int]:
    """Return the sizes of the messages that carry so many objects, bytes; one at least."""
    counts = [
        min(MOST_OBJECTS, objects - first) for first in range(0, max(objects, 1), MOST_OBJECTS)
    ]
    return [FRAME_BYTES + OBJECT_BYTES * count for count in counts]


def affordable_objects(budget: int) -> int:
    """Return how many objects at most the messages carry that take no more bytes."""
    whole, rest = divmod(budget, FRAME_BYTES + MOST_OBJECTS * OBJECT_BYTES)
    return whole * MOST_OBJECTS + max(0, (rest - FRAME_BYTES) // OBJECT_BYTES)
