# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From the pose of a vehicle to that of the sensor that is mounted on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from transforms3d.affines import compose
from transforms3d.euler import euler2mat

from quantv2x_ros.core.pose import Matrix, PoseError

Float64 = npt.NDArray[np.float64]


def mount_matrix(values: Sequence[float]) -> Matrix:
    """Return where a sensor is on its vehicle as sensor-to-vehicle (4, 4).

    Args:
        values: x, y, z [m], roll, pitch, yaw [degrees], as ROS turns (R = Rz·Ry·Rx).

    Raises:
        PoseError: if there are not six finite numbers.
    """
    numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    if numbers.shape != (6,) or not np.isfinite(numbers).all():
        raise PoseError(
            f"mount: got {numbers.tolist()}, expected six finite numbers x, y, z [m], roll, pitch, "
            "yaw [degrees]"
        )
    roll, pitch, yaw = np.radians(numbers[3:])
    rotation = euler2mat(roll, pitch, yaw, axes="sxyz")
    return np.asarray(compose(numbers[:3], rotation, np.ones(3)), dtype=np.float64)


def mounted(vehicle: Matrix, covariance: npt.ArrayLike, mount: Matrix) -> tuple[Matrix, Float64]:
    """Return the sensor's pose (4, 4) and its covariance (36,).

    Errors of the vehicle's rotation move the sensor, the more so the further it is from the point
    that the pose is of: dp' = dp - r x dtheta, with r from that point to the sensor.

    Args:
        vehicle: (4, 4) vehicle-to-map.
        covariance: 36 numbers, row-major over x, y, z [m], rotations about the map's x, y, z [rad].
        mount: (4, 4) sensor-to-vehicle.
    """
    x, y, z = vehicle[:3, :3] @ mount[:3, 3]
    jacobian = np.eye(6)
    jacobian[:3, 3:] = [[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]]
    spread = np.asarray(covariance, dtype=np.float64).reshape(6, 6)
    return vehicle @ mount, (jacobian @ spread @ jacobian.T).reshape(36)


def covariance_of(position_sigma: float, rotation_sigma: float) -> Float64:
    """Return the covariance (36,) of a pose that is as uncertain in every direction.

    Args:
        position_sigma: standard deviation, metres.
        rotation_sigma: standard deviation, radians.
    """
    return np.diag([position_sigma**2] * 3 + [rotation_sigma**2] * 3).reshape(36)
