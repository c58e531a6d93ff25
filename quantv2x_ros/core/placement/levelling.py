# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An agent's clouds levelled by their own ground plane, as the network knows ground: flat, below.

On a road that climbs, and under a sensor that is mounted with a tilt, cars leave the grid's range
in z, and what is learnt of heights above the ground does not hold. A levelled frame has its z axis
along the ground's normal, the sensor's heading, and its origin above or below the sensor; its pose
is sent as a turned grid's is (`core.transport.grid_turn`), so that receivers need not know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.boxes import transform_boxes
from quantv2x_ros.core.geometry.points import moved_points
from quantv2x_ros.core.geometry.pose import invert
from quantv2x_ros.core.placement.ground_plane import GroundPlane, fit_ground, rotation_to_vertical

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

#: What a levelled frame is called behind the name of its LiDAR's.
LEVEL_SUFFIX = "_level"
#: Heights of sensors above the ground that a network knows, where its bundle does not say [m].
SENSOR_HEIGHTS = (1.9, 1.9)
#: A cloud is shifted no further than this, metres.
MAX_SHIFT = 3.5
#: A plane that differs by more than this from those before is another ground, or a mistake:
#: radians, metres.
JUMP_TILT, JUMP_HEIGHT = np.radians(1.5), 0.3
#: Time in which the frame follows a ground that changes, and for which it holds one that is not
#: seen, seconds.
TIME_CONSTANT, MEMORY = 0.3, 1.0


@dataclass(frozen=True, eq=False)
class SensorGround:
    """A ground plane in the sensor's frame.

    Attributes:
        normal: (3,) unit vector, up.
        height: height of the sensor above the plane, metres.
    """

    normal: Float64
    height: float

    @classmethod
    def of(cls, plane: GroundPlane) -> SensorGround:
        """Return the ground of a fitted plane."""
        return cls(plane.normal, plane.height)

    @property
    def tilt(self) -> float:
        """Angle between the normal and the sensor's z axis, radians."""
        return float(np.arccos(np.clip(self.normal[2], -1.0, 1.0)))

    def differs(self, other: SensorGround) -> bool:
        """Tell whether another one is further from this than one sweep can make it."""
        angle = np.arccos(np.clip(self.normal @ other.normal, -1.0, 1.0))
        return bool(angle > JUMP_TILT or abs(self.height - other.height) > JUMP_HEIGHT)

    def towards(self, other: SensorGround, share: float) -> SensorGround:
        """Return the plane so far on the way to another one, 0 to 1."""
        normal = (1.0 - share) * self.normal + share * other.normal
        height = (1.0 - share) * self.height + share * other.height
        return SensorGround(normal / np.linalg.norm(normal), height)

    def level(self, heights: tuple[float, float]) -> Float64:
        """Return the (4, 4) transform from the sensor's frame to the levelled one.

        Args:
            heights: the range that the sensor's height above the ground is brought into, metres.
        """
        level = np.eye(4)
        level[:3, :3] = rotation_to_vertical(self.normal)
        wanted = float(np.clip(self.height, *heights))
        level[2, 3] = np.clip(self.height - wanted, -MAX_SHIFT, MAX_SHIFT)
        return level


class Levelling:
    """Levels one agent's clouds, steadily from sweep to sweep."""

    def __init__(self, heights: tuple[float, float] = SENSOR_HEIGHTS) -> None:
        """Start without a ground.

        Args:
            heights: the range that the sensor's height above the ground is brought into, metres.
        """
        self._heights = heights
        self.reset()

    @property
    def ground(self) -> SensorGround | None:
        """The plane by which clouds are levelled; None where none is known."""
        return self._held

    def reset(self) -> None:
        """Forget the ground, as after a jump in time."""
        self._held: SensorGround | None = None
        self._odd: SensorGround | None = None
        self._seen = -np.inf

    def update(self, points: Float32, seconds: float) -> Float64 | None:
        """Return the (4, 4) transform from the sensor's frame to the levelled one.

        The ground is followed with `TIME_CONSTANT`. A plane that differs much from those before is
        taken once a second sweep agrees with it. Where none is found the last one holds for
        `MEMORY`.

        Args:
            points: (P, 3 or more) float32 of a sweep, in the sensor's frame.
            seconds: time of the sweep.

        Returns:
            The transform; `None` where no ground is known, and the cloud is to be left as it is.
        """
        past = seconds - self._seen
        if not 0.0 <= past <= MEMORY:
            self.reset()
        plane = fit_ground(points)
        if plane is not None:
            self._follow(SensorGround.of(plane), past)
            self._seen = seconds
        return None if self._held is None else self._held.level(self._heights)

    def _follow(self, found: SensorGround, past: float) -> None:
        """Take a sweep's plane into account, so many seconds after the one before."""
        if self._held is None:
            self._held = found
        elif not found.differs(self._held):
            self._held = self._held.towards(found, 1.0 - float(np.exp(-past / TIME_CONSTANT)))
            self._odd = None
        elif self._odd is not None and not found.differs(self._odd):
            self._held, self._odd = found, None
        else:
            self._odd = found


def levelled_points(points: Float32, level: Float64) -> Float32:
    """Return points in the levelled frame.

    Args:
        points: (P, 3 or more) float32 x, y, z and what comes with them; not changed.
        level: (4, 4) from the sensor's frame to the levelled one.
    """
    return moved_points(points, level[:3, :3], level[:3, 3])


def levelled_pose(pose: Float64, level: Float64) -> Float64:
    """Return the (4, 4) pose of the levelled frame.

    Args:
        pose: (4, 4) of the sensor's frame.
        level: (4, 4) from the sensor's frame to the levelled one.
    """
    return pose @ invert(level)


def in_sensor_frame(detections: Detections, level: Float64 | None) -> Detections:
    """Return the boxes of a levelled map in its sensor's frame.

    Args:
        detections: in the levelled frame.
        level: (4, 4) from the sensor's frame to the levelled one; None where they are the same.
    """
    if level is None or not len(detections):
        return detections
    boxes = transform_boxes(detections.boxes, invert(level))
    return Detections(boxes, detections.scores, detections.labels)
