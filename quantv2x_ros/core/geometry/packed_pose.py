# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A pose and its uncertainty in the 21 bytes that a packet has for them; see docs/packet.md."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.pose import (
    MAX_COORDINATE,
    Matrix,
    PoseError,
    check_pose,
    matrix_from_quaternion,
    quaternion_from_matrix,
)

#: Steps of x and y, and of z, metres.
GROUND_STEP, HEIGHT_STEP = 0.005, 0.001
#: Largest |z|, metres.
MAX_HEIGHT = HEIGHT_STEP * (2**23 - 1)
#: Steps from 0 to the largest value of a quaternion's three smaller components, 1 / sqrt(2).
_TURN_STEPS = 2**14 - 1
_TURN_BITS = 15
#: First standard deviation, and ratio of one to the next: of a position [m], and a heading [rad].
_POSITION_SCALE, _HEADING_SCALE = (1e-3, 1.05), (1e-4, 1.04)
#: Steps of the direction of the ellipse's long axis in half a turn.
_DIRECTION_STEPS = 256
#: Bytes of a pose, and of its uncertainty.
POSE_BYTES, SPREAD_BYTES = 17, 4
#: Least that rounding up must be above to count, in steps.
_ROUNDING = 1e-9


def pack_pose(pose: npt.ArrayLike) -> bytes:
    """Return a pose in `POSE_BYTES` bytes.

    Args:
        pose: (4, 4) sensor-to-map, metres.

    Raises:
        PoseError: for what is no finite rigid transform, or lies out of reach.
    """
    matrix = check_pose(pose)
    x, y, z = (float(value) for value in matrix[:3, 3])
    if abs(z) > MAX_HEIGHT:
        raise PoseError(f"pose: its height is {z:.6g} m, a packet holds up to {MAX_HEIGHT:g} m")
    place = struct.pack("<ii", round(x / GROUND_STEP), round(y / GROUND_STEP))
    height = round(z / HEIGHT_STEP).to_bytes(3, "little", signed=True)
    return place + height + _pack_turn(quaternion_from_matrix(matrix))


def unpack_pose(packed: bytes) -> Matrix:
    """Return the (4, 4) sensor-to-map of `pack_pose`: within 3 mm and 0.01 degrees.

    Raises:
        PoseError: for bytes that are no pose.
    """
    x, y = struct.unpack_from("<ii", packed)
    z = int.from_bytes(packed[8:11], "little", signed=True)
    place = (GROUND_STEP * x, GROUND_STEP * y, HEIGHT_STEP * z)
    if max(abs(place[0]), abs(place[1])) > MAX_COORDINATE:
        raise PoseError(f"pose: is further than {MAX_COORDINATE:.0e} m from the map's origin")
    return matrix_from_quaternion(place, _unpack_turn(int.from_bytes(packed[11:17], "little")))


def sent_pose(pose: npt.ArrayLike) -> Matrix:
    """Return a pose as receivers get it; see `pack_pose` and `unpack_pose`."""
    return unpack_pose(pack_pose(pose))


def _pack_turn(quaternion: npt.NDArray[np.float64]) -> bytes:
    """Pack the three smaller components of x, y, z, w; the largest follows from them."""
    largest = int(np.argmax(np.abs(quaternion)))
    turn = quaternion * math.copysign(1.0, quaternion[largest])
    word = 0
    for place, value in enumerate(np.delete(turn, largest)):
        step = round(float(value) * math.sqrt(2) * _TURN_STEPS)
        step = min(max(step, -_TURN_STEPS), _TURN_STEPS)
        word |= (step + _TURN_STEPS) << (_TURN_BITS * place)
    return (word | largest << 3 * _TURN_BITS).to_bytes(6, "little")


def _unpack_turn(word: int) -> list[float]:
    largest = word >> 3 * _TURN_BITS
    steps = [word >> (_TURN_BITS * place) & 2**_TURN_BITS - 1 for place in range(3)]
    others = [(step - _TURN_STEPS) / (math.sqrt(2) * _TURN_STEPS) for step in steps]
    rest = 1.0 - sum(value * value for value in others)
    if largest > 3 or max(steps) > 2 * _TURN_STEPS or rest < 0:
        raise PoseError(f"pose: {word:012x} is no orientation")
    others.insert(largest, math.sqrt(rest))
    return others


@dataclass(frozen=True)
class PoseSpread:
    """Standard deviations of a pose on the ground; all 0 where they are not known.

    Attributes:
        major: along the long axis of the ellipse of the position, metres.
        minor: along its short axis, metres.
        direction: of the long axis, from x of the map to y, radians.
        heading: of the heading, radians.
    """

    major: float = 0.0
    minor: float = 0.0
    direction: float = 0.0
    heading: float = 0.0

    @classmethod
    def of(cls, covariance: npt.ArrayLike) -> PoseSpread:
        """Return that of a covariance.

        Args:
            covariance: 36 numbers, row-major over x, y, z [m], rotations about x, y, z [rad].

        Raises:
            PoseError: for numbers that are no covariance of x, y and heading.
        """
        matrix = np.asarray(covariance, dtype=np.float64).reshape(6, 6)
        if not np.isfinite(matrix).all():
            raise PoseError("pose: its covariance is not finite")
        (low, high), axes = np.linalg.eigh((matrix[:2, :2] + matrix[:2, :2].T) / 2)
        heading = float(matrix[5, 5])
        if low < -1e-9 * max(1.0, high) or heading < 0:
            raise PoseError("pose: its covariance is not one of x, y and heading")
        return cls(
            math.sqrt(max(high, 0.0)),
            math.sqrt(max(low, 0.0)),
            math.atan2(axes[1, 1], axes[0, 1]) % math.pi,
            math.sqrt(heading),
        )

    @property
    def covariance(self) -> npt.NDArray[np.float64]:
        """The covariance, (36,): of x, y and heading; 0 for the rest, which is not told."""
        matrix = np.zeros((6, 6))
        long, short = self.major**2, self.minor**2
        c, s = math.cos(self.direction), math.sin(self.direction)
        matrix[0, 0], matrix[1, 1] = c * c * long + s * s * short, s * s * long + c * c * short
        matrix[0, 1] = matrix[1, 0] = c * s * (long - short)
        matrix[5, 5] = self.heading**2
        return matrix.ravel()

    def pack(self) -> bytes:
        """Return `SPREAD_BYTES` bytes; a deviation is rounded up, by 5 % at most."""
        turn = round(self.direction % math.pi / math.pi * _DIRECTION_STEPS) % _DIRECTION_STEPS
        return bytes(
            (
                _pack_deviation(self.major, *_POSITION_SCALE),
                _pack_deviation(self.minor, *_POSITION_SCALE),
                turn,
                _pack_deviation(self.heading, *_HEADING_SCALE),
            )
        )

    @classmethod
    def unpack(cls, packed: bytes) -> PoseSpread:
        """Return that of `pack`'s bytes; any four bytes are one."""
        return cls(
            _unpack_deviation(packed[0], *_POSITION_SCALE),
            _unpack_deviation(packed[1], *_POSITION_SCALE),
            packed[2] * math.pi / _DIRECTION_STEPS,
            _unpack_deviation(packed[3], *_HEADING_SCALE),
        )


def _pack_deviation(value: float, first: float, ratio: float) -> int:
    """Return the number of the least step that is not less; 255 for the last one and beyond."""
    if value == 0:
        return 0
    steps = math.log(max(value, first) / first) / math.log(ratio)
    return 1 + min(254, math.ceil(steps - _ROUNDING))


def _unpack_deviation(step: int, first: float, ratio: float) -> float:
    return first * ratio ** (step - 1) if step else 0.0
