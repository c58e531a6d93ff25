# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading clouds of any layout."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.pillars.cloud import (
    FIELD_TYPES,
    CloudError,
    CloudField,
    outside_box,
    points_from_buffer,
)

XYZI = [CloudField(name, 4 * i, 7) for i, name in enumerate(("x", "y", "z", "intensity"))]


@st.composite
def clouds(draw):
    """Draw a cloud (height, width, 4) of small integers and a layout that holds it."""
    names = draw(st.permutations(["x", "y", "z", "intensity"]))
    if draw(st.booleans()):
        names = [name for name in names if name != "intensity"]
    order = ">" if draw(st.booleans()) else "<"
    fields, offset = [], draw(st.integers(0, 9))
    for name in names:
        datatype = draw(st.sampled_from(sorted(FIELD_TYPES)))
        fields.append(CloudField(name, offset, datatype))
        offset += np.dtype(FIELD_TYPES[datatype]).itemsize + draw(st.integers(0, 5))
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    point_step = offset + draw(st.integers(0, 3))
    row_step = width * point_step + draw(st.integers(0, 7))
    seed = draw(st.integers(0, 2**31))
    return fields, order, height, width, point_step, row_step, seed


@given(clouds())
def test_every_layout_gives_the_values_that_were_written(cloud):
    fields, order, height, width, point_step, row_step, seed = cloud
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 100, (height, width, 4))
    data = bytearray(rng.bytes(height * row_step))  # padding is noise, as after a union or reuse
    for row in range(height):
        for column in range(width):
            for field in fields:
                index = ("x", "y", "z", "intensity").index(field.name)
                raw = np.array(values[row, column, index], order + FIELD_TYPES[field.datatype])
                start = row * row_step + column * point_step + field.offset
                data[start : start + raw.itemsize] = raw.tobytes()
    result = points_from_buffer(data, fields, point_step, row_step, width, height, order == ">")
    if not result.has_intensity:
        values[..., 3] = 0
    np.testing.assert_array_equal(result.points, values.reshape(-1, 4))
    assert result.points.dtype == np.float32
    assert result.dropped == 0
    assert result.has_intensity == any(field.name == "intensity" for field in fields)


def test_plain_float32_is_not_copied():
    points = np.arange(40, dtype=np.float32).reshape(10, 4)
    data = array("B", points.tobytes())
    result = points_from_buffer(data, XYZI, 16, 160, 10, 1, False)
    np.testing.assert_array_equal(result.points, points)
    assert np.shares_memory(result.points, np.frombuffer(data, np.uint8))


def test_points_that_are_not_finite_are_dropped_and_counted():
    points = np.ones((6, 4), np.float32)
    points[1, 0], points[3, 2], points[4, 3] = np.nan, np.inf, np.nan
    result = points_from_buffer(points.tobytes(), XYZI, 16, 96, 6, 1, False)
    assert result.points.shape == (3, 4)
    assert result.dropped == 3


def test_float64_too_large_for_float32_is_dropped():
    fields = [CloudField(name, 8 * i, 8) for i, name in enumerate("xyz")]
    points = np.array([[1e300, 0, 0], [1, 2, 3]])
    result = points_from_buffer(points.tobytes(), fields, 24, 48, 2, 1, False)
    np.testing.assert_array_equal(result.points, [[1, 2, 3, 0]])
    assert result.dropped == 1


def test_all_nan_gives_no_points():
    data = np.full((5, 4), np.nan, np.float32).tobytes()
    result = points_from_buffer(data, XYZI, 16, 80, 5, 1, False)
    assert result.points.shape == (0, 4)
    assert result.dropped == 5


@pytest.mark.parametrize(("width", "height"), [(0, 1), (0, 0), (5, 0)])
def test_empty_cloud_gives_no_points(width, height):
    assert points_from_buffer(b"", XYZI, 16, 0, width, height, False).points.shape == (0, 4)


def test_row_step_is_ignored_with_one_row():
    points = np.ones((3, 4), np.float32)
    assert len(points_from_buffer(points.tobytes(), XYZI, 16, 0, 3, 1, False).points) == 3


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"fields": XYZI[1:]}, "no field x"),
        ({"fields": []}, "no field x, y, z"),
        ({"fields": [*XYZI[:3], CloudField("intensity", 12, 9)]}, "datatype 9"),
        ({"fields": [*XYZI[:2], CloudField("z", 14, 7)]}, "field z takes bytes 14 to 17"),
        ({"data": bytes(47)}, "47 bytes of data"),
        ({"width": 60_000, "height": 60_000}, "width 60000 x height 60000"),
        ({"point_step": 0}, "point_step 0"),
        ({"width": 1, "height": 3, "row_step": 8}, "row_step 8"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(change, text):
    arguments = {
        "data": bytes(48),
        "fields": XYZI,
        "point_step": 16,
        "row_step": 48,
        "width": 3,
        "height": 1,
        "is_bigendian": False,
    }
    with pytest.raises(CloudError, match=text):
        points_from_buffer(**{**arguments, **change})


def test_intensity_that_is_not_used_is_0_and_drops_no_point():
    points = np.ones((6, 4), np.float32)
    points[:, 3], points[2, 1] = np.nan, np.nan
    data = points.tobytes()
    result = points_from_buffer(data, XYZI, 16, 96, 6, 1, False, use_intensity=False)
    np.testing.assert_array_equal(result.points, [[1, 1, 1, 0]] * 5)
    assert (result.dropped, result.dropped_for_intensity, result.has_intensity) == (1, 0, True)
    used = points_from_buffer(data, XYZI, 16, 96, 6, 1, False)
    assert (len(used.points), used.dropped, used.dropped_for_intensity) == (0, 6, 5)
    assert np.isnan(points[0, 3]), "the original is left alone"


def test_box_leaves_out_what_lies_inside_or_on_its_edge():
    points = np.array([[0, 0, 0, 0], [2, 0, 0, 0], [2.1, 0, 0, 0], [0, -3, 5, 0]], np.float32)
    kept = outside_box(points, (-1, -1, 2, 1))
    np.testing.assert_array_equal(kept, points[2:])


@pytest.mark.parametrize("box", [(0, 0, 1), (1, 0, 0, 1), (0, 0, np.nan, 1)])
def test_bad_box_is_refused(box):
    with pytest.raises(ValueError, match="box"):
        outside_box(np.zeros((1, 4), np.float32), box)
