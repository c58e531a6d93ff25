# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PointCloud2 to arrays and back."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

pytest.importorskip("sensor_msgs.msg", reason="ROS 2 is not installed")

from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from quantv2x_ros.core.pillars.cloud import CloudError
from quantv2x_ros.nodes.common.point_cloud import cloud_from_message, message_from_points


def test_points_survive_the_way_to_a_message_and_back():
    points = np.random.default_rng(1).normal(size=(1000, 4)).astype(np.float32)
    message = message_from_points(points, Header(frame_id="lidar"))
    np.testing.assert_array_equal(cloud_from_message(message).points, points)
    assert isinstance(message.data, array)
    assert message.header.frame_id == "lidar"
    assert message.row_step == len(message.data)


def test_no_points_survive_too():
    message = message_from_points(np.empty((0, 4), np.float32), Header())
    assert cloud_from_message(message).points.shape == (0, 4)


def ouster_like(points: np.ndarray, rows: int, padding: int) -> PointCloud2:
    """An organised cloud with float64 z, a field between, a gap in each point and between rows."""
    layout = np.dtype(
        {
            "names": ["x", "y", "t", "z", "intensity"],
            "formats": ["<f4", "<f4", "<u4", "<f8", "<u2"],
            "offsets": [0, 4, 12, 16, 24],
            "itemsize": 48,
        }
    )
    columns = len(points) // rows
    table = np.zeros((rows, columns), layout)
    for number, name in enumerate(("x", "y", "z", "intensity")):
        table[name] = points[:, number].reshape(rows, columns)
    data = b"".join(row.tobytes() + bytes(padding) for row in table)
    kinds = {"<f4": 7, "<u4": 6, "<f8": 8, "<u2": 4}
    assert layout.fields is not None
    return PointCloud2(
        height=rows,
        width=columns,
        fields=[
            PointField(name=name, offset=offset, datatype=kinds[kind.str], count=1)
            for name, (kind, offset) in layout.fields.items()
        ],
        point_step=48,
        row_step=48 * columns + padding,
        data=array("B", data),
    )


@pytest.mark.parametrize("padding", [0, 5, 64])
def test_an_organised_padded_cloud_reads_as_the_pointcloud2_library_reads_it(padding):
    library = pytest.importorskip("pointcloud2")
    points = np.random.default_rng(2).integers(0, 200, (128, 4)).astype(np.float32)
    message = ouster_like(points, rows=8, padding=padding)
    ours = cloud_from_message(message).points
    theirs = library.read_points(message)
    for column, name in enumerate(("x", "y", "z", "intensity")):
        np.testing.assert_array_equal(ours[:, column], theirs[name].astype(np.float32))
    np.testing.assert_array_equal(ours, points)


def test_a_cloud_without_x_is_refused():
    message = message_from_points(np.zeros((3, 4), np.float32), Header())
    message.fields = message.fields[1:]
    with pytest.raises(CloudError, match="no field x"):
        cloud_from_message(message)


def test_points_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        message_from_points(np.zeros((3, 3), np.float32), Header())
