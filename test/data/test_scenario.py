# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scenarios: layouts, truth around an ego, cooperation modes, damaged folders."""

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.geometry.pose import matrix_from_v2x, transform_points
from quantv2x_ros.data.agent_names import agent_namespace, station_id
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.modes import select_agents
from quantv2x_ros.data.scenario import Scenario, find_scenarios


def test_a_nested_scenario_lists_vehicles_before_infrastructure(small_scenario):
    scenario = Scenario.open(small_scenario(frames=3))
    assert scenario.agents == ["1", "2", "-1"]
    assert scenario.timestamps == ["000000", "000001", "000002"]
    assert [frame.timestamp for frame in scenario.frames()] == scenario.timestamps
    frame = scenario.frame("000001")
    assert [item.infrastructure for item in frame.agents.values()] == [False, False, True]
    assert frame["-1"].points.shape == (500, 4)
    assert len(frame["1"].points) <= 500


def test_truth_merges_labels_by_id_in_the_ego_frame_without_the_ego(small_scenario):
    frame = Scenario.open(small_scenario()).frame("000000")
    boxes, labels, ids = frame.truth("2")
    # 11 is the car of agent 1, 12 the ego itself; 15 is of no class that counts
    assert dict(zip(ids.tolist(), labels.tolist(), strict=True)) == {11: 1, 14: 3, 13: 2}
    by_id = dict(zip(ids.tolist(), boxes, strict=True))
    # agent 2 stands at (40, 20), turned by 180 degrees
    np.testing.assert_allclose(by_id[11][:6], [30.0, 0.0, -1.1, 4.0, 2.0, 1.5], atol=1e-4)
    assert abs(abs(by_id[11][6]) - np.pi) < 1e-6
    np.testing.assert_allclose(by_id[14][:3], [20.0, 5.0, -0.3], atol=1e-4)
    assert by_id[14][6] == pytest.approx(-np.pi / 2)


def test_a_turned_agent_sees_the_same_places_of_the_map(small_scenario):
    frame = Scenario.open(small_scenario()).frame("000000")
    turned = frame.turned({"-1": 0.7, "2": 0.0})
    assert turned["2"] is frame["2"]
    assert turned["-1"].turn == 0.7
    assert not np.allclose(turned["-1"].points, frame["-1"].points)
    places = [transform_points(f["-1"].points, f["-1"].pose) for f in (frame, turned)]
    np.testing.assert_allclose(places[1], places[0], atol=1e-3)
    for first, second in zip(frame.truth("1"), turned.truth("1"), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_levelled_agent_sees_the_same_places_of_the_map(small_scenario):
    frame = Scenario.open(small_scenario()).frame("000000")
    level = matrix_from_v2x([0, 0, 0.4, 3.0, 0.0, -2.0])
    levelled = frame.levelled({"1": level, "-1": level, "2": None}).turned({"-1": 0.7})
    assert levelled["2"] is frame["2"]
    for name in ("1", "-1"):
        assert not np.allclose(levelled[name].points, frame[name].points)
        places = [transform_points(f[name].points, f[name].pose) for f in (frame, levelled)]
        np.testing.assert_allclose(places[1], places[0], atol=1e-3)
        np.testing.assert_allclose(levelled[name].lidar_pose, frame[name].pose, atol=1e-9)
    with pytest.raises(ValueError, match="levelled once"):
        levelled["1"].levelled(level)


def test_truth_around_a_levelled_ego_is_in_its_lidar_frame(small_scenario):
    frame = Scenario.open(small_scenario()).frame("000000")
    level = matrix_from_v2x([0, 0, 0.4, 3.0, 0.0, -2.0])
    levelled = frame.levelled({"1": level})
    for first, second in zip(frame.truth("1"), levelled.truth("1"), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)
    boxes = levelled.truth("1", levelled=True).boxes
    np.testing.assert_allclose(
        boxes[:, :3], transform_points(frame.truth("1").boxes, level), atol=1e-4
    )


def test_truth_of_chosen_agents_only(small_scenario):
    frame = Scenario.open(small_scenario()).frame("000000")
    assert sorted(frame.truth("1", []).ids) == [12, 13]
    assert sorted(frame.truth("1", ["2"]).ids) == [12, 13, 14]
    assert sorted(frame.truth("-1").ids) == [11, 12, 13, 14]


def test_a_center_offset_turns_with_the_object(tmp_path, small_scenario, labelled_object):
    root = small_scenario(frames=1)
    path = root / "1" / "000000.yaml"
    path.write_text(
        "lidar_pose: [0, 0, 0, 0, 0, 0]\ninfra: false\nvehicles:\n"
        "  5: {location: [10, 0, 1], center: [2, 0, 0.5], angle: [0, 90, 0],"
        " extent: [2, 1, 1], obj_type: Car}\n"
    )
    box = Scenario.open(root).frame("000000").truth("1", []).boxes[0]
    np.testing.assert_allclose(box[:3], [10.0, 2.0, 1.5], atol=1e-5)


angles = st.floats(-20.0, 20.0)


@given(
    ego=st.tuples(*[st.floats(-100, 100)] * 3, angles, st.floats(-180, 180), angles),
    body=st.tuples(*[st.floats(-100, 100)] * 3, angles, st.floats(-180, 180), angles),
)
def test_heading_is_that_of_the_full_rotation(ego, body):
    from quantv2x_ros.data.agent_yaml import ObjectRecord
    from quantv2x_ros.data.frame import WorldObject

    record = ObjectRecord(1, "Car", body[:3], (0.0, 0.0, 0.0), body[3:6], (2.0, 1.0, 1.0))
    box = WorldObject.from_record(record, 1).box_in(matrix_from_v2x(ego))
    # a point ahead of the object, brought to the ego frame through the map
    ahead = matrix_from_v2x(body) @ [1.0, 0.0, 0.0, 1.0]
    seen = np.linalg.inv(matrix_from_v2x(ego)) @ ahead
    heading = np.arctan2(seen[1] - box[1], seen[0] - box[0])
    assert np.cos(heading - box[6]) == pytest.approx(1.0, abs=1e-9)


def test_communication_range_is_horizontal_and_keeps_the_ego_first(small_scenario):
    frame = Scenario.open(small_scenario(frames=1)).frame("000000")
    assert frame.agents_in_range("2", 70.0) == ["2", "1", "-1"]
    assert frame.agents_in_range("2", 20.0) == ["2", "-1"]
    assert frame.agents_in_range("2", 0.0) == ["2"]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("vc", ["1", "2", "-1"]), ("ic", ["-1", "1", "2"]), ("v2v", ["1", "2"]), ("i2i", ["-1"])],
)
def test_modes_choose_ego_and_peers(small_scenario, mode, expected):
    frame = Scenario.open(small_scenario(frames=1)).frame("000000")
    assert select_agents(frame, mode) == expected


def test_modes_respect_the_range_and_a_chosen_ego(small_scenario):
    frame = Scenario.open(small_scenario(frames=1, far_agent=True)).frame("000000")
    assert select_agents(frame, "vc", ego="2") == ["2", "1"]
    assert select_agents(frame, "ic") == ["-1"]
    with pytest.raises(DatasetError, match="needs a vehicle as ego, agent -1 is none"):
        select_agents(frame, "v2v", ego="-1")
    with pytest.raises(ValueError, match="mode must be one of vc, ic, v2v, i2i"):
        select_agents(frame, "v2x")


def test_transforms_from_the_ego(small_scenario):
    frame = Scenario.open(small_scenario(frames=1)).frame("000000")
    transforms = frame.ego_to_agents(["1", "2"])
    np.testing.assert_allclose(transforms[0], np.eye(4), atol=1e-12)
    np.testing.assert_allclose(transforms[1] @ [0, 0, 0, 1], [30.0, 0.0, 0.0, 1.0], atol=1e-9)


def test_a_missing_yaml_is_named(small_scenario):
    root = small_scenario()
    (root / "2" / "000001.yaml").unlink()
    with pytest.raises(DatasetError, match=r"2/000001\.yaml: the labels of 000001\.bin are"):
        Scenario.open(root)


def test_a_missing_cloud_is_named(small_scenario):
    root = small_scenario()
    (root / "-1" / "000000.bin").unlink()
    with pytest.raises(DatasetError, match=r"-1/000000\.bin: the cloud of 000000\.yaml is"):
        Scenario.open(root)


def test_a_file_that_vanishes_or_breaks_later_is_named(small_scenario):
    root = small_scenario()
    scenario = Scenario.open(root)
    frame = scenario.frame("000000")
    (root / "1" / "000000.bin").write_bytes(b"12345")
    with pytest.raises(DatasetError, match=r"1/000000\.bin: 5 bytes"):
        frame["1"].points  # noqa: B018 - read at the first use
    (root / "1" / "000001.yaml").write_text("{")
    with pytest.raises(DatasetError, match=r"1/000001\.yaml: it is not valid yaml"):
        scenario.frame("000001")


def test_an_absent_agent_or_moment_is_named_with_the_choice(small_scenario):
    root = small_scenario()
    for path in (root / "2").glob("000001.*"):
        path.unlink()
    scenario = Scenario.open(root)
    frame = scenario.frame("000001")
    assert list(frame.agents) == ["1", "-1"]
    with pytest.raises(DatasetError, match=r"no agent '2' at timestamp 000001.*one of 1, -1"):
        frame["2"]
    with pytest.raises(DatasetError, match=r"no timestamp '77'.*000000 to 000001"):
        scenario.frame("77")


def test_a_folder_that_is_no_scenario_is_refused(tmp_path, small_scenario):
    root = small_scenario()
    with pytest.raises(DatasetError, match=r"holds no agents.*scenarios in it: crossing"):
        Scenario.open(root.parent)
    with pytest.raises(DatasetError, match="no such folder"):
        Scenario.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="Give the folder of one scenario"):
        Scenario.open(tmp_path / "empty")


def test_scenarios_are_found_at_any_depth(tmp_path, small_scenario):
    root = small_scenario()
    for start in (root, root.parent, tmp_path):
        assert find_scenarios(start) == [root]
    with pytest.raises(DatasetError, match="no scenario in it"):
        find_scenarios(root / "1")


def test_scenarios_are_found_through_links_once_each(tmp_path, small_scenario):
    root = small_scenario()
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    (chosen / "one").symlink_to(root)
    (chosen / "one_again").symlink_to(root)
    (root / "back").symlink_to(chosen)
    assert find_scenarios(chosen) == [chosen / "one"]
    assert Scenario.open(chosen / "one").timestamps == Scenario.open(root).timestamps


def test_hidden_folders_hold_no_scenarios(tmp_path, small_scenario):
    root = small_scenario()
    shutil.copytree(root, root.parent / ".unfinished")
    assert find_scenarios(tmp_path) == [root]


def test_v2x_real_objects_need_a_type(small_scenario):
    root = small_scenario(frames=1)
    path = root / "1" / "000000.yaml"
    path.write_text(path.read_text().replace("obj_type: Car", "other: Car"))
    with pytest.raises(DatasetError, match="object 12 has no obj_type"):
        Scenario.open(root).frame("000000")


def test_a_flat_folder_needs_both_files(tmp_path, shared_dir):
    source = shared_dir / "data" / "opv2v_format_5agents"
    for name in ("0.yaml", "0_lidar.pcd", "1_lidar.pcd"):
        (tmp_path / name).symlink_to(source / name)
    with pytest.raises(DatasetError, match=r"1\.yaml: the labels of 1_lidar\.pcd are missing"):
        Scenario.open(tmp_path)
    (tmp_path / "1_lidar.pcd").unlink()
    (tmp_path / "1.yaml").symlink_to(source / "1.yaml")
    with pytest.raises(DatasetError, match=r"1_lidar\.pcd: the cloud of 1\.yaml is missing"):
        Scenario.open(tmp_path)


def test_five_real_opv2v_agents_agree_on_where_the_vehicles_are(shared_dir):
    """Points, poses and boxes fit without any flip: boxes hold the points near them."""
    scenario = Scenario.open(shared_dir / "data" / "opv2v_format_5agents")
    assert scenario.agents == ["0", "1", "2", "3", "4"]
    frame = scenario.frame(scenario.timestamps[0])
    assert [item.infrastructure for item in frame.agents.values()] == [True] + [False] * 4
    for ego in frame.agents:
        boxes, labels, ids = frame.truth(ego)
        assert set(labels) == {1}
        assert len(set(ids.tolist())) == len(ids) >= 25
        transforms = np.linalg.inv(frame.ego_to_agents([ego, *frame.agents]))[1:]
        union = np.concatenate(
            [
                item.points[:, :3] @ matrix[:3, :3].T + matrix[:3, 3]
                for item, matrix in zip(frame.agents.values(), transforms, strict=True)
            ]
        )
        shares = [share for box in boxes if (share := share_inside(union, box)) is not None]
        assert len(shares) >= 20
        # mirrored points would leave most boxes beside their vehicles
        assert np.mean(np.array(shares) > 0.8) >= 0.9


def share_inside(points, box):
    """Share of the points in and around a box, above its lowest 0.3 m, that are inside."""
    offset = points - box[:3]
    cos, sin = np.cos(box[6]), np.sin(box[6])
    local = np.abs(
        np.stack(
            [offset[:, 0] * cos + offset[:, 1] * sin, offset[:, 1] * cos - offset[:, 0] * sin],
            axis=1,
        )
    )
    standing = (offset[:, 2] > 0.3 - box[5] / 2) & (offset[:, 2] < box[5] / 2 + 0.1)
    near = standing & (local < box[3:5] / 2 + 0.7).all(axis=1)
    inside = standing & (local < box[3:5] / 2 + 0.1).all(axis=1)
    return inside.sum() / near.sum() if near.sum() >= 10 else None


def test_opv2v_ground_lies_where_the_sensor_height_says(shared_dir):
    frame = Scenario.open(shared_dir / "data" / "opv2v_format_5agents").frame("000000")
    for agent in frame.agents.values():
        near = agent.points[np.hypot(*agent.points[:, :2].T) < 20.0]
        heights, edges = np.histogram(near[:, 2], bins=np.arange(-6.0, 4.0, 0.2))
        ground = edges[heights.argmax()] + 0.1
        assert agent.pose[2, 3] + ground == pytest.approx(0.0, abs=0.25)


@pytest.mark.parametrize(
    ("agent", "namespace", "station"),
    [
        ("1", "agent_1", 1),
        ("0", "agent_0", 0),
        ("-1", "agent_m1", 1_000_000_001),
        ("650", "agent_650", 650),
        ("left_lane", "agent_left_lane", 2169178241),
        ("a-b", "agent_ax2db", None),
    ],
)
def test_names_of_agents(agent, namespace, station):
    assert agent_namespace(agent) == namespace
    if station is not None:
        assert station_id(agent) == station


@given(st.sets(st.integers(-999_999_999, 999_999_999).map(str), min_size=2, max_size=9))
def test_numbered_agents_have_distinct_station_ids_and_namespaces(agents):
    assert len({station_id(agent) for agent in agents}) == len(agents)
    assert len({agent_namespace(agent) for agent in agents}) == len(agents)
    assert all(0 <= station_id(agent) < 2**32 for agent in agents)


@given(st.text(min_size=1, max_size=12))
def test_any_name_gives_a_valid_station_and_namespace(agent):
    import re

    assert 0 <= station_id(agent) < 2**32
    assert re.fullmatch(r"[a-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", agent_namespace(agent))
