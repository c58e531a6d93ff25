# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the frame and unit that a cloud comes in to the LiDAR frame that the model expects.

The model expects x forward, y left, z up, and the origin as far above the ground as the LiDARs that
it was trained with. A cloud may come in another frame, such as ``base_link``: the pose of the LiDAR
frame in the cloud's frame says how they lie to each other, and boxes go back the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from transforms3d.euler import mat2euler

from quantv2x_ros.core.geometry.points import moved_points
from quantv2x_ros.core.geometry.pose import Matrix, PoseError, extrinsics_matrix, invert

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CloudPlacement:
    """Pose and scale of a cloud against the frame that the model sees it in.

    Attributes:
        extrinsics: (4, 4) LiDAR-to-cloud: pose of the model's LiDAR frame in the cloud's, metres.
        scale: metres in a unit of the cloud.
    """

    extrinsics: Matrix = field(default_factory=lambda: np.eye(4))
    scale: float = 1.0

    @property
    def is_moved(self) -> bool:
        """True where the two frames differ."""
        return not np.array_equal(self.extrinsics, np.eye(4))

    @property
    def numbers(self) -> list[float]:
        """The extrinsics as x, y, z [m], roll, pitch, yaw [degrees]."""
        angles = np.degrees(mat2euler(self.extrinsics[:3, :3], axes="sxyz"))
        return [float(value) for value in (*self.extrinsics[:3, 3], *angles)]

    def apply(self, cloud: Float32) -> Float32:
        """Return a cloud (P, 4) in the LiDAR frame, metres; itself where nothing is to be done."""
        if not self.is_moved and self.scale == 1.0:
            return cloud
        matrix = invert(self.extrinsics)
        return moved_points(cloud, self.scale * matrix[:3, :3], matrix[:3, 3])


#: That of a cloud in its LiDAR's frame, in metres.
NOT_MOVED = CloudPlacement()


def placement_of(extrinsics: Sequence[float], scale: float = 1.0) -> CloudPlacement:
    """Return the placement of six numbers and a scale.

    Args:
        extrinsics: pose of the LiDAR frame in the cloud's: x, y, z [m], roll, pitch, yaw [deg].
        scale: metres in a unit of the cloud.

    Raises:
        PoseError: for other than six finite numbers, or a scale that is not above 0.
    """
    if not 0.0 < scale < np.inf:
        raise PoseError(f"cloud scale: got {scale}, expected a positive number of metres")
    return CloudPlacement(extrinsics_matrix(extrinsics), float(scale))


def parse_placement(extrinsics: str, scale: float = 1.0) -> CloudPlacement:
    """Return the placement of a text such as ``0,0,1.9,0,0,90``, as for `placement_of`.

    An empty text is none.

    Raises:
        PoseError: for a text that is not six numbers with commas between.
    """
    parts = [part for part in extrinsics.strip(" []").split(",") if part.strip()]
    try:
        numbers = [float(part) for part in parts] or [0.0] * 6
    except ValueError as error:
        raise PoseError(
            f"cloud mount: got {extrinsics!r}, expected x,y,z [m] and roll,pitch,yaw [degrees] of "
            "the LiDAR frame in the cloud's, such as 0,0,1.9,0,0,90"
        ) from error
    return placement_of(numbers, scale)


@dataclass(frozen=True)
class PlacementRemedy:
    """Says in words what to set, so that a cloud comes to lie as the model expects it.

    Attributes:
        placement: what is set already, after TF where that is used.
        of_command: in the form of a command's options; else of parameters.
    """

    placement: CloudPlacement
    of_command: bool = False

    def setting(self, further: Matrix) -> str:
        """Return the extrinsics to set.

        Args:
            further: (4, 4) where the LiDAR frame should be in the frame that is taken for it.
        """
        whole = CloudPlacement(self.placement.extrinsics @ further).numbers
        numbers = [*np.round(whole[:3], 2), *np.round(whole[3:], 1)]
        texts = [f"{number + 0.0:g}" for number in numbers]
        if self.of_command:
            return f"--cloud-mount={','.join(texts)}"
        return f"cloud_mount: [{', '.join(t if '.' in t else f'{t}.0' for t in texts)}]"

    def scale(self, factor: float) -> str:
        """Return the scale to set, if a further factor is needed."""
        whole = f"{self.placement.scale * factor:g}"
        return f"--cloud-scale {whole}" if self.of_command else f"cloud_scale: {whole}"
