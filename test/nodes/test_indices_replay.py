# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A log of the air is enough to fuse: replay of indices without any cloud."""

from __future__ import annotations

from time import monotonic as clock

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message, serialize_message

from quantv2x_msgs.msg import BevIndices, Codebook, DetectedObject3DArray
from quantv2x_ros.data.bag import BagReader
from quantv2x_ros.data.recording import RecordOptions, record_scenario
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.evaluation.index_recorder import IndexRecorder
from quantv2x_ros.graph.graph import cooperative_graph
from quantv2x_ros.graph.replay_source import ReplaySource, ReplaySourceError
from quantv2x_ros.graph.settings import GraphSettings
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.fusion.fusion import FusionNode
from quantv2x_ros.nodes.replay.bag_events import shift_packet
from quantv2x_ros.nodes.replay.bag_playlist import IndicesPlaylist
from quantv2x_ros.nodes.replay.replay import ReplayNode
from test.nodes.packet_messages import changed, heard, message_with, plain_packet

FRAMES = 6


def record(scenario_folder, bundle_folder, bag, storage="mcap", clouds=False):
    recorder = IndexRecorder(ModelBundle.load(bundle_folder), ["1", "2"], threads=1)
    options = RecordOptions(storage, ("1", "2"), clouds=clouds)
    record_scenario(Scenario.open(scenario_folder), bag, options, supplement=recorder)
    return bag


@pytest.fixture(scope="module", params=["mcap", "sqlite3"])
def bag(request, scenario_folder, bundle_folder, tmp_path_factory):
    """What two agents broadcast, and no clouds."""
    folder = tmp_path_factory.mktemp("indices") / "bag"
    return record(scenario_folder, bundle_folder, folder, request.param)


def fusion(ros, parameters, station=1):
    # whole sweeps, however busy the machine is: boxes are compared
    values = {"station_id": station, "peer_wait": 1.0, "peer_timeout": 0.15, "tile_timeout": 1.0}
    return ros.add(FusionNode(parameter_overrides=parameters(**values, clock_tolerance=60.0)))


def by_stamp(messages):
    return {(m.header.stamp.sec, m.header.stamp.nanosec): m for m in messages}


def play(ros, parameters, bag, station="1,"):
    objects = ros.collect(DetectedObject3DArray, "objects", 50)
    fusion(ros, parameters, int(station.split(",")[0]))
    values = {"path": str(bag), "agents": station, "pace": "results", "settle": 1.0}
    node = ros.add(
        ReplayNode(parameter_overrides=[Parameter(n, value=v) for n, v in values.items()])
    )
    ros.spin_until(lambda: node.finished or node.failure, timeout=600.0)
    assert node.failure is None
    assert len(objects) == FRAMES, "at its pace, every sweep is fused on the busiest machine"
    return objects


def test_replay_gives_the_same_boxes_as_the_messages_played_in_order(ros, parameters, bag):
    """As `ros2 bag play` does it: every message of the topics, in the bag's order."""
    replayed = play(ros, parameters, bag, "1,2")
    assert any(m.objects for m in replayed)
    assert all(tuple(m.contributing_stations) == (1, 2) for m in replayed)
    first = by_stamp(replayed)
    replayed.clear()
    ros.remove(next(node for node in ros.nodes if isinstance(node, FusionNode)))
    fusion(ros, parameters)
    air = ros.node.create_publisher(BevIndices, "/v2x/bev_indices", 10)
    ros.connect(air)
    with BagReader(bag) as reader:
        messages = [
            deserialize_message(m.data, BevIndices) for m in reader.messages(["/v2x/bev_indices"])
        ]
    for number in range(FRAMES):
        for message in messages:
            if heard(message).sequence == number:
                air.publish(message)
        ros.spin_until(lambda number=number: len(replayed) == number + 1, timeout=300.0)
    played = by_stamp(replayed)
    assert played == first


def test_another_station_can_be_the_ego(ros, parameters, bag):
    objects = play(ros, parameters, bag, "2,1")
    assert {m.contributing_stations[0] for m in objects} == {2}
    assert {m.header.frame_id for m in objects} == {"agent_2/lidar"}


def test_codebooks_are_known_before_the_first_indices(ros, bag):
    heard = []
    latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    for kind, topic, profile in ((Codebook, "codebook", latched), (BevIndices, "bev_indices", 100)):
        ros.node.create_subscription(
            kind, f"/v2x/{topic}", lambda _, name=topic: heard.append((name, clock())), profile
        )
    values = {"path": str(bag), "agents": "1,2", "wait_for": "any", "settle": 1.0}
    node = ros.add(
        ReplayNode(parameter_overrides=[Parameter(n, value=v) for n, v in values.items()])
    )
    ros.spin_until(lambda: node.finished or node.failure)
    assert node.failure is None
    announced = [time for name, time in heard if name == "codebook"]
    first = next(time for name, time in heard if name == "bev_indices")
    assert len(announced) == 2
    assert first - max(announced) > 0.5, "nodes get the time to take them in"
    assert node.report()[0] == f"played {FRAMES} sweeps of the ego", "however many messages"


def test_in_a_repetition_indices_are_later_by_the_bags_period(bag):
    playlist = IndicesPlaylist(bag, [1, 2])
    types = {"/v2x/bev_indices": BevIndices, "/v2x/codebook": Codebook}

    def played(offset_ns):
        events = [e for e in playlist.events(offset_ns) if types[e.topic] is BevIndices]
        return [heard(deserialize_message(event.message, BevIndices)) for event in events]

    first, again = played(0), played(playlist.period_ns)
    assert len(first) == len(again) > 0
    for one, other in zip(first, again, strict=True):
        stamp_ns = one.stamp_ns + playlist.period_ns
        assert other.message == changed(one.message, stamp_ns=stamp_ns)


def test_damage_to_a_packet_is_not_mended_in_a_repetition():
    damaged = message_with(plain_packet())
    damaged.packet[-1] ^= 1
    shifted = shift_packet(bytes(serialize_message(damaged)), 10**9)
    message = deserialize_message(shifted, BevIndices)
    assert message.header.stamp.sec == damaged.header.stamp.sec + 1
    assert message.packet == damaged.packet


def test_codebooks_are_announced_to_late_subscribers(bag):
    with BagReader(bag) as reader:
        assert reader.topics["/v2x/codebook"].transient_local
        announced = [
            deserialize_message(m.data, Codebook) for m in reader.messages(["/v2x/codebook"])
        ]
        packets = [
            heard(deserialize_message(m.data, BevIndices))
            for m in reader.messages(["/v2x/bev_indices"])
        ]
    assert [message.station_id for message in announced] == [1, 2]
    assert {m.map_frame for m in announced} == {"map"}
    assert {p.format_id for p in packets} == {m.format_id for m in announced}
    assert {p.station_id for p in packets} == {1, 2}


def test_the_graph_of_a_log_of_the_air_is_fusion_and_replay(bag, bundle_folder):
    source = ReplaySource.find(str(bag))
    assert source.indices_only
    settings = GraphSettings(bundle=str(bundle_folder), replay=str(bag))
    nodes = cooperative_graph(settings, source)
    assert [node.executable for node in nodes] == ["fusion", "replay"]
    assert nodes[0].parameters["station_id"] == 1
    assert nodes[1].parameters["indices"] is True


def test_indices_can_be_chosen_where_there_are_clouds(scenario_folder, bundle_folder, tmp_path):
    bag = record(scenario_folder, bundle_folder, tmp_path / "bag", clouds=True)
    assert not ReplaySource.find(str(bag)).indices_only
    source = ReplaySource.find(str(bag), "2,1", indices=True)
    assert (source.indices_only, source.agents) == (True, ("2", "1"))
    assert ReplaySource.find(str(bag), "2,1").agents == ("agent_2", "agent_1")


def test_a_dataset_has_no_indices(scenario_folder):
    with pytest.raises(ReplaySourceError, match="record --indices"):
        ReplaySource.find(str(scenario_folder), indices=True)
