# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poses as 4 x 4 matrices, the V2X-Real pose convention and the warp matrix theta."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from transforms3d.affines import compose
from transforms3d.euler import euler2mat, mat2euler
from transforms3d.quaternions import mat2quat, quat2mat

from quantv2x_ros.core.geometry.grid import BevGrid


class PoseUncertaintyError(ValueError):
    """A covariance that none can have, or a pose that is too uncertain.

    Attributes:
        reason: ``pose`` or ``pose_uncertain``.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def check_uncertainty(
    covariance: npt.ArrayLike, max_position: float, max_heading: float, name: str
) -> None:
    """Check how uncertain a pose says it is; a covariance of zeros tells nothing and passes.

    Args:
        covariance: 36 numbers, row-major over x, y, z [m], rotations about x, y, z [rad].
        max_position: largest standard deviation on the ground, metres, in its worst direction.
        max_heading: largest standard deviation of the heading, radians.
        name: whose pose, for the error.

    Raises:
        PoseUncertaintyError: ``pose`` for numbers that are no covariance of x, y and heading,
            ``pose_uncertain`` beyond a limit, with both values.
    """
    matrix = np.asarray(covariance, dtype=np.float64).reshape(6, 6)
    ground, heading = matrix[:2, :2], float(matrix[5, 5])
    worst = float(np.linalg.eigvalsh((ground + ground.T) / 2)[-1]) if _finite(matrix) else np.nan
    if not (worst >= 0 and heading >= 0 and ground[0, 0] >= 0 and ground[1, 1] >= 0):
        raise PoseUncertaintyError(
            "pose", f"pose of {name}: its covariance is not one of x, y and heading"
        )
    for sigma, limit, text, unit in (
        (np.sqrt(worst), max_position, "position", "m"),
        (np.sqrt(heading), max_heading, "heading", "rad"),
    ):
        if sigma > limit:
            raise PoseUncertaintyError(
                "pose_uncertain",
                f"{text} of {name} has a standard deviation of {sigma:.3g} {unit}, allowed are "
                f"{limit:.3g} {unit}",
            )


def _finite(matrix: npt.NDArray[np.float64]) -> bool:
    return bool(np.isfinite(matrix).all())


Matrix = npt.NDArray[np.float64]

#: Beyond this a pose in a local map frame is taken for an error, metres.
MAX_COORDINATE = 1e7


class PoseError(ValueError):
    """A pose that is not a finite rigid transform."""


def check_pose(matrix: npt.ArrayLike, name: str = "pose") -> Matrix:
    """Return ``matrix`` as (4, 4) float64 if it is a finite rigid transform.

    Args:
        matrix: (4, 4) transform.
        name: what to call it in an error.

    Raises:
        PoseError: naming what is wrong.
    """
    pose = np.asarray(matrix, dtype=np.float64)
    if pose.shape != (4, 4):
        raise PoseError(f"{name}: got shape {pose.shape}, expected (4, 4)")
    if not np.isfinite(pose).all():
        raise PoseError(f"{name}: has values that are not finite; check the localization source")
    if np.abs(pose[:3, 3]).max() > MAX_COORDINATE:
        raise PoseError(
            f"{name}: is {np.abs(pose[:3, 3]).max():.3g} m away from the map's origin, "
            f"allowed are {MAX_COORDINATE:.0e} m"
        )
    rotation = pose[:3, :3]
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-4) or np.linalg.det(rotation) < 0:
        raise PoseError(f"{name}: its 3 x 3 part is not a rotation")
    if not np.allclose(pose[3], (0.0, 0.0, 0.0, 1.0)):
        raise PoseError(f"{name}: its last row is {pose[3].tolist()}, expected [0, 0, 0, 1]")
    return pose


def matrix_from_v2x(pose: Sequence[float] | npt.NDArray[np.float64]) -> Matrix:
    """Turn a dataset pose into a sensor-to-map matrix.

    Args:
        pose: x, y, z in metres, then roll, yaw, pitch in degrees as V2X-Real and OPV2V store
            them; as ROS rotations roll and pitch change their sign (R = Rz·Ry·Rx).

    Returns:
        (4, 4) float64.

    Raises:
        PoseError: if there are not six finite numbers.
    """
    values = np.asarray(pose, dtype=np.float64).reshape(-1)
    if values.shape != (6,) or not np.isfinite(values).all():
        raise PoseError(
            f"pose: got {values.tolist()}, expected six finite numbers [x, y, z, roll, yaw, pitch]"
        )
    roll, yaw, pitch = np.radians(values[3:])
    rotation = euler2mat(yaw, -pitch, -roll, axes="rzyx")
    return np.asarray(compose(values[:3], rotation, np.ones(3)), dtype=np.float64)


def v2x_from_matrix(matrix: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Inverse of `matrix_from_v2x`: (6,) x, y, z [m], roll, yaw, pitch [degrees]."""
    pose = check_pose(matrix)
    yaw, pitch, roll = mat2euler(pose[:3, :3], axes="rzyx")
    angles = np.degrees([-roll, yaw, -pitch])
    return np.concatenate([pose[:3, 3], angles])


def matrix_from_quaternion(
    translation: Sequence[float], quaternion_xyzw: Sequence[float]
) -> Matrix:
    """Turn a ROS pose (metres; quaternion x, y, z, w) into a (4, 4) matrix.

    Raises:
        PoseError: for values that are not finite or a quaternion that is not of unit length.
    """
    x, y, z, w = (float(v) for v in quaternion_xyzw)
    norm = float(np.sqrt(x * x + y * y + z * z + w * w))
    if not np.isfinite(norm) or abs(norm - 1.0) > 1e-2:
        raise PoseError(f"orientation: the quaternion's length is {norm}, expected 1")
    pose = compose(np.asarray(translation, dtype=np.float64), quat2mat([w, x, y, z]), np.ones(3))
    return check_pose(pose)


def quaternion_from_matrix(matrix: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the rotation of a (4, 4) matrix as a quaternion (4,) x, y, z, w (ROS order)."""
    w, x, y, z = mat2quat(check_pose(matrix)[:3, :3])
    return np.array([x, y, z, w])


def invert(pose: Matrix) -> Matrix:
    """Return the inverse of a rigid (4, 4) transform."""
    inverse = np.eye(4)
    inverse[:3, :3] = pose[:3, :3].T
    inverse[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return inverse


def transform_between(source_pose: Matrix, target_pose: Matrix) -> Matrix:
    """Return the (4, 4) matrix from the source's sensor frame to the target's.

    Args:
        source_pose: source sensor-to-map.
        target_pose: target sensor-to-map.
    """
    return invert(target_pose) @ source_pose


def transform_points(points: npt.NDArray[np.floating], matrix: Matrix) -> npt.NDArray[np.float64]:
    """Transform the x, y, z columns of (P, 3+) points; returns (P, 3) float64."""
    return np.asarray(points[:, :3] @ matrix[:3, :3].T + matrix[:3, 3], dtype=np.float64)


def warp_theta(
    ego_to_agent: Matrix, grid: BevGrid, agent_grid: BevGrid | None = None
) -> npt.NDArray[np.float64]:
    """Return theta (2, 3) for ``affine_grid``: where the ego's cells lie in an agent's map.

    Normalised coordinates run from -1 to 1 over a grid's extent (align_corners=False). For a
    range that is centred on the sensor this is the published scaling (docs/network.md, "Warp"); a
    range with another centre adds its offset.

    Args:
        ego_to_agent: (4, 4) transform from ego to agent coordinates, metres. All six entries
            that a planar warp uses come from the full 6-DoF transform.
        grid: the ego's grid.
        agent_grid: the agent's grid where it differs, as for crops in training.
    """
    source = grid if agent_grid is None else agent_grid
    half_y, half_x = grid.extent[0] / 2, grid.extent[1] / 2
    centre_y, centre_x = grid.centre
    affine = np.array(ego_to_agent, dtype=np.float64)[:2][:, [0, 1, 3]]
    affine[:, 2] += affine[:, 0] * centre_x + affine[:, 1] * centre_y
    affine[:, 2] -= (source.centre[1], source.centre[0])
    scale = np.array([2.0 / source.extent[1], 2.0 / source.extent[0]])
    return affine * scale[:, None] * np.array([half_x, half_y, 1.0])


Float64 = npt.NDArray[np.float64]


def extrinsics_matrix(values: Sequence[float]) -> Matrix:
    """Return where a sensor is on its vehicle as sensor-to-vehicle (4, 4).

    Args:
        values: x, y, z [m], roll, pitch, yaw [degrees], as ROS turns (R = Rz·Ry·Rx).

    Raises:
        PoseError: if there are not six finite numbers.
    """
    numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    if numbers.shape != (6,) or not np.isfinite(numbers).all():
        raise PoseError(
            f"extrinsics: got {numbers.tolist()}, expected six finite numbers x, y, z [m], "
            "roll, pitch, yaw [degrees]"
        )
    roll, pitch, yaw = np.radians(numbers[3:])
    rotation = euler2mat(roll, pitch, yaw, axes="sxyz")
    return np.asarray(compose(numbers[:3], rotation, np.ones(3)), dtype=np.float64)


def sensor_pose(
    vehicle: Matrix, covariance: npt.ArrayLike, extrinsics: Matrix
) -> tuple[Matrix, Float64]:
    """Return the sensor's pose (4, 4) and its covariance (36,).

    Errors of the vehicle's rotation move the sensor, the more so the further it is from the point
    that the pose is of: dp' = dp - r x dtheta, with r from that point to the sensor.

    Args:
        vehicle: (4, 4) vehicle-to-map.
        covariance: 36 numbers, row-major over x, y, z [m], rotations about the map's x, y, z [rad].
        extrinsics: (4, 4) sensor-to-vehicle.
    """
    x, y, z = vehicle[:3, :3] @ extrinsics[:3, 3]
    jacobian = np.eye(6)
    jacobian[:3, 3:] = [[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]]
    spread = np.asarray(covariance, dtype=np.float64).reshape(6, 6)
    return vehicle @ extrinsics, (jacobian @ spread @ jacobian.T).reshape(36)


def covariance_of(position_sigma: float, rotation_sigma: float) -> Float64:
    """Return the covariance (36,) of a pose that is as uncertain in every direction.

    Args:
        position_sigma: standard deviation, metres.
        rotation_sigma: standard deviation, radians.
    """
    return np.diag([position_sigma**2] * 3 + [rotation_sigma**2] * 3).reshape(36)
