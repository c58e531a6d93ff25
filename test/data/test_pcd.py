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


def header_of(fields="x y z _ i", size="4 4 4 1 4", kind="F F F U F", count="1 1 1 4 1", **lines):
    values = {
        "VERSION": "0.7",
        "FIELDS": fields,
        "SIZE": size,
        "TYPE": kind,
        "COUNT": count,
        "WIDTH": "3",
        "HEIGHT": "1",
        "VIEWPOINT": "0 0 0 1 0 0 0",
        "POINTS": "3",
        **lines,
    }
    return "".join(f"{name} {value}\n" for name, value in values.items() if value is not None)


def rows(padding):
    """Three points of x, y, z, some bytes, intensity."""
    xyz = np.arange(9, dtype="<f4").reshape(3, 3)
    whole = np.concatenate([xyz.view(np.uint8), np.full((3, padding + 4), 7, np.uint8)], axis=1)
    return xyz, whole.tobytes()


@pytest.mark.parametrize(
    ("changes", "padding"),
    [
        ({}, 4),
        ({"COUNT": None, "SIZE": "4 4 4 4 4"}, 4),
        ({"POINTS": None}, 4),
        ({"WIDTH": None}, 4),
        ({"HEIGHT": None, "VIEWPOINT": None, "VERSION": None}, 4),
        ({"VERSION": ".5"}, 4),
        ({"count": "1 1 1 0 1"}, 0),
        ({"count": "1 1 1 0 1"}, 1),
        ({"fields": "x y z intensity(0-255) _", "size": "4 4 4 4 1", "kind": "F F F F U"}, 0),
        (
            {"fields": "x y z _ _", "size": "4 4 4 1 1", "kind": "F F F U U", "count": "1 1 1 3 5"},
            4,
        ),
    ],
)
def test_headers_that_leave_out_what_the_rest_tells_are_read(tmp_path, changes, padding):
    xyz, body = rows(padding)
    if "intensity(0-255)" in changes.get("fields", ""):
        changes = {**changes, "count": "1 1 1 1 0"}
    (tmp_path / "a.pcd").write_bytes(f"{header_of(**changes)}DATA binary\n".encode() + body)
    np.testing.assert_array_equal(read_pcd(tmp_path / "a.pcd")[:, :3], xyz)


@pytest.mark.parametrize("has_value", [False, True])
def test_a_field_of_count_0_has_a_value_in_text_or_has_none(tmp_path, has_value):
    line = "1 2 3 0 9\n" if has_value else "1 2 3 9\n"
    text = f"{header_of(count='1 1 1 0 1')}DATA ascii\n{3 * line}"
    (tmp_path / "a.pcd").write_text(text)
    np.testing.assert_array_equal(read_pcd(tmp_path / "a.pcd")[:, :3], [[1, 2, 3]] * 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"COUNT": "1 1 1 1"}, "disagree"),
        ({"count": "0 1 1 4 1"}, "field x has type F, size 4, count 0"),
        ({"SIZE": None}, "it has no SIZE line"),
        ({"WIDTH": None, "POINTS": None}, "neither WIDTH nor POINTS"),
        ({"WIDTH": "three"}, "WIDTH is 'three', allowed are whole numbers"),
        ({"POINTS": "-3"}, "POINTS is '-3', allowed are whole numbers"),
        ({"fields": "x y z x i"}, "a field is there twice"),
    ],
)
def test_a_header_that_cannot_be_completed_is_named(tmp_path, changes, message):
    _, body = rows(4)
    (tmp_path / "a.pcd").write_bytes(f"{header_of(**changes)}DATA binary\n".encode() + body)
    with pytest.raises(DatasetError, match=message):
        read_pcd(tmp_path / "a.pcd")


header_words = st.lists(
    st.sampled_from(["0", "1", "3", "4", "8", "-1", "F", "U", "I", "x", "y", "z", "_", "i", "é"]),
    max_size=6,
).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(
    changes=st.dictionaries(
        st.sampled_from(
            ["VERSION", "FIELDS", "SIZE", "TYPE", "COUNT", "WIDTH", "HEIGHT", "POINTS"]
        ),
        st.one_of(st.none(), header_words),
        max_size=4,
    ),
    data=st.sampled_from(["ascii", "binary", "binary_compressed"]),
    body=st.binary(max_size=80),
)
def test_any_header_gives_points_or_a_dataset_error(changes, data, body):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.pcd")
        path.write_bytes(f"{header_of(**changes)}DATA {data}\n".encode() + body)
        try:
            cloud = read_pcd(path)
        except DatasetError:
            return
    assert cloud.shape[1] == 4
    assert np.isfinite(cloud).all()


def test_an_empty_file_and_a_git_lfs_pointer_are_called_what_they_are(tmp_path):
    (tmp_path / "a.pcd").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"it is empty \(0 bytes\)"):
        read_pcd(tmp_path / "a.pcd")
    (tmp_path / "a.pcd").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1234567\n"
    )
    with pytest.raises(
        DatasetError, match=r"a Git LFS pointer of \d+ bytes, .* of 1,234,567 bytes.*`git lfs pull`"
    ):
        read_pcd(tmp_path / "a.pcd")
