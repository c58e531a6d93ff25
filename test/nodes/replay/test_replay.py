# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The replay node, alive: datasets and bags as topics, in time."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from rcl_interfaces.msg import Log
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from quantv2x_ros.core.geometry.pose import matrix_from_quaternion
from quantv2x_ros.data.bag import BagReader
from quantv2x_ros.data.bag_writer import BagWriter
from quantv2x_ros.data.errors import BagError, DatasetError
from quantv2x_ros.data.recording import START_STAMP, RecordOptions, record_scenario
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.graph.replay_source import ReplaySourceError
from quantv2x_ros.nodes.common.conversions import nanoseconds, time_message
from quantv2x_ros.nodes.common.managed import NodeError
from quantv2x_ros.nodes.common.point_cloud import cloud_from_message, message_from_points
from quantv2x_ros.nodes.replay.bag_events import shift_stamp
from quantv2x_ros.nodes.replay.replay import ReplayNode

MS = 1_000_000


class Heard:
    """What a replay with an ego and one peer publishes."""

    def __init__(self, ros, peer="agent_2"):
        self.ego = ros.collect(PointCloud2, "points", 50)
        self.peer = ros.collect(PointCloud2, f"{peer}/points", 50)
        self.ego_pose = ros.collect(PoseWithCovarianceStamped, "pose", 50)
        self.peer_pose = ros.collect(PoseWithCovarianceStamped, f"{peer}/pose", 50)
        self.truth = ros.collect(MarkerArray, "ground_truth", 50)
        self.clock = ros.collect(Clock, "/clock", 50)


def replay(ros, path, **values):
    values = {
        "path": str(path),
        "agents": "1,2",
        "rate": 2.0,
        "wait_for": "probe",
        "settle": 0.5,
        **values,
    }
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    return ros.add(ReplayNode(parameter_overrides=overrides))


def stamps(messages):
    return [(nanoseconds(m.header.stamp) - START_STAMP) // MS for m in messages]


def test_every_sweep_and_pose_is_played_once_in_order(ros, scenario_folder):
    heard = Heard(ros)
    node = replay(ros, scenario_folder)
    ros.spin_until(lambda: node.finished)
    for messages in (heard.ego, heard.peer, heard.ego_pose, heard.peer_pose):
        assert stamps(messages) == [0, 100, 200, 300, 400, 500]
    scenario = Scenario.open(scenario_folder)
    for number, frame in enumerate(scenario.frames()):
        cloud = cloud_from_message(heard.peer[number])
        np.testing.assert_array_equal(cloud.points, frame["2"].points)
        pose = heard.peer_pose[number].pose.pose
        matrix = matrix_from_quaternion(
            (pose.position.x, pose.position.y, pose.position.z),
            (pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w),
        )
        np.testing.assert_allclose(matrix, frame["2"].pose, atol=1e-9)
    assert {m.header.frame_id for m in heard.ego} == {"agent_1/lidar"}
    assert {m.header.frame_id for m in heard.ego_pose} == {"map"}


def test_the_labels_come_as_dashed_boxes_in_the_egos_frame(ros, scenario_folder):
    heard = Heard(ros)
    node = replay(ros, scenario_folder)
    ros.spin_until(lambda: node.finished)
    assert len(heard.truth) == 6
    boxes, _, _ = Scenario.open(scenario_folder).frame("000000").truth("1", ["1", "2"])
    drawn = heard.truth[0].markers[1:]
    assert len(drawn) == len(boxes) > 0
    assert {marker.header.frame_id for marker in drawn} == {"agent_1/lidar"}
    centres = [(m.points[-2].x, m.points[-2].y, m.points[-2].z) for m in drawn]
    np.testing.assert_allclose(centres, boxes[:, :3], atol=1e-5)


def test_the_sensors_are_in_tf2s_tree_and_the_ego_is_rvizs_fixed_frame(
    ros, scenario_folder, repository
):
    tf2_ros = pytest.importorskip("tf2_ros", reason="tf2_ros is not installed (nor on PyPI)")
    rviz = (repository / "rviz" / "cooperative.rviz").read_text(encoding="utf-8")
    fixed = yaml.safe_load(rviz)["Visualization Manager"]["Global Options"]["Fixed Frame"]
    buffer = tf2_ros.Buffer()
    listener = tf2_ros.TransformListener(buffer, ros.node)
    heard = Heard(ros)
    node = replay(ros, scenario_folder)
    ros.spin_until(lambda: node.finished)
    ros.spin_until(lambda: len(heard.peer) == 6)
    ros.spin_for(0.3)
    frame = Scenario.open(scenario_folder).frame("000003")
    stamp = Time(nanoseconds=START_STAMP + 300 * MS)
    for name, agent in ((fixed, "1"), ("agent_1/lidar", "1"), ("agent_2/lidar", "2")):
        found = buffer.lookup_transform("map", name, stamp).transform
        place, turn = found.translation, found.rotation
        matrix = matrix_from_quaternion(
            (place.x, place.y, place.z), (turn.x, turn.y, turn.z, turn.w)
        )
        np.testing.assert_allclose(matrix, frame[agent].pose, atol=1e-9)
    listener.unregister()


def test_the_clock_never_runs_back_nor_ahead_of_the_messages(ros, scenario_folder):
    order = []
    ros.node.create_subscription(
        Clock, "/clock", lambda m: order.append(("clock", nanoseconds(m.clock))), 50
    )
    ros.node.create_subscription(
        PointCloud2, "points", lambda m: order.append(("cloud", nanoseconds(m.header.stamp))), 50
    )
    node = replay(ros, scenario_folder, agents="1,")
    ros.spin_until(lambda: node.finished)
    times = [time for kind, time in order if kind == "clock"]
    assert times == sorted(times)
    assert times[0] == START_STAMP
    assert times[-1] == START_STAMP + 500 * MS
    assert len(set(times)) > 6, "time runs between the sweeps, too"


def test_playing_waits_for_subscribers(ros, scenario_folder):
    node = replay(ros, scenario_folder)
    clock = ros.collect(Clock, "/clock", 50)
    ros.spin_until(lambda: clock)
    ros.spin_for(1.5)
    assert {nanoseconds(message.clock) for message in clock} == {START_STAMP}
    heard = Heard(ros)
    ros.spin_until(lambda: node.finished)
    assert stamps(heard.ego) == [0, 100, 200, 300, 400, 500]


def test_playing_waits_for_its_listener_and_not_for_a_recorder(ros, scenario_folder):
    heard = Heard(ros)
    replay(ros, scenario_folder, wait_for="encoder")
    ros.spin_until(lambda: heard.clock)
    ros.spin_for(1.5)
    assert heard.ego == []


def test_after_a_wait_in_vain_it_names_what_nobody_listens_to_and_ends(ros, scenario_folder):
    clock = ros.collect(Clock, "/clock", 50)
    node = replay(ros, scenario_folder, wait=0.3, wait_for="encoder")
    ros.spin_until(lambda: node.failure)
    with pytest.raises(
        NodeError,
        match=r"after 0\.3 s no node encoder listens to /points \(heard by nobody\), "
        r"/agent_2/points \(heard by nobody\); .*wait_for.*wait 0\.0",
    ):
        raise node.failure
    assert {nanoseconds(message.clock) for message in clock} == {START_STAMP}


def test_after_the_wait_it_plays_to_others_than_it_waited_for_and_warns(ros, scenario_folder):
    log = ros.collect(Log, "/rosout", 50)
    heard = ros.collect(PointCloud2, "points", 50)
    node = replay(ros, scenario_folder, wait=0.3, wait_for="encoder", rate=5.0)
    ros.spin_until(lambda: node.finished)
    assert stamps(heard) == [0, 100, 200, 300, 400, 500]
    expected = (
        "after 0.3 s no node encoder listens to /points (heard by probe), /agent_2/points (heard "
        "by nobody); playing all the same"
    )
    assert expected in [message.msg for message in log]


@pytest.mark.parametrize("values", [{"wait": 0.0}, {"wait": 0.3, "loop": True}])
def test_without_a_wait_or_in_a_loop_it_plays_to_nobody(ros, scenario_folder, values):
    clock = ros.collect(Clock, "/clock", 50)
    node = replay(ros, scenario_folder, wait_for="encoder", rate=5.0, **values)
    ros.spin_until(lambda: clock and nanoseconds(clock[-1].clock) >= START_STAMP + 500 * MS)
    assert node.failure is None


def test_a_loop_goes_on_in_time(ros, scenario_folder):
    heard = Heard(ros)
    node = replay(ros, scenario_folder, loop=True, rate=5.0)
    ros.spin_until(lambda: len(heard.ego) >= 14)
    assert stamps(heard.ego)[:14] == [100 * number for number in range(14)]
    assert not node.finished


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_plays_as_the_scenario_in_it_does(ros, scenario_folder, tmp_path, storage):
    path = tmp_path / "bag"
    record_scenario(Scenario.open(scenario_folder), path, RecordOptions(storage))
    heard = Heard(ros)
    node = replay(ros, path, agents="agent_1,agent_2")
    ros.spin_until(lambda: node.finished)
    assert stamps(heard.ego) == stamps(heard.peer) == [0, 100, 200, 300, 400, 500]
    for number, frame in enumerate(Scenario.open(scenario_folder).frames()):
        np.testing.assert_array_equal(
            cloud_from_message(heard.ego[number]).points, frame["1"].points
        )


def test_what_else_is_in_a_bag_and_much_older_does_not_delay_it(ros, scenario_folder, tmp_path):
    """Such as diagnostics with the time of a node that had not heard the clock yet."""
    made = tmp_path / "made"
    record_scenario(Scenario.open(scenario_folder), made)
    bag = tmp_path / "bag"
    with BagReader(made) as source, BagWriter(bag) as target:
        target.add_topic("/old", "diagnostic_msgs/msg/DiagnosticArray")
        target.write("/old", 0, bytes(serialize_message(DiagnosticArray())))
        for topic in source.topics.values():
            target.add_topic(topic.name, topic.msgtype)
        for message in source.messages():
            target.write(message.topic, message.stamp, message.data)
    heard = Heard(ros)
    node = replay(ros, bag, agents="1,2", rate=5.0)
    ros.spin_until(lambda: node.finished)
    assert stamps(heard.ego) == [0, 100, 200, 300, 400, 500]


def retimed(made, bag, change):
    """Copy a bag; `change` gives a message's time of recording and its data."""
    with BagReader(made) as source, BagWriter(bag) as target:
        for topic in source.topics.values():
            target.add_topic(topic.name, topic.msgtype)
        for number, message in enumerate(source.messages()):
            stamp, data = change(number, message)
            target.write(message.topic, stamp, data)


def test_a_gap_of_an_hour_is_skipped_and_said(ros, scenario_folder, tmp_path):
    record_scenario(Scenario.open(scenario_folder), tmp_path / "made")
    hour = 3_600_000_000_000

    def change(_, message):
        late = hour if message.stamp >= START_STAMP + 300 * MS else 0
        return message.stamp + late, message.data

    retimed(tmp_path / "made", tmp_path / "bag", change)
    log = ros.collect(Log, "/rosout", 50)
    heard = Heard(ros)
    node = replay(ros, tmp_path / "bag", agents="1,2", rate=5.0)
    ros.spin_until(lambda: node.finished)
    assert stamps(heard.ego) == stamps(heard.peer) == [0, 100, 200, 300, 400, 500]
    assert nanoseconds(heard.clock[-1].clock) == START_STAMP + hour + 500 * MS
    (warning,) = [message.msg for message in log if "no message for" in message.msg]
    assert warning == (
        "no message for 1.0 hours, from 1600000000.200 s (2020-09-13 12:26:40 UTC) to"
        " 1600003600.300 s (2020-09-13 13:26:40 UTC): skipped (max_gap 10 s)"
    )


def test_a_short_gap_is_waited_for(ros, scenario_folder, tmp_path):
    record_scenario(Scenario.open(scenario_folder), tmp_path / "made")

    def change(_, message):
        late = 2_000 * MS if message.stamp >= START_STAMP + 300 * MS else 0
        return message.stamp + late, message.data

    retimed(tmp_path / "made", tmp_path / "bag", change)
    log = ros.collect(Log, "/rosout", 50)
    heard = Heard(ros)
    node = replay(ros, tmp_path / "bag", agents="1,2")
    ros.spin_until(lambda: node.finished)
    between = START_STAMP + 1_000 * MS
    assert any(abs(nanoseconds(m.clock) - between) < 500 * MS for m in heard.clock)
    assert not [message.msg for message in log if "no message for" in message.msg]


def test_messages_without_a_time_do_not_delay_the_others(ros, scenario_folder, tmp_path):
    """As `ros2 bag record --use-sim-time` writes them before its first clock."""
    record_scenario(Scenario.open(scenario_folder), tmp_path / "made")

    def change(_, message):
        return 0 if message.stamp < START_STAMP + 200 * MS else message.stamp, message.data

    retimed(tmp_path / "made", tmp_path / "bag", change)
    log = ros.collect(Log, "/rosout", 50)
    heard = Heard(ros)
    node = replay(ros, tmp_path / "bag", agents="1,2", rate=5.0)
    ros.spin_until(lambda: node.finished)
    assert stamps(heard.ego) == stamps(heard.peer) == [200, 300, 400, 500]
    assert min(nanoseconds(m.clock) for m in heard.clock) == START_STAMP + 200 * MS
    (warning,) = [message.msg for message in log if "no time" in message.msg]
    assert "10 messages have no time (0 s, the next one is at 1600000000.200 s" in warning
    assert "/agent_1/points 2, /agent_1/pose 2" in warning


def test_stamps_of_0_become_the_times_of_recording(ros, scenario_folder, tmp_path):
    record_scenario(Scenario.open(scenario_folder), tmp_path / "made")

    def change(_, message):
        is_blank = message.topic in ("/agent_1/points", "/agent_1/pose")
        return message.stamp, shift_stamp(message.data, -message.stamp if is_blank else 0)

    retimed(tmp_path / "made", tmp_path / "bag", change)
    log = ros.collect(Log, "/rosout", 50)
    heard = Heard(ros)
    node = replay(ros, tmp_path / "bag", agents="1,2", rate=5.0)
    ros.spin_until(lambda: node.finished)
    expected = [0, 100, 200, 300, 400, 500]
    for messages in (heard.ego, heard.ego_pose, heard.peer, heard.peer_pose):
        assert stamps(messages) == expected
    warnings = [message.msg for message in log if "stamps of 0" in message.msg]
    assert len(warnings) == 2


@pytest.mark.parametrize(
    "names", [{"pose_topic": "/ndt_pose"}, {"pose_source": "tf"}], ids=["pose_topic", "tf"]
)
def test_a_bag_with_other_topics_plays_with_the_parameters_that_name_them(
    ros, scenario_folder, tmp_path, names
):
    record_scenario(Scenario.open(scenario_folder), tmp_path / "made")
    renamed = {"/agent_1/points": "/velodyne_points", "/agent_1/pose": "/ndt_pose", "/tf": "/tf"}
    with BagReader(tmp_path / "made") as source, BagWriter(tmp_path / "bag") as target:
        for old, new in renamed.items():
            target.add_topic(new, source.topics[old].msgtype)
        for message in source.messages(renamed):
            target.write(renamed[message.topic], message.stamp, message.data)
    heard = Heard(ros)
    about = {"agents": "all", "points_topic": "/velodyne_points", "rate": 5.0, **names}
    node = replay(ros, tmp_path / "bag", **about)
    ros.spin_until(lambda: node.finished or node.failure)
    assert stamps(heard.ego) == stamps(heard.ego_pose) == [0, 100, 200, 300, 400, 500]
    for message, frame in zip(heard.ego_pose, Scenario.open(scenario_folder).frames(), strict=True):
        place = message.pose.pose.position
        np.testing.assert_allclose([place.x, place.y, place.z], frame["1"].pose[:3, 3], atol=1e-9)
    with pytest.raises(BagError, match=r"points_topic:=/velodyne_points pose_topic:=/ndt_pose"):
        replay(ros, tmp_path / "bag", agents="all")


def test_a_looped_bag_goes_on_in_time(ros, scenario_folder, tmp_path):
    path = tmp_path / "bag"
    record_scenario(Scenario.open(scenario_folder), path)
    heard = Heard(ros)
    replay(ros, path, agents="agent_1,agent_2", loop=True, rate=5.0)
    ros.spin_until(lambda: len(heard.peer) >= 8)
    assert stamps(heard.peer)[:8] == [100 * number for number in range(8)]


def test_a_shifted_message_differs_in_its_stamp_alone():
    points = np.ones((3, 4), np.float32)
    message = message_from_points(points, Header(stamp=time_message(1_999_999_999), frame_id="a"))
    shifted = shift_stamp(bytes(serialize_message(message)), 2)
    message.header.stamp = time_message(2_000_000_001)
    assert shifted == bytes(serialize_message(message))


@pytest.fixture
def damaged(scenario_folder, tmp_path):
    """Two frames of the scenario, to be damaged."""
    folder = tmp_path / "broken"
    for path in scenario_folder.rglob("00000[01].*"):
        target = folder / path.relative_to(scenario_folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("000001.yaml", None, "2/000001.yaml: the labels of 000001.bin are missing"),
        ("000001.bin", None, "2/000001.bin: the cloud of 000001.yaml is missing"),
        ("000001.bin", b"", "2/000001.bin: the cloud has no point"),
        ("000001.bin", b"123", "2/000001.bin: 3 bytes are not whole points"),
        ("000001.yaml", b"lidar_pose: nothing", "2/000001.yaml: lidar_pose must be 6 numbers"),
    ],
)
def test_a_damaged_file_costs_one_sweep_and_is_named(ros, damaged, name, content, problem):
    path = damaged / "2" / name
    path.unlink() if content is None else path.write_bytes(content)
    log = ros.collect(Log, "/rosout", 50)
    heard = Heard(ros)
    node = replay(ros, damaged, loop=True, rate=5.0)
    ros.spin_until(lambda: len(heard.ego) >= 6)
    assert stamps(heard.ego)[:6] == [0, 100, 200, 300, 400, 500]
    assert stamps(heard.peer)[:2] == [0, 200]
    assert node.failure is None
    assert len([message.msg for message in log if f"broken/{problem}" in message.msg]) == 1


def test_an_ego_without_one_whole_sweep_ends_the_node(ros, damaged):
    for path in (damaged / "1").glob("*.bin"):
        path.write_bytes(b"123")
    Heard(ros)
    node = replay(ros, damaged)
    ros.spin_until(lambda: node.failure is not None)
    assert isinstance(node.failure, DatasetError)
    assert "1/000000.bin: 3 bytes" in str(node.failure)
    assert not node.finished


def test_unknown_agents_end_the_start_with_those_there_are(ros, scenario_folder):
    with pytest.raises(ReplaySourceError, match="1, 2, -1"):
        replay(ros, scenario_folder, agents="1,5")
