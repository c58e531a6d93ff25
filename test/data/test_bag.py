# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""rosbag2 recordings: what goes in comes out, and what is broken is named."""

import numpy as np
import pytest

from quantv2x_ros.data.bag import BagReader
from quantv2x_ros.data.bag_writer import STORAGES, BagWriter
from quantv2x_ros.data.errors import BagError, DatasetError
from quantv2x_ros.data.message_types import deserialize, message_types, serialize
from quantv2x_ros.data.recorded_messages import (
    MARKERS_TYPE,
    POINTS_TYPE,
    POSE_TYPE,
    TRANSFORM_TYPE,
    serialize_cloud,
)
from quantv2x_ros.data.recording import (
    RecordOptions,
    frame_stamp,
    points_topic,
    pose_topic,
    record_scenario,
)
from quantv2x_ros.data.scenario import Scenario

BOTH = pytest.mark.parametrize("storage", sorted(STORAGES))


def bev_indices(packet):
    """A BevIndices with some bytes."""
    make = message_types().types
    time = make["builtin_interfaces/msg/Time"](1, 2)
    return make["quantv2x_msgs/msg/BevIndices"](
        header=make["std_msgs/msg/Header"](time, "agent_1/lidar"),
        packet=np.frombuffer(packet, np.uint8),
    )


@BOTH
def test_a_recorded_scenario_holds_every_sweep_and_pose(tmp_path, small_scenario, storage):
    scenario = Scenario.open(small_scenario(frames=3))
    steps = []
    path = tmp_path / "bag"
    assert record_scenario(scenario, path, RecordOptions(storage), lambda: steps.append(1)) == 24
    assert len(steps) == 3
    with BagReader(path) as bag:
        assert {topic.name: (topic.msgtype, topic.count) for topic in bag.topics.values()} == {
            **{points_topic(agent): (POINTS_TYPE, 3) for agent in ("1", "2", "-1")},
            **{pose_topic(agent): (POSE_TYPE, 3) for agent in ("1", "2", "-1")},
            "/tf": (TRANSFORM_TYPE, 3),
            "/ground_truth": (MARKERS_TYPE, 3),
        }
        assert (bag.start, bag.end) == (frame_stamp(0), frame_stamp(2))
        messages = list(bag.messages())
    assert [m.stamp for m in messages] == sorted(m.stamp for m in messages)
    clouds = [m for m in messages if m.topic == "/agent_m1/points"]
    for index, message in enumerate(clouds):
        assert message.stamp == frame_stamp(index)
        cloud = deserialize(message.msgtype, message.data)
        expected = scenario.frame(scenario.timestamps[index])["-1"].points
        assert cloud.header.frame_id == "agent_m1/lidar"
        assert (cloud.width, cloud.point_step) == (len(expected), 16)
        np.testing.assert_array_equal(
            np.frombuffer(cloud.data, np.float32).reshape(-1, 4), expected
        )


@BOTH
def test_poses_survive_with_their_rotation(tmp_path, small_scenario, storage):
    from quantv2x_ros.core.geometry.pose import matrix_from_quaternion

    scenario = Scenario.open(small_scenario(frames=1))
    record_scenario(scenario, tmp_path / "bag", RecordOptions(storage))
    with BagReader(tmp_path / "bag") as bag:
        for message in bag.messages(["/agent_2/pose"]):
            pose = deserialize(message.msgtype, message.data)
            place, turn = pose.pose.pose.position, pose.pose.pose.orientation
            matrix = matrix_from_quaternion(
                (place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w)
            )
            np.testing.assert_allclose(matrix, scenario.frame("000000")["2"].pose, atol=1e-9)
            assert pose.header.frame_id == "map"


@BOTH
def test_messages_of_this_package_are_recorded_with_their_definition(tmp_path, storage):
    data = serialize("quantv2x_msgs/msg/BevIndices", bev_indices(b"\x01\x02\xff"))
    with BagWriter(tmp_path / "bag", storage) as bag:
        bag.add_topic("/v2x/bev_indices", "quantv2x_msgs/msg/BevIndices")
        bag.add_topic("/v2x/codebook", "quantv2x_msgs/msg/Codebook", transient_local=True)
        bag.write("/v2x/bev_indices", 5, data)
    with BagReader(tmp_path / "bag") as bag:
        assert not bag.topics["/v2x/bev_indices"].transient_local
        assert bag.topics["/v2x/codebook"].transient_local
        assert bag.topics["/v2x/codebook"].count == 0
        (message,) = bag.messages()
    assert message.data == data
    read = deserialize(message.msgtype, message.data)
    assert bytes(read.packet) == b"\x01\x02\xff"
    assert read.header.frame_id == "agent_1/lidar"


@BOTH
def test_chosen_topics_only(tmp_path, small_scenario, storage):
    record_scenario(
        Scenario.open(small_scenario(frames=2)), tmp_path / "bag", RecordOptions(storage)
    )
    with BagReader(tmp_path / "bag") as bag:
        assert {m.topic for m in bag.messages(["/agent_1/pose"])} == {"/agent_1/pose"}
        assert list(bag.messages([])) == []
        with pytest.raises(BagError, match=r"no topic /nobody\. Choose from /agent_1/points"):
            bag.messages(["/nobody"])


def test_a_single_file_is_a_bag(tmp_path, small_scenario):
    record_scenario(
        Scenario.open(small_scenario(frames=1)), tmp_path / "bag", RecordOptions("mcap")
    )
    with BagReader(tmp_path / "bag" / "bag.mcap") as bag:
        assert len(list(bag.messages())) == 8


def test_what_is_no_bag_is_refused(tmp_path):
    with pytest.raises(BagError, match=r"nowhere: there is no such bag"):
        BagReader(tmp_path / "nowhere")
    with pytest.raises(BagError, match=r"no metadata\.yaml"):
        BagReader(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(BagError, match=r"notes\.txt: it cannot be read as rosbag2"):
        BagReader(tmp_path / "notes.txt")


@BOTH
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_bag_is_named(tmp_path, small_scenario, storage, kept):
    path = tmp_path / "bag"
    record_scenario(Scenario.open(small_scenario(frames=4)), path, RecordOptions(storage))
    (file,) = [item for item in path.iterdir() if item.suffix in (".mcap", ".db3")]
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(BagError, match="bag: it cannot be read as rosbag2"), BagReader(path) as bag:
        list(bag.messages())


@BOTH
def test_broken_metadata_is_named(tmp_path, small_scenario, storage):
    record_scenario(
        Scenario.open(small_scenario(frames=1)), tmp_path / "bag", RecordOptions(storage)
    )
    (tmp_path / "bag" / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    with pytest.raises(BagError, match="it cannot be read as rosbag2"):
        BagReader(tmp_path / "bag")


def test_a_bag_is_never_overwritten(tmp_path):
    (tmp_path / "bag").mkdir()
    with pytest.raises(BagError, match="exists already"):
        BagWriter(tmp_path / "bag")
    with pytest.raises(BagError, match=r"storage 'rosbag1' is unknown\. Choose mcap or sqlite3"):
        BagWriter(tmp_path / "other", "rosbag1")
    assert not (tmp_path / "other").exists()


def test_topics_need_a_known_type_and_come_first(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        with pytest.raises(BagError, match="type 'other_msgs/msg/Thing' of topic /thing is"):
            bag.add_topic("/thing", "other_msgs/msg/Thing")
        with pytest.raises(BagError, match="topic /thing was not added"):
            bag.write("/thing", 0, b"")
        bag.add_topic("/thing", POSE_TYPE)
        with pytest.raises(BagError, match="topic /thing is there already"):
            bag.add_topic("/thing", POSE_TYPE)


def test_bytes_that_are_no_message_are_refused():
    with pytest.raises(DatasetError, match="3 bytes are no such message"):
        deserialize(POINTS_TYPE, b"abc")


def test_rclpy_reads_the_serialized_messages():
    serialization = pytest.importorskip("rclpy.serialization", reason="needs ROS 2's rclpy")
    messages = pytest.importorskip("sensor_msgs.msg", reason="needs ROS 2's sensor_msgs")
    points = np.arange(12, dtype=np.float32).reshape(3, 4)
    data = serialize_cloud(points, "lidar", 7_000_000_005)
    cloud = serialization.deserialize_message(data, messages.PointCloud2)
    assert (cloud.header.stamp.sec, cloud.header.stamp.nanosec) == (7, 5)
    assert [field.name for field in cloud.fields] == ["x", "y", "z", "intensity"]
    np.testing.assert_array_equal(np.frombuffer(cloud.data, np.float32).reshape(3, 4), points)
