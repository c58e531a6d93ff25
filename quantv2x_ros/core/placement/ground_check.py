# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How clouds lie to the ground: upright and at a LiDAR's height, as the model expects, or not."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.pose import Matrix
from quantv2x_ros.core.placement.cloud_placement import PlacementRemedy
from quantv2x_ros.core.placement.ground_plane import MAX_SLOPE, GroundPlane, find_ground
from quantv2x_ros.core.placement.levelling import SENSOR_HEIGHTS

Float32 = npt.NDArray[np.float32]

#: Height of a LiDAR above the ground that the model expects, metres.
EXPECTED_HEIGHT = SENSOR_HEIGHTS[0]
#: Heights that LiDARs on vehicles and masts have, metres: below and above, the frame is another.
LEAST_HEIGHT, MOST_HEIGHT = 0.7, 12.0
#: Tilt up to which it may be the road, and clouds are levelled, radians.
MOST_TILT = float(np.arctan(MAX_SLOPE))
#: Looks that must agree until something is said, and how closely: radians, metres.
LOOKS = 4
_SAME_TILT, _SAME_HEIGHT = np.radians(3.0), 0.4
#: Points that are looked at: more would only take time.
_POINTS = 16_000


def ground_of(points: Float32) -> GroundPlane | None:
    """Return the ground plane of a cloud that may lie in any way; None where there is none.

    Args:
        points: (P, 3 or more) float32 x, y, z [m].
    """
    return find_ground(points[:: max(1, -(-len(points) // _POINTS))])


def ground_fault(plane: GroundPlane, remedy: PlacementRemedy) -> str:
    """Say how a cloud lies that lies otherwise than the model expects; empty where it does not.

    Args:
        plane: its ground, in the frame that the model sees it in.
        remedy: says what to set.
    """
    degrees = np.degrees(plane.tilt)
    setting = f"set {remedy.setting(upright_extrinsics(plane))}"
    if plane.tilt > MOST_TILT:
        how = "tilted" if degrees <= 60.0 else "on its side"
        how = how if degrees <= 120.0 else "upside down (or its z axis points down)"
        return (
            f"the cloud lies {how}: the ground's normal is {degrees:.1f}° off the z axis, at most "
            f"{np.degrees(MOST_TILT):.1f}° are expected; {setting}"
        )
    if LEAST_HEIGHT <= plane.height <= MOST_HEIGHT:
        return ""
    return (
        f"the ground lies {plane.height + 0.0:.2f} m below the cloud's origin, of a LiDAR "
        f"{LEAST_HEIGHT:g} to {MOST_HEIGHT:g} m are expected (is it in base_link?); {setting}"
    )


def upright_extrinsics(plane: GroundPlane) -> Matrix:
    """Return where an upright LiDAR frame is in the frame of a ground plane, (4, 4).

    Its z axis is the ground's normal, its x axis as much that of the frame as can be (y where that
    is vertical). Its origin is that of the frame, or above it where no LiDAR is so low or high.
    """
    forward = np.eye(3)[0]
    if abs(plane.normal @ forward) > 0.9:
        forward = np.cross(np.eye(3)[1], plane.normal)
    x = forward - (forward @ plane.normal) * plane.normal
    x /= np.linalg.norm(x)
    extrinsics = np.eye(4)
    extrinsics[:3, :3] = np.stack([x, np.cross(plane.normal, x), plane.normal], axis=1)
    if not LEAST_HEIGHT <= plane.height <= MOST_HEIGHT:
        extrinsics[:3, 3] = (EXPECTED_HEIGHT - plane.height) * plane.normal
    return extrinsics


class GroundCheck:
    """Judges how clouds lie once several of them agree."""

    def __init__(self) -> None:
        """Have seen nothing yet."""
        self._planes: deque[GroundPlane] = deque(maxlen=LOOKS)

    @property
    def is_settled(self) -> bool:
        """True once enough clouds were looked at to judge."""
        return len(self._planes) == LOOKS

    def look(self, points: Float32) -> None:
        """Take a cloud into account; one without a ground says nothing."""
        plane = ground_of(points)
        if plane is not None:
            self._planes.append(plane)

    def fault(self, remedy: PlacementRemedy) -> str:
        """Return what `ground_fault` says of the newest cloud, if those before it agree."""
        if not self.is_settled or not all(ground_fault(p, remedy) for p in self._planes):
            return ""
        newest = self._planes[-1]
        for plane in self._planes:
            angle = np.arccos(np.clip(plane.normal @ newest.normal, -1.0, 1.0))
            if angle > _SAME_TILT or abs(plane.height - newest.height) > _SAME_HEIGHT:
                return ""
        return ground_fault(newest, remedy)

    def reset(self) -> None:
        """Forget everything, as after a jump in time."""
        self._planes.clear()
