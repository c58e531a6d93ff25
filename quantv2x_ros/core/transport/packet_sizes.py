# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How many bytes a packet and its parts may have."""

from __future__ import annotations

#: Bytes of a signature by the number of its kind: none, Ed25519, ECDSA with P-256 and SHA-256.
SIGNATURE_BYTES = {0: 0, 1: 64, 2: 64}
#: Bytes of a packet's header, and of all that a signed packet has beside its payload.
HEADER_BYTES = 64
FIELD_BYTES = HEADER_BYTES + max(SIGNATURE_BYTES.values())
#: Largest packet that GeoNetworking carries in one frame, bytes.
GEONETWORKING_UNIT = 1398
#: Largest packet, bytes: what a UDP datagram holds (IPv4).
MAX_PACKET_BYTES = 65507
