# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""PCD files in every encoding, and damaged ones."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pypcd4 import PointCloud
from pypcd4.pypcd4 import Encoding

from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.pcd import read_pcd

ENCODINGS = [Encoding.ASCII, Encoding.BINARY, Encoding.BINARY_COMPRESSED]
HEADER = (
    "VERSION 0.7\nFIELDS {fields}\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 1\n"
    "WIDTH {width}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {points}\nDATA {data}\n"
)


def cloud_of(points, fields=("x", "y", "z", "intensity"), types=(np.float32,) * 4):
    return PointCloud.from_points(points, fields, types)


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=25, deadline=None)
@given(
    points=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 30), st.just(4)),
        elements=st.floats(-1e4, 1e4, width=32),
    )
)
def test_points_survive_every_encoding(encoding, points):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.pcd")
        cloud_of(points).save(path, encoding)
        cloud = read_pcd(path)
    np.testing.assert_allclose(cloud[:, :3], points[:, :3], rtol=1e-5, atol=1e-4)
    assert cloud.dtype == np.float32
    assert not cloud[:, 3].any()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_large_cloud_survives_every_encoding(tmp_path, encoding):
    points = np.random.default_rng(0).normal(0, 30, (5000, 4)).astype(np.float32).round(2)
    points[1000:3000] = 1.5  # long runs, which LZF shortens most
    cloud_of(points).save(tmp_path / "a.pcd", encoding)
    np.testing.assert_allclose(read_pcd(tmp_path / "a.pcd")[:, :3], points[:, :3], atol=1e-5)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_fields_come_in_any_order_and_type(tmp_path, encoding):
    columns = [
        np.array([1, 2], np.uint16),
        np.array([0.5, 1.5]),
        np.array([7.0, 8.0]),
        np.array([3, 4], np.int32),
    ]
    cloud_of(columns, ("ring", "z", "x", "y"), (np.uint16, np.float64, np.float64, np.int32)).save(
        tmp_path / "a.pcd", encoding
    )
    np.testing.assert_allclose(
        read_pcd(tmp_path / "a.pcd"), [[7.0, 3.0, 0.5, 0.0], [8.0, 4.0, 1.5, 0.0]]
    )


def test_holes_of_an_organised_cloud_are_dropped(tmp_path):
    points = np.ones((4, 4), np.float32)
    points[1] = np.nan
    points[2, 0] = np.inf
    cloud_of(points).save(tmp_path / "a.pcd", Encoding.BINARY)
    np.testing.assert_array_equal(read_pcd(tmp_path / "a.pcd")[:, :3], np.ones((2, 3)))


@pytest.mark.parametrize("data", ["ascii", "binary"])
def test_an_empty_cloud_has_no_points(tmp_path, data):
    path = tmp_path / "a.pcd"
    path.write_text(HEADER.format(fields="x y z i", width=0, points=0, data=data))
    assert read_pcd(path).shape == (0, 4)


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(max_examples=40, deadline=None)
@given(fraction=st.floats(0.0, 0.95))  # beyond, text may only lose digits of its last number
def test_a_truncated_file_is_named(encoding, fraction):
    points = np.random.default_rng(3).normal(0, 10, (20, 4)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "cut.pcd")
        cloud_of(points).save(path, encoding)
        content = path.read_bytes()
        path.write_bytes(content[: int(fraction * len(content))])
        with pytest.raises(DatasetError, match=r"cut\.pcd"):
            read_pcd(path)


@settings(max_examples=200, deadline=None)
@given(
    encoding=st.sampled_from(ENCODINGS),
    changes=st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_altered_bytes_give_points_or_a_dataset_error(encoding, changes):
    points = np.random.default_rng(3).normal(0, 10, (20, 4)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.pcd")
        cloud_of(points).save(path, encoding)
        content = bytearray(path.read_bytes())
        for position, value in changes:
            content[position % len(content)] = value
        path.write_bytes(bytes(content))
        try:
            cloud = read_pcd(path)
        except DatasetError:
            return
    assert cloud.shape[1] == 4
    assert np.isfinite(cloud).all()


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=300))
def test_random_bytes_are_a_dataset_error(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.pcd")
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"a\.pcd"):
            read_pcd(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fields": "a y z i"}, "has no field x"),
        ({"width": 7}, "POINTS 2 is not WIDTH 7 x HEIGHT 1"),
        ({"width": 10**12, "points": 10**12}, "bytes of points announced"),
        ({"data": "zip"}, "header is not valid"),
        ({"fields": "x y z"}, "disagree"),
    ],
)
def test_what_is_wrong_with_a_header_is_said(tmp_path, changes, message):
    header = {"fields": "x y z i", "width": 2, "points": 2, "data": "binary"} | changes
    path = tmp_path / "a.pcd"
    path.write_bytes(HEADER.format(**header).encode() + bytes(32))
    with pytest.raises(DatasetError, match=message):
        read_pcd(path)


def test_a_compressed_size_that_no_lzf_stream_reaches_is_refused_before_allocation(tmp_path):
    path = tmp_path / "bomb.pcd"
    header = HEADER.format(fields="x y z i", width=2**26, points=2**26, data="binary_compressed")
    sizes = np.array([16, 2**30], "<u4").tobytes()
    path.write_bytes(header.encode() + sizes + bytes(16))
    with pytest.raises(DatasetError, match="16 compressed and 1073741824 uncompressed bytes"):
        read_pcd(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"none\.pcd: the cloud cannot be read"):
        read_pcd(tmp_path / "none.pcd")


def test_a_real_128_beam_sweep_is_read(shared_dir):
    cloud = read_pcd(shared_dir / "data" / "vls128" / "1585897255376374245.pcd")
    assert cloud.shape == (208680, 4)
    assert np.linalg.norm(cloud[:, :3], axis=1).max() < 350.0  # the sensor's range is 300 m
