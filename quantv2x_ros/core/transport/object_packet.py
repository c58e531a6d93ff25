# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The packet with objects that a station has found alone; docs/packet.md has it to the bit.

It needs no common codebook: stations with different models understand each other's objects. What is
received is an attack until it has been checked.
"""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.packed_pose import POSE_BYTES, PoseSpread, pack_pose, unpack_pose
from quantv2x_ros.core.geometry.pose import Matrix, PoseError
from quantv2x_ros.core.transport.packet import (
    END_OF_TIME,
    HEADERS,
    OBJECTS,
    Packet,
    PacketError,
    content_end,
    station_of,
    unpack,
)
from quantv2x_ros.core.transport.packet_sizes import GEONETWORKING_UNIT, SIGNATURE_BYTES
from quantv2x_ros.core.transport.packet_tiles import SweepSource

_SENDER = struct.Struct("<BIIq")
_SPREAD_AT = _SENDER.size + POSE_BYTES
_FRAME_AT = _SPREAD_AT + 4
_PART_AT = _FRAME_AT + 8
_CRC = struct.Struct("<I")
#: Bytes of the header, and of an object.
HEADER_BYTES = HEADERS[OBJECTS]
OBJECT_BYTES = 16
#: Objects that a sweep may have more than the one before without waiting.
MORE_OBJECTS = 3
#: Most packets of a sweep's objects.
MAX_PARTS = 16
#: Objects of a packet: with its signature it fits one frame.
MOST_OBJECTS = (GEONETWORKING_UNIT - HEADER_BYTES - max(SIGNATURE_BYTES.values())) // OBJECT_BYTES
#: In the account of what a station sent before, packets with objects come behind all tiles.
FIRST_NUMBER = 1024

#: Classes by the number of their kind: `TrafficParticipantType` of ETSI TS 102 894-2, as far as
#: bundles have classes for them.
CLASS_KINDS = {"pedestrian": 1, "vehicle": 5, "truck": 8}
#: The class of each kind that a station may send: riders are people, buses and trailers trucks.
_KIND_CLASSES = {
    1: "pedestrian",
    2: "pedestrian",
    3: "pedestrian",
    4: "pedestrian",
    5: "vehicle",
    6: "truck",
    7: "truck",
    8: "truck",
    9: "truck",
}
#: Steps of places and edges [m], of the velocity [m/s].
_PLACE, _EDGE, _SPEED = 0.01, 0.01, 0.05
#: Steps of a heading in a turn.
_HEADINGS = 4096
#: Bits of length, width and height.
_EDGE_BITS = (12, 10, 10)
#: In the place of a velocity that is not known.
_NO_SPEED = -2048


def map_id(map_frame: str) -> int:
    """Return the id of a map frame, 64 bits: the first of the SHA-256 of its name (UTF-8)."""
    return int.from_bytes(hashlib.sha256(map_frame.encode()).digest()[:8], "little")


@dataclass(frozen=True, eq=False)
class SentObjects:
    """Objects as they go over the air, the best first.

    Attributes:
        kinds: (N,) uint8, see `CLASS_KINDS`.
        boxes: (N, 7) float32 in the sender's frame: x, y, z, length, width, height [m], yaw [rad].
        velocities: (N, 2) over ground in the axes of that frame, m/s; NaN where it is not known.
        scores: (N,) float32, 0 to 1.
    """

    kinds: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.float32]
    velocities: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float32]

    @classmethod
    def of(
        cls, found: Detections, velocities: npt.NDArray[np.float64], classes: Sequence[str]
    ) -> SentObjects:
        """Return detections of a bundle's classes; those of classes without a kind are left out.

        Args:
            found: in the sender's frame, the best first.
            velocities: (N, 2), m/s.
            classes: names by label, from label 1 on.
        """
        kinds = np.array([0, *(CLASS_KINDS.get(name, 0) for name in classes)], np.uint8)
        of_each = kinds[found.labels]
        kept = of_each > 0
        return cls(of_each[kept], found.boxes[kept], velocities[kept], found.scores[kept])

    def detections(self, classes: Sequence[str]) -> tuple[Detections, npt.NDArray[np.float64]]:
        """Return them in a bundle's classes, with their velocities (N, 2), NaN where unknown.

        Kinds that the bundle has no class for are left out.

        Args:
            classes: names by label, from label 1 on.
        """
        labels = {name: number for number, name in enumerate(classes, 1)}
        table = np.zeros(256, np.int32)
        for kind, name in _KIND_CLASSES.items():
            table[kind] = labels.get(name, 0)
        of_each = table[self.kinds]
        kept = of_each > 0
        found = Detections(self.boxes[kept], self.scores[kept], of_each[kept])
        return found, self.velocities[kept]

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.kinds)

    def part(self, start: int, stop: int) -> SentObjects:
        """Return those from one number up to another."""
        which = slice(start, stop)
        return SentObjects(
            self.kinds[which], self.boxes[which], self.velocities[which], self.scores[which]
        )

    def pack(self) -> bytes:
        """Return `OBJECT_BYTES` for each object; what is out of a field's range is clipped."""
        boxes = self.boxes.astype(np.float64, order="C")
        places = np.clip(np.rint(boxes[:, :3] / _PLACE), -(2**15), 2**15 - 1).astype("<i2")
        edges = np.clip(np.rint(boxes[:, 3:6] / _EDGE), 1, np.exp2(_EDGE_BITS) - 1).astype("<u4")
        sizes = edges[:, 0] | edges[:, 1] << 12 | edges[:, 2] << 22
        headings = np.rint(boxes[:, 6] / (2 * np.pi) * _HEADINGS).astype(np.int64) % _HEADINGS
        turned = (self.kinds.astype(np.uint16) << 12 | headings.astype(np.uint16)).astype("<u2")
        steps = np.clip(np.rint(self.velocities / _SPEED), _NO_SPEED + 1, -_NO_SPEED - 1)
        known = np.isfinite(self.velocities).all(axis=1, keepdims=True)
        steps = np.where(known, steps, _NO_SPEED)
        speeds = steps.astype(np.int64) & 0xFFF
        speed = (speeds[:, 0] | speeds[:, 1] << 12).astype("<u4")
        scores = np.clip(np.rint(255 * self.scores), 0, 255).astype(np.uint8)
        columns = (
            places.view(np.uint8).reshape(-1, 6),
            sizes.astype("<u4").view(np.uint8).reshape(-1, 4),
            turned.view(np.uint8).reshape(-1, 2),
            speed.view(np.uint8).reshape(-1, 4)[:, :3],
            scores.reshape(-1, 1),
        )
        return np.concatenate(columns, axis=1).tobytes()

    @classmethod
    def unpack(cls, data: bytes) -> SentObjects:
        """Read what `pack` wrote; the number of bytes must have been checked."""
        rows = np.frombuffer(data, np.uint8).reshape(-1, OBJECT_BYTES)
        places = np.ascontiguousarray(rows[:, :6]).view("<i2").reshape(-1, 3) * _PLACE
        sizes = np.ascontiguousarray(rows[:, 6:10]).view("<u4").reshape(-1)
        edges = np.stack([sizes & 0xFFF, sizes >> 12 & 0x3FF, sizes >> 22], axis=1) * _EDGE
        turned = np.ascontiguousarray(rows[:, 10:12]).view("<u2").reshape(-1)
        yaw = (turned & 0xFFF) * (2 * np.pi / _HEADINGS)
        yaw = np.where(yaw > np.pi, yaw - 2 * np.pi, yaw)
        low, middle, high = rows[:, 12:15].astype(np.int64).T
        word = low | middle << 8 | high << 16
        steps = np.stack([word & 0xFFF, word >> 12], axis=1)
        steps = np.where(steps >= 2048, steps - 4096, steps)
        unknown = (steps == _NO_SPEED).any(axis=1)
        velocities = np.where(unknown[:, None], np.nan, steps * _SPEED)
        boxes = np.concatenate([places, edges, yaw[:, None]], axis=1).astype(np.float32)
        scores = (rows[:, 15] / np.float32(255)).astype(np.float32)
        return cls((turned >> 12).astype(np.uint8), boxes, velocities, scores)


@dataclass(frozen=True, eq=False)
class ObjectPacket:
    """Some or all of the objects that a station found in one of its sweeps.

    Attributes:
        station_id: ETSI StationID of the sender, 32 bits.
        sequence: number of the sweep, 32 bits.
        stamp_ns: time of the sweep, nanoseconds.
        pose: (4, 4) from the frame of the boxes to the map, metres.
        spread: how uncertain the pose is.
        map_id: see `map_id`.
        part: number of the packet among those of the sweep, from 0 on; less than `MAX_PARTS`.
        objects: what was found.
        signature_kind: a key of `SIGNATURE_BYTES`.
    """

    station_id: int
    sequence: int
    stamp_ns: int
    pose: Matrix
    spread: PoseSpread
    map_id: int
    part: int
    objects: SentObjects
    signature_kind: int = 0

    @property
    def covariance(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """The pose's covariance, (36,), as ROS has it; zeros where it is not known."""
        return self.spread.covariance

    @property
    def number(self) -> int:
        """What tells it from the other packets of its sweep."""
        return FIRST_NUMBER + self.part

    @property
    def size(self) -> int:
        """Bytes of the packet with its signature."""
        objects = OBJECT_BYTES * len(self.objects)
        return HEADER_BYTES + objects + SIGNATURE_BYTES[self.signature_kind]

    def content(self) -> bytes:
        """Return all bytes of the packet but its signature: what is signed.

        Raises:
            PacketError: naming a value that the packet cannot hold.
        """
        self._check_values()
        try:
            kinds = OBJECTS << 4 | self.signature_kind
            head = b"".join(
                (
                    _SENDER.pack(kinds, self.station_id, self.sequence, self.stamp_ns),
                    pack_pose(self.pose),
                    self.spread.pack(),
                    self.map_id.to_bytes(8, "little"),
                    bytes((self.part, 0)),
                )
            )
        except PoseError as error:
            raise PacketError("pose", f"packet of station {self.station_id}: {error}") from error
        except (struct.error, OverflowError) as error:
            text = f"packet of station {self.station_id}: {error}"
            raise PacketError("malformed", text) from error
        payload = self.objects.pack()
        return b"".join((head, _CRC.pack(zlib.crc32(payload, zlib.crc32(head))), payload))

    @classmethod
    def unpack(cls, data: bytes) -> ObjectPacket:
        """Read a packet.

        Args:
            data: header, objects and signature.

        Raises:
            PacketError: ``malformed`` for bytes that are none, ``crc`` for damaged ones, ``pose``
                or ``objects`` for a pose or objects that cannot be.
        """
        end = content_end(data, OBJECTS)
        station = station_of(data)
        objects = end - HEADER_BYTES
        if data[0] & 12 or objects % OBJECT_BYTES or objects > MOST_OBJECTS * OBJECT_BYTES:
            raise PacketError(
                "malformed",
                f"{objects} bytes of objects from station {station}; allowed are {OBJECT_BYTES} "
                f"for each of up to {MOST_OBJECTS}",
            )
        first, _, sequence, stamp_ns = _SENDER.unpack_from(data)
        try:
            pose = unpack_pose(data[_SENDER.size : _SPREAD_AT])
        except PoseError as error:
            raise PacketError("pose", f"packet of station {station}: {error}") from error
        packet = cls(
            station_id=station,
            sequence=sequence,
            stamp_ns=stamp_ns,
            pose=pose,
            spread=PoseSpread.unpack(data[_SPREAD_AT:_FRAME_AT]),
            map_id=int.from_bytes(data[_FRAME_AT:_PART_AT], "little"),
            part=data[_PART_AT],
            objects=SentObjects.unpack(data[HEADER_BYTES:end]),
            signature_kind=first & 3,
        )
        packet._check_values()
        return packet

    def _check_values(self) -> None:
        if not 0 <= self.stamp_ns < END_OF_TIME:
            raise PacketError(
                "malformed",
                f"station {self.station_id}: its time is {self.stamp_ns} ns, allowed are 0 to "
                f"{END_OF_TIME - 1}",
            )
        if not 0 <= self.part < MAX_PARTS:
            raise PacketError(
                "malformed",
                f"station {self.station_id}: packet {self.part} with objects; allowed are 0 to "
                f"{MAX_PARTS - 1}",
            )
        if not (self.objects.boxes[:, 3:6] > 0).all():
            raise PacketError("objects", f"station {self.station_id}: an object without extent")
        if len(self.objects) > MOST_OBJECTS or self.signature_kind not in SIGNATURE_BYTES:
            raise PacketError(
                "malformed",
                f"station {self.station_id}: {len(self.objects)} objects with signature "
                f"{self.signature_kind}; allowed are {MOST_OBJECTS} and {list(SIGNATURE_BYTES)}",
            )


def affordable_objects(budget: int, signature_bytes: int) -> int:
    """Return how many objects at most the packets carry that take no more bytes.

    Args:
        budget: of all packets, bytes.
        signature_bytes: of each packet's signature.
    """
    frame = HEADER_BYTES + signature_bytes
    whole, rest = divmod(max(0, budget), frame + MOST_OBJECTS * OBJECT_BYTES)
    most = whole * MOST_OBJECTS + max(0, (rest - frame) // OBJECT_BYTES)
    return min(most, MAX_PARTS * MOST_OBJECTS)


def reserved_sizes(sizes: Sequence[int]) -> list[int]:
    """Return what to keep free for the next sweep's packets with objects, bytes.

    It is somewhat more than the newest sweep's packets took: a law leaves nothing over, so that
    each further object would wait for the next sweep.

    Args:
        sizes: of those packets, bytes.
    """
    return [*sizes[:-1], sizes[-1] + OBJECT_BYTES * MORE_OBJECTS] if sizes else []


def object_packets(
    source: SweepSource,
    objects: SentObjects,
    frame: int,
    signature_kind: int = 0,
    budget: int | None = None,
) -> list[ObjectPacket]:
    """Return the packets of a sweep's objects, the best first; one at least.

    Args:
        source: who took the sweep, when and where.
        objects: what was found in it, the best first.
        frame: see `map_id`.
        signature_kind: how the packets will be signed.
        budget: most bytes of all packets; the objects that are left out are the worst. None for
            any number.
    """
    signature = SIGNATURE_BYTES[signature_kind]
    most = MAX_PARTS * MOST_OBJECTS
    if budget is not None:
        most = affordable_objects(budget, signature)
    sent = objects.part(0, most)
    parts = max(1, math.ceil(len(sent) / MOST_OBJECTS))
    return [
        ObjectPacket(
            station_id=source.station_id,
            sequence=source.sequence,
            stamp_ns=source.stamp_ns,
            pose=source.pose,
            spread=source.spread,
            map_id=frame,
            part=part,
            objects=sent.part(MOST_OBJECTS * part, MOST_OBJECTS * (part + 1)),
            signature_kind=signature_kind,
        )
        for part in range(parts)
    ]


AnyPacket = Packet | ObjectPacket


def read_packet(data: bytes | bytearray | memoryview) -> AnyPacket:
    """Read a packet of a sweep, of whatever kind it is.

    Raises:
        PacketError: see `unpack` and `ObjectPacket.unpack`.
    """
    data = bytes(data)
    if data[:1] and data[0] >> 4 == OBJECTS:
        return ObjectPacket.unpack(data)
    return unpack(data)
