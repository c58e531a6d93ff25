# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A scenario as a bag: what is in it, and that an interruption loses nothing."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.core.geometry.pose import matrix_from_quaternion
from quantv2x_ros.data.bag import BagReader
from quantv2x_ros.data.errors import BagError, DatasetError
from quantv2x_ros.data.message_types import deserialize
from quantv2x_ros.data.recording import RecordOptions, record_scenario
from quantv2x_ros.data.scenario import Scenario


class StopError(Exception):
    """An interruption."""


def contents(path):
    with BagReader(path) as bag:
        return [(m.topic, m.stamp, m.data) for m in bag.messages()]


def interrupt_after(frames):
    left = [frames]

    def progress():
        left[0] -= 1
        if left[0] == 0:
            raise StopError

    return progress


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_an_interrupted_recording_goes_on_where_it_was(tmp_path, small_scenario, storage):
    folder = small_scenario(frames=4)
    options = RecordOptions(storage)
    record_scenario(Scenario.open(folder), tmp_path / "whole", options)
    with pytest.raises(StopError):
        record_scenario(Scenario.open(folder), tmp_path / "bag", options, interrupt_after(3))
    assert not (tmp_path / "bag").exists(), "a bag is whole or not there"
    scenario = Scenario.open(folder)
    for timestamp in scenario.timestamps[:3]:
        for cloud in folder.rglob(f"{timestamp}.bin"):
            cloud.write_bytes(b"no cloud")  # complete frames are not read again
    record_scenario(scenario, tmp_path / "bag", options)
    assert contents(tmp_path / "bag") == contents(tmp_path / "whole")
    assert not (tmp_path / "bag.partial").exists()


def test_frames_of_another_recording_are_not_mixed_in(tmp_path, small_scenario):
    folder = small_scenario(frames=3)
    with pytest.raises(StopError):
        record_scenario(Scenario.open(folder), tmp_path / "bag", progress=interrupt_after(1))
    with pytest.raises(DatasetError, match=r"bag\.partial: it holds an interrupted recording"):
        record_scenario(Scenario.open(folder), tmp_path / "bag", RecordOptions(clouds=False))


def test_a_bag_that_is_there_is_left_alone(tmp_path, small_scenario):
    scenario = Scenario.open(small_scenario(frames=1))
    record_scenario(scenario, tmp_path / "bag")
    before = contents(tmp_path / "bag")
    with pytest.raises(BagError, match="it exists already"):
        record_scenario(scenario, tmp_path / "bag")
    assert contents(tmp_path / "bag") == before


def test_the_labels_are_boxes_in_the_map(tmp_path, small_scenario):
    scenario = Scenario.open(small_scenario(frames=1))
    record_scenario(scenario, tmp_path / "bag")
    (data,) = [data for topic, _, data in contents(tmp_path / "bag") if topic == "/ground_truth"]
    first, *cubes = deserialize("visualization_msgs/msg/MarkerArray", data).markers
    assert first.action == 3, "what was shown before is deleted"
    frame = scenario.frame(scenario.timestamps[0])
    objects = {item.object_id: item for a in scenario.agents for item in frame[a].objects}
    assert {cube.id for cube in cubes} == set(objects)
    for cube in cubes:
        turn, place = cube.pose.orientation, cube.pose.position
        matrix = matrix_from_quaternion(
            (place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w)
        )
        np.testing.assert_allclose(matrix, objects[cube.id].object_to_map, atol=1e-9)
        assert cube.header.frame_id == "map"


def test_the_sensors_are_in_the_tree_of_transforms(tmp_path, small_scenario):
    scenario = Scenario.open(small_scenario(frames=1))
    record_scenario(scenario, tmp_path / "bag")
    (data,) = [data for topic, _, data in contents(tmp_path / "bag") if topic == "/tf"]
    transforms = deserialize("tf2_msgs/msg/TFMessage", data).transforms
    assert {t.child_frame_id for t in transforms} == {
        "agent_1/lidar",
        "agent_2/lidar",
        "agent_m1/lidar",
    }
    frame = scenario.frame(scenario.timestamps[0])
    place = transforms[0].transform.translation
    np.testing.assert_allclose([place.x, place.y, place.z], frame["1"].pose[:3, 3])


def test_chosen_agents_without_clouds(tmp_path, small_scenario):
    scenario = Scenario.open(small_scenario(frames=1))
    options = RecordOptions(agents=("2",), clouds=False, truth=False)
    record_scenario(scenario, tmp_path / "bag", options)
    assert {topic for topic, _, _ in contents(tmp_path / "bag")} == {"/agent_2/pose", "/tf"}
    with pytest.raises(DatasetError, match="no agent 9"):
        record_scenario(scenario, tmp_path / "other", RecordOptions(agents=("9",)))
