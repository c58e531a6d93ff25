# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames of V2X-Real: what is written is read back, what is broken is named."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quantv2x_ros.data.agent_yaml import read_agent_yaml
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.v2x_real import (
    CLASSES,
    EGO_BODY,
    OBJECT_TYPES,
    read_bin,
    write_agent_frame,
)

coordinates = st.floats(-1e5, 1e5, width=32)
angles = st.floats(-360.0, 360.0)


@settings(max_examples=30, deadline=None)
@given(
    points=hnp.arrays(np.float32, st.tuples(st.integers(0, 40), st.just(4)), elements=coordinates),
    pose=st.tuples(coordinates, coordinates, coordinates, angles, angles, angles),
    identities=st.sets(st.integers(0, 2**31), max_size=4),
    infrastructure=st.booleans(),
)
def test_a_written_frame_is_read_back(points, pose, identities, infrastructure, labelled_frame):
    objects = [
        labelled_frame(i, "Car", (1.0 * k, 2.0, 3.0), (0.1, 0.2, 0.3))
        for k, i in enumerate(identities)
    ]
    with tempfile.TemporaryDirectory() as folder:
        write_agent_frame(
            folder,
            "000007",
            points,
            lidar_pose=pose,
            objects=objects,
            infrastructure=infrastructure,
            speed=12.5,
        )
        record = read_agent_yaml(Path(folder, "000007.yaml"))
        cloud = read_bin(Path(folder, "000007.bin"), vehicle=False)
    np.testing.assert_array_equal(cloud[:, :3], points[:, :3])
    assert not cloud[:, 3].any()
    assert record.lidar_pose == pytest.approx(pose)
    assert record.infrastructure is infrastructure
    assert record.speed == 12.5
    assert {item.object_id for item in record.objects} == identities
    by_id = {item.object_id: item for item in record.objects}
    for item in objects:
        assert by_id[item.object_id].location == item.location
        assert by_id[item.object_id].angle == item.angle
        assert by_id[item.object_id].extent == item.extent
        assert by_id[item.object_id].obj_type == "Car"


@pytest.fixture(scope="module")
def labelled_frame(request):
    from types import SimpleNamespace

    def make(object_id, obj_type, location, angle):
        return SimpleNamespace(
            object_id=object_id,
            obj_type=obj_type,
            location=location,
            angle=angle,
            extent=(2.0, 1.0, 0.75),
        )

    return make


def test_a_vehicle_does_not_see_itself_but_a_roadside_unit_keeps_all(tmp_path):
    x_low, y_low, x_high, y_high = EGO_BODY
    rows = np.array(
        [
            [0.0, 0.0, -1.0, 9.0],
            [x_low, y_low, 0.0, 9.0],
            [x_high + 0.01, 0.0, 0.0, 9.0],
            [0.0, y_high + 0.01, 0.0, 9.0],
        ],
        np.float32,
    )
    rows.tofile(tmp_path / "a.bin")
    assert len(read_bin(tmp_path / "a.bin", vehicle=False)) == 4
    np.testing.assert_array_equal(read_bin(tmp_path / "a.bin", vehicle=True)[:, :3], rows[2:, :3])


def test_rows_without_a_finite_place_are_dropped_and_intensity_is_zero_whatever_it_was(tmp_path):
    rows = np.full((6, 4), 10.0, np.float32)
    rows[0, 0] = rows[1, 2] = np.nan
    rows[3:, 3] = np.nan
    rows[2, 1] = np.inf
    rows.tofile(tmp_path / "a.bin")
    cloud = read_bin(tmp_path / "a.bin", vehicle=True)
    np.testing.assert_array_equal(cloud, [[10.0, 10.0, 10.0, 0.0]] * 3)


@pytest.mark.parametrize("columns", [4, 5])
def test_four_and_five_columns_are_told_apart_where_the_size_allows_both(tmp_path, columns):
    generator = np.random.default_rng(0)
    rows = np.zeros((4000, columns), np.float32)
    rows[:, :3] = generator.normal(0.0, (30.0, 20.0, 1.0), (4000, 3))
    rows[:, 3:] = generator.uniform(0.0, 1.0, (4000, columns - 3))
    assert rows.nbytes % 80 == 0
    rows.tofile(tmp_path / "a.bin")
    cloud = read_bin(tmp_path / "a.bin", vehicle=False)
    np.testing.assert_array_equal(cloud[:, :3], rows[:, :3])


def test_the_number_of_columns_can_be_given(tmp_path):
    np.arange(20, dtype=np.float32).tofile(tmp_path / "a.bin")
    assert len(read_bin(tmp_path / "a.bin", vehicle=False, columns=5)) == 4
    with pytest.raises(DatasetError, match="80 bytes are not whole points of 24"):
        read_bin(tmp_path / "a.bin", vehicle=False, columns=6)


def test_a_truncated_cloud_is_named(tmp_path):
    (tmp_path / "000003.bin").write_bytes(b"\0" * 33)
    with pytest.raises(DatasetError, match=r"000003\.bin: 33 bytes are not whole points"):
        read_bin(tmp_path / "000003.bin", vehicle=True)
    with pytest.raises(DatasetError, match=r"none\.bin: the cloud cannot be read"):
        read_bin(tmp_path / "none.bin", vehicle=True)


@settings(max_examples=100, deadline=None)
@given(size=st.integers(1, 4000).filter(lambda size: size % 16 and size % 20))
def test_a_size_that_fits_no_point_is_named_with_what_would_fit(size):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.bin")
        path.write_bytes(bytes(size))
        with pytest.raises(DatasetError) as caught:
            read_bin(path, vehicle=True)
    text = str(caught.value)
    assert f"{size} bytes are not whole points of 16 or 20 bytes" in text
    assert f"{size // 16} points of 16 are {16 * (size // 16)} bytes" in text
    for width in (3, 6, 7, 8):
        fits = f"{size // (4 * width)} points of {width} float32 values" in text
        assert fits == (size % (4 * width) == 0)


def test_a_git_lfs_pointer_is_no_cloud_and_no_labels(tmp_path):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 999\n"
    for name, read in (
        ("a.bin", lambda path: read_bin(path, vehicle=True)),
        ("a.yaml", read_agent_yaml),
    ):
        (tmp_path / name).write_text(pointer)
        with pytest.raises(DatasetError, match=r"Git LFS pointer.*999 bytes.*git lfs pull"):
            read(tmp_path / name)


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=400))
def test_random_bytes_are_points_or_a_dataset_error(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.bin")
        path.write_bytes(content)
        try:
            cloud = read_bin(path, vehicle=True)
        except DatasetError:  # only for sizes that fit neither row length
            assert len(content) % 16
            assert len(content) % 20
        else:
            assert np.isfinite(cloud).all()


@settings(max_examples=150, deadline=None)
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_random_text_is_a_dataset_error(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.yaml")
        path.write_bytes(content)
        with pytest.raises(DatasetError, match=r"a\.yaml"):
            read_agent_yaml(path)


yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(pose=yaml_values, vehicles=yaml_values, item=yaml_values, infra=yaml_values)
def test_garbled_fields_never_raise_anything_else(pose, vehicles, item, infra):
    import yaml

    valid_pose = [0.0] * 6
    box = {"location": item, "angle": [0, 0, 0], "extent": [1, 1, 1]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.yaml")
        for document in (
            {"lidar_pose": pose},
            {"lidar_pose": valid_pose, "vehicles": vehicles},
            {"lidar_pose": valid_pose, "vehicles": {7: item}},
            {"lidar_pose": valid_pose, "vehicles": {7: box}},
            {"lidar_pose": valid_pose, "infra": infra, "ego_speed": item},
        ):
            path.write_text(yaml.safe_dump(document), encoding="utf-8")
            try:
                record = read_agent_yaml(path)
            except DatasetError:
                continue
            assert np.isfinite(record.lidar_pose).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vehicles: {}", "has no 'lidar_pose'"),
        ("lidar_pose: [1, 2, 3]", "lidar_pose must be 6 finite numbers"),
        ("lidar_pose: [0, 0, 0, 0, .nan, 0]", "lidar_pose must be 6 finite numbers"),
        ("lidar_pose: [0, 0, 0, 0, 0, 0]\nvehicles: [1]", "'vehicles' must map ids"),
        (
            "lidar_pose: [0, 0, 0, 0, 0, 0]\nvehicles: {3: {angle: [0, 0, 0]}}",
            "object 3 has no location and no extent",
        ),
        (
            "lidar_pose: [0, 0, 0, 0, 0, 0]\nvehicles: {3: {angle: [0, 0, 0], location: [0, 0, 0],"
            " extent: [1, -1, 1]}}",
            "extent of object 3 is negative",
        ),
        (
            f"lidar_pose: [0, 0, 0, 0, 0, 0]\nvehicles: {{{2**64}: {{}}}}",
            f"object id {2**64} has more than 64 bits",
        ),
        ("lidar_pose: [0, 0, 0, 0, 0, 0]\ninfra: maybe", "'infra' must be true or false"),
        ("lidar_pose: [1, 2", "not valid yaml"),
    ],
)
def test_what_is_wrong_with_a_yaml_is_said(tmp_path, text, message):
    path = tmp_path / "000001.yaml"
    path.write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_agent_yaml(path)


@pytest.mark.parametrize(
    ("points", "pose", "message"),
    [
        (np.zeros((3, 5), np.float32), [0.0] * 6, r"points must be \(P, 4\)"),
        (np.zeros((3, 4), np.float32), [0.0] * 5, "lidar_pose must be 6 finite numbers"),
        (np.zeros((3, 4), np.float32), [np.inf] * 6, "lidar_pose must be 6 finite numbers"),
    ],
)
def test_nothing_is_written_for_bad_arguments(tmp_path, points, pose, message):
    with pytest.raises(ValueError, match=message):
        write_agent_frame(
            tmp_path / "1", "000000", points, lidar_pose=pose, objects=[], infrastructure=False
        )
    assert not (tmp_path / "1").exists()


def test_every_object_type_has_a_class():
    assert set(OBJECT_TYPES.values()) == set(CLASSES)


def test_genuine_files_are_read(shared_dir, tmp_path):
    folder = shared_dir / "data" / "v2x_real_yaml"
    vehicle = read_agent_yaml(folder / "vehicle_1_000030.trimmed.yaml")
    roadside = read_agent_yaml(folder / "infra_2_000000.trimmed.yaml")
    assert (vehicle.infrastructure, roadside.infrastructure) == (False, True)
    assert vehicle.lidar_pose[:3] == (55.326, -94.818, 5.4259)
    assert [item.obj_type for item in roadside.objects] == [
        "Car",
        "Pedestrian",
        "Bus",
        "BicycleRider",
    ]
    # a yaml as the package writes it holds the same
    shutil.copy(folder / "vehicle_1_000030.trimmed.yaml", tmp_path / "original.yaml")
    write_agent_frame(
        tmp_path,
        "000030",
        np.zeros((0, 4), np.float32),
        lidar_pose=vehicle.lidar_pose,
        objects=vehicle.objects,
        infrastructure=False,
        speed=vehicle.speed,
    )
    assert read_agent_yaml(tmp_path / "000030.yaml") == vehicle
