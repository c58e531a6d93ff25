# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""``sensor_msgs/PointCloud2`` to arrays and back."""

from __future__ import annotations

from array import array

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from quantv2x_ros.core.pillars.cloud import Cloud, CloudField, Float32, points_from_buffer


def cloud_from_message(message: PointCloud2, *, use_intensity: bool = True) -> Cloud:
    """Read a cloud of any layout.

    Read by the package's own core.pillars.cloud: sensor_msgs_py ignores row_step, pointcloud2
    (PyPI, which the tests compare with) stumbles over fields that are not even needed, and both
    copy.

    Args:
        message: message as received.
        use_intensity: whether intensity is read, see `points_from_buffer`.

    Raises:
        CloudError: for a cloud without x, y or z, or whose sizes do not fit its data.
    """
    return points_from_buffer(
        message.data,
        [
            CloudField(field.name, field.offset, field.datatype, field.count)
            for field in message.fields
        ],
        message.point_step,
        message.row_step,
        message.width,
        message.height,
        message.is_bigendian,
        use_intensity=use_intensity,
    )


def message_from_points(points: Float32, header: Header) -> PointCloud2:
    """Make a cloud with the float32 fields x, y, z and intensity.

    Args:
        points: (P, 4) x, y, z [m] and intensity.
        header: stamp and frame of the cloud.
    """
    packed = np.ascontiguousarray(points, dtype="<f4")
    if packed.ndim != 2 or packed.shape[1] != 4:
        raise ValueError(f"points: got shape {packed.shape}, expected (P, 4)")
    message = PointCloud2(header=header, height=1, width=len(packed), is_dense=True)
    message.fields = [
        PointField(name=name, offset=4 * place, datatype=PointField.FLOAT32, count=1)
        for place, name in enumerate(("x", "y", "z", "intensity"))
    ]
    message.point_step = 16
    message.row_step = 16 * len(packed)
    message.data = array("B", packed.tobytes())  # the form that rclpy takes without a loop
    return message
