# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The fusion node, alive, over real topics."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock
from visualization_msgs.msg import Marker, MarkerArray

from quantv2x_msgs.msg import BevIndices, DetectedObject3DArray
from quantv2x_ros.core.geometry.packed_pose import POSE_BYTES, PoseSpread, sent_pose
from quantv2x_ros.core.geometry.pose import matrix_from_v2x, transform_between
from quantv2x_ros.core.peers.key_ring import generate_keys, load_private_key
from quantv2x_ros.core.peers.signing import KINDS, kind_of, sign
from quantv2x_ros.core.transport.packet import STAMP_AT, seal, unpack
from quantv2x_ros.core.transport.packet_format import format_id
from quantv2x_ros.core.transport.packet_sizes import HEADER_BYTES
from quantv2x_ros.core.transport.packet_tiles import SweepSource, packets_of
from quantv2x_ros.core.transport.sweep_sender import SendSettings, SweepSender
from quantv2x_ros.core.transport.tiles import TilePlace, TileSettings
from quantv2x_ros.graph.parameters.parameter import ParameterError
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.air.heard_packet import message_of
from quantv2x_ros.nodes.air.index_format import IndexFormat
from quantv2x_ros.nodes.common.conversions import time_message
from quantv2x_ros.nodes.fusion.fusion import FusionNode
from test.core.peers.tables import tables_keyed_by
from test.nodes.packet_messages import changed

MS = 1_000_000
#: As receivers get them.
EGO_POSE = sent_pose(matrix_from_v2x([100.0, 50.0, 1.8, 0.5, 30.0, -0.5]))
PEER_POSE = sent_pose(matrix_from_v2x([112.0, 55.0, 4.0, -0.5, -100.0, 1.0]))
OTHER_POSE = sent_pose(matrix_from_v2x([95.0, 40.0, 2.0, 0.0, 0.0, 0.0]))
POSES = {1: EGO_POSE, 2: PEER_POSE, 3: OTHER_POSE}


@pytest.fixture(scope="module")
def bundle(bundle_folder):
    return ModelBundle.load(bundle_folder)


@pytest.fixture(scope="module")
def indices(bundle):
    """Index maps of three stations with different clouds."""
    encoder = AgentEncoder(bundle, threads=1)
    rng = np.random.default_rng(9)
    clouds = {
        station: rng.uniform((-20, -20, -2, 0), (20, 20, 1, 0), (2000 * station, 4))
        for station in POSES
    }
    return {s: encoder.encode(cloud.astype(np.float32)).indices for s, cloud in clouds.items()}


@pytest.fixture(scope="module")
def detector(bundle):
    return CooperativeDetector(bundle, threads=1)


class Ego:
    """A fusion node, what it publishes, and the air that it listens to."""

    def __init__(self, ros, parameters, bundle, indices, **values):
        self.ros, self.indices, self.format = ros, indices, IndexFormat.of(bundle, "map")
        self.background = bundle.background
        values = {"station_id": 1, "peer_wait": 0.3, **values}
        self.node = ros.add(FusionNode(parameter_overrides=parameters(**values)))
        self.objects = ros.collect(DetectedObject3DArray, "objects")
        self.markers = ros.collect(MarkerArray, "markers")
        self.diagnostics = ros.collect(DiagnosticArray, "/diagnostics")
        self.air = ros.node.create_publisher(BevIndices, "/v2x/bev_indices", 50)
        ros.connect(self.air)
        ros.spin_until(lambda: self.diagnostics)

    def messages(self, station, stamp_ms, size=0, parity=0.0):
        sequence = stamp_ms % 2**32
        source = SweepSource(station, sequence, stamp_ms * MS, POSES[station], PoseSpread())
        settings = SendSettings(TileSettings(size), parity=parity, min_occupancy=0.0)
        sender = SweepSender(self.format.frame, self.background, settings)
        frame = sender.send(self.indices[station])
        return [
            message_of(packet.content(), source.stamp_ns, f"lidar_{station}")
            for packet in packets_of(source, frame, self.format.packets)
        ]

    def send(self, station, stamp_ms):
        self.air.publish(self.messages(station, stamp_ms)[0])

    def fused(self, count):
        """Wait for so many fused frames and return the newest."""
        self.ros.spin_until(lambda: len(self.objects) >= count)
        return self.objects[-1]

    def reported(self, key):
        for message in reversed(self.diagnostics):
            for value in message.status[0].values:
                if value.key == key:
                    return value.value
        return None

    def expect_drop(self, reason):
        self.ros.spin_until(lambda: self.reported(f"dropped: {reason}"))
        return self.reported(f"dropped: {reason}")

    def expect_still_alive(self, stamp_ms=9000):
        before = len(self.objects)
        self.send(1, stamp_ms)
        assert list(self.fused(before + 1).contributing_stations) == [1]


@pytest.fixture
def ego(ros, parameters, bundle, indices):
    return Ego(ros, parameters, bundle, indices)


def expected_boxes(detector, indices, stations):
    """What the pipeline finds when these stations are fused, the ego first."""
    pyramids = [detector.pyramid(indices[station]) for station in stations]
    transforms = np.stack([transform_between(POSES[1], POSES[s]) for s in stations])
    return detector.fuse(pyramids, transforms)


def assert_same_objects(message, result):
    found = result.detections
    assert len(message.objects) == len(found.boxes) > 0
    for item, box, score, label in zip(
        message.objects, found.boxes, found.scores, found.labels, strict=True
    ):
        position = item.pose.position
        np.testing.assert_allclose([position.x, position.y, position.z], box[:3], rtol=1e-6)
        np.testing.assert_allclose([item.size.x, item.size.y, item.size.z], box[3:6], rtol=1e-6)
        yaw = 2 * np.arctan2(item.pose.orientation.z, item.pose.orientation.w)
        assert np.cos(yaw - box[6]) == pytest.approx(1.0)
        assert item.score == pytest.approx(score)
        assert item.class_id == label


def test_the_ego_alone_gives_what_the_pipeline_gives(ego, detector, indices):
    ego.send(1, 1000)
    message = ego.fused(1)
    assert_same_objects(message, expected_boxes(detector, indices, [1]))
    assert message.header.frame_id == "lidar_1"
    assert message.header.stamp == time_message(1000 * MS)
    assert list(message.contributing_stations) == [1]
    assert {tuple(item.contributing_stations) for item in message.objects} == {(1,)}


def test_ego_and_peer_give_what_the_pipeline_gives(ego, detector, indices):
    ego.send(2, 1000)
    ego.send(1, 1000)
    message = ego.fused(1)
    assert list(message.contributing_stations) == [1, 2]
    assert_same_objects(message, expected_boxes(detector, indices, [1, 2]))
    alone = expected_boxes(detector, indices, [1]).detections.boxes
    places = [item.pose.position for item in message.objects]
    assert len(places) != len(alone) or not np.allclose(
        [(place.x, place.y, place.z) for place in places], alone[:, :3]
    ), "cooperation must change something, or this test cannot tell"


def test_objects_keep_their_ids_from_frame_to_frame_and_get_others_after_a_jump_back(ego):
    """The same sweep again is the same objects; each after a jump back in time is a new one."""
    frames = []
    for number, stamp_ms in enumerate((5000, 5100, 5200, 1000), start=1):
        ego.send(1, stamp_ms)
        frames.append([item.track_id for item in ego.fused(number).objects])
    assert frames[0] == frames[1] == frames[2]
    assert len(set(frames[0])) == len(frames[0]) > 0
    assert 0 not in frames[0]
    assert not set(frames[3]) & set(frames[0])


def test_objects_are_not_followed_where_that_is_not_wanted(ros, parameters, bundle, indices):
    ego = Ego(ros, parameters, bundle, indices, track=False)
    ego.send(1, 1000)
    found = ego.fused(1).objects
    assert {item.track_id for item in found} == {0}
    assert all(item.existence_probability == pytest.approx(item.score) for item in found)


def test_an_object_names_the_stations_that_reach_its_place(ego, detector, indices):
    ego.send(2, 1000)
    ego.send(1, 1000)
    message = ego.fused(1)
    shares = expected_boxes(detector, indices, [1, 2]).contributions
    for item, share in zip(message.objects, shares, strict=True):
        expected = [station for station, part in zip([1, 2], share, strict=True) if part > 0]
        assert list(item.contributing_stations) == expected


def test_an_older_peer_gives_its_objects_their_age(ego):
    ego.send(2, 900)
    ego.send(1, 1000)
    message = ego.fused(1)
    ages = {
        tuple(item.contributing_stations): item.age.sec + item.age.nanosec / 1e9
        for item in message.objects
    }
    assert ages[1, 2] == pytest.approx(0.1)


def test_peers_of_the_same_moment_are_waited_for(ego):
    for stamp in (1000, 1100, 1200):
        ego.send(1, stamp)
        ego.send(2, stamp)
        ego.fused(stamp // 100 - 9)
    assert list(ego.objects[-1].contributing_stations) == [1, 2]
    assert float(ego.reported("station 2 age [ms]") or 0.0) == 0.0


def test_more_agents_than_the_bundle_fuses_end_the_start(ros, parameters, bundle):
    most = bundle.max_agents
    with pytest.raises(ParameterError, match=f"max_agents: got {most + 1}, .* fuses {most} at"):
        FusionNode(parameter_overrides=parameters(max_agents=most + 1))


def test_the_nearest_peers_are_fused_up_to_max_agents(ros, parameters, bundle, indices):
    ego = Ego(ros, parameters, bundle, indices, max_agents=2)
    ego.send(3, 1000)
    ego.send(2, 1000)
    ros.spin_for(0.3)
    ego.send(1, 1000)
    near = min((2, 3), key=lambda s: np.linalg.norm(POSES[s][:3, 3] - EGO_POSE[:3, 3]))
    assert list(ego.fused(1).contributing_stations) == [1, near]
    assert f"station {5 - near}" in ego.expect_drop("max_agents")


def test_a_silent_peer_is_left_out_and_named(ego):
    ego.send(2, 1000)
    ego.send(1, 1000)
    ego.fused(1)
    ego.send(1, 1600)
    assert list(ego.fused(2).contributing_stations) == [1]
    assert "station 2 unheard for 0.600 s, allowed 0.5 s" in ego.expect_drop("silent")


def test_a_late_peer_is_dropped_with_both_values(ego):
    ego.send(1, 2000)
    ego.fused(1)
    ego.send(2, 1000)
    assert "1.000 s old, allowed are 0.500 s" in ego.expect_drop("late")
    ego.expect_still_alive()


def test_a_lost_tile_is_a_hole_not_a_lost_frame(ego, ros, detector, indices):
    ego.send(1, 900)
    ego.fused(1)
    first, lost, third = ego.messages(2, 1000, size=4100)
    ego.air.publish(third)
    ego.air.publish(first)
    ros.spin_until(lambda: ego.reported("partial sweeps") == "1")
    ego.send(1, 1000)
    message = ego.fused(2)
    assert list(message.contributing_stations) == [1, 2]
    received = np.ones(indices[2].shape[1:], np.bool_)
    _, columns = unpack(lost.packet).place.cells
    received[:, columns] = False
    pyramids = [detector.pyramid(indices[1]), detector.pyramid(indices[2], received)]
    transforms = np.stack([np.eye(4), transform_between(EGO_POSE, PEER_POSE)])
    assert_same_objects(message, detector.fuse(pyramids, transforms))


def test_parity_restores_a_lost_tile(ego, ros, detector, indices):
    first, _, third, parity = ego.messages(2, 1000, size=4100, parity=0.3)
    for message in (parity, third, first):
        ego.air.publish(message)
    ros.spin_until(lambda: ego.reported("restored tiles") == "1")
    ego.send(1, 1000)
    message = ego.fused(1)
    assert list(message.contributing_stations) == [1, 2]
    pyramids = [detector.pyramid(indices[station]) for station in (1, 2)]
    transforms = np.stack([np.eye(4), transform_between(EGO_POSE, PEER_POSE)])
    assert_same_objects(message, detector.fuse(pyramids, transforms))


def test_all_that_the_node_hears_of_a_station_lies_in_its_record_and_goes_with_it(ego, ros):
    peer = 3_987_654_321
    first, _, third = (changed(m, station_id=peer) for m in ego.messages(2, 1000, size=4100))
    for message in (first, third):
        ego.air.publish(message)
    ros.spin_until(lambda: ego.reported("partial sweeps") == "1")
    ego.air.publish(first)
    ros.spin_until(lambda: ego.reported(f"station {peer} last refusal"))
    assert ego.reported(f"station {peer} sweeps") == "1 heard, 0 missed"
    received, registry = ego.node._input, ego.node._input.registry
    worker = ego.node._worker  # has a record of its own, under its lock, in the collector
    elsewhere = [ego.node, worker, worker._receiver.collector, ros.executor]
    for part in (received, ego.node._turns, ego.node._own):
        assert tables_keyed_by(part, peer, beyond=[registry, *elsewhere]) == []
    assert len(tables_keyed_by(registry, peer, beyond=elsewhere)) == 1
    registry.forget(peer)
    assert tables_keyed_by(registry, peer, beyond=elsewhere) == []
    ego.diagnostics.clear()
    ros.spin_until(lambda: len(ego.diagnostics) > 1)
    named = {value.key for message in ego.diagnostics for value in message.status[0].values}
    assert not [key for key in named if str(peer) in key]


def packet_bytes(change):
    """Changes the bytes of a packet; their checksum is right again."""

    @wraps(change)
    def changed_bytes(message):
        data = bytearray(message.packet)
        change(data)
        seal(data)
        return message_of(bytes(data), 0, message.header.frame_id)

    return changed_bytes


def truncated(message):
    return message_of(bytes(message.packet)[: HEADER_BYTES + 100], 0, message.header.frame_id)


def truncated_with_its_crc(message):
    return changed(message, payload=unpack(message.packet).payload[:100])


def no_packet(message):
    return message_of(b"", 0, message.header.frame_id)


def huge_place(message):
    return changed(message, place=TilePlace(0, 1, 0, 4096, 0, 4096))


@packet_bytes
def tile_beyond_its_sweep(data):
    data[HEADER_BYTES - 10] += 1


@packet_bytes
def pose_that_is_none(data):
    pose = STAMP_AT + 8
    data[pose + POSE_BYTES - 6 : pose + POSE_BYTES] = b"\xff" * 6


def far_future(message):
    return changed(message, stamp_ns=2**31 * 10**9 - 1)


@packet_bytes
def end_of_time(data):
    data[STAMP_AT : STAMP_AT + 8] = (2**63 - 1).to_bytes(8, "little")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (truncated, "crc"),
        (truncated_with_its_crc, "payload"),
        (no_packet, "malformed"),
        (huge_place, "tiles"),
        (tile_beyond_its_sweep, "tiles"),
        (pose_that_is_none, "pose"),
        (far_future, "future"),
        (end_of_time, "malformed"),
    ],
)
def test_a_bad_message_is_counted_and_the_node_lives_on(ego, change, reason):
    ego.air.publish(change(ego.messages(2, 1000)[0]))
    assert ego.expect_drop(reason).startswith("1 (")
    ego.expect_still_alive()


@pytest.mark.parametrize("other", ["codebook", "grid", "map_frame"])
def test_a_packet_of_another_format_is_refused_with_both_formats(ego, bundle, other):
    own = {"codebook_id": bundle.codebook_id, "grid": bundle.grid, "map_frame": "map"}
    low, high = np.add(bundle.grid.lidar_range[:2], 0.4), np.add(bundle.grid.lidar_range[3:5], 0.4)
    lidar_range = (*low, bundle.grid.lidar_range[2], *high, bundle.grid.lidar_range[5])
    others = {
        "codebook": {"codebook_id": bundle.codebook_id ^ 1},
        "grid": {"grid": replace(bundle.grid, lidar_range=lidar_range)},
        "map_frame": {"map_frame": "utm"},
    }
    foreign = format_id(**{**own, **others[other]})
    ego.air.publish(changed(ego.messages(2, 1000)[0], format_id=foreign))
    dropped = ego.expect_drop("format")
    assert dropped.startswith("1 (")
    assert f"{foreign:016x}" in dropped
    assert f"{ego.format.format_id:016x}" in dropped
    ego.expect_still_alive()


def test_many_invented_stations_do_not_keep_the_ego_from_fusing(ego, ros):
    message = ego.messages(2, 1000)[0]
    for station in range(100, 300):
        ego.air.publish(changed(message, station_id=station))
        ros.executor.spin_once(timeout_sec=0.02)
    ego.expect_drop("too_many_stations")
    ego.send(1, 1000)
    ego.fused(1)


def test_invented_stations_do_not_displace_a_peer_that_works(ros, parameters, bundle, indices):
    ego = Ego(ros, parameters, bundle, indices, max_agents=2, peer_wait=0.05)
    ego.send(2, 1000)
    ego.send(1, 1000)
    assert list(ego.fused(1).contributing_stations) == [1, 2]
    for frame in range(1, 6):
        stamp = 1000 + 100 * frame
        message = ego.messages(2, stamp)[0]
        for invented in range(5):  # nearer than anybody can be
            station = 1000 + 5 * frame + invented
            ego.air.publish(changed(message, station_id=station, pose=POSES[1]))
        ego.send(2, stamp)
        ros.spin_for(0.1)
        ego.send(1, stamp)
        assert list(ego.fused(1 + frame).contributing_stations) == [1, 2]


def test_invented_stations_take_a_turn_now_and_then_whatever_they_cost(ego, ros):
    ego.send(2, 1000)
    ego.send(1, 1000)
    ego.fused(1)
    invented = set()
    for frame in range(1, 15):
        stamp = 1000 + 100 * frame
        message = ego.messages(3, stamp)[0]
        for number in range(4):
            ego.air.publish(changed(message, station_id=1000 + 4 * frame + number))
        ego.send(2, stamp)
        ros.spin_for(0.05)
        ego.send(1, stamp)
        stations = set(ego.fused(1 + frame).contributing_stations)
        assert 2 in stations
        invented |= stations - {1, 2}
    saved_up = ego.node._bundle.max_agents - 1
    assert 0 < len(invented) <= saved_up + 14 / 4
    assert "waits for its turn" in ego.expect_drop("newcomer")


def test_garbage_in_the_name_of_a_peer_does_not_shut_out_its_true_tile(ego):
    message = ego.messages(2, 1000)[0]
    ego.air.publish(truncated_with_its_crc(message))
    ego.expect_drop("payload")
    ego.air.publish(message)
    ego.send(1, 1000)
    assert list(ego.fused(1).contributing_stations) == [1, 2]
    assert ego.reported("dropped: replayed") is None


def test_own_sweeps_on_the_topic_do_not_count_where_they_come_in_process(
    ros, parameters, bundle, indices
):
    node = ros.add(FusionNode(own_in_process=True, parameter_overrides=parameters(station_id=1)))
    objects = ros.collect(DetectedObject3DArray, "objects")
    ego = Ego.__new__(Ego)
    ego.format, ego.indices = IndexFormat.of(bundle, "map"), indices
    ego.background = bundle.background
    air = ros.node.create_publisher(BevIndices, "/v2x/bev_indices", 10)
    ros.connect(air)
    air.publish(ego.messages(1, 1000)[0])
    ros.spin_for(0.5)
    assert objects == []
    node.destroy_node()
    ros.nodes.remove(node)


def clock_of(ros, ego):
    """Sets the time that a node goes by."""
    clock = ros.node.create_publisher(Clock, "/clock", 10)
    ros.connect(clock)

    def set_clock(stamp_ms):
        clock.publish(Clock(clock=time_message(stamp_ms * MS)))
        ros.spin_until(lambda: ego.node.get_clock().now().nanoseconds == stamp_ms * MS)

    return set_clock


def test_a_jump_back_of_the_clock_starts_afresh(ros, parameters, bundle, indices):
    ego = Ego(ros, parameters, bundle, indices, use_sim_time=True)
    set_clock = clock_of(ros, ego)
    set_clock(60_000)
    ego.send(2, 60_000)
    ego.send(1, 60_000)
    assert list(ego.fused(1).contributing_stations) == [1, 2]
    set_clock(1_000)
    ego.send(2, 1_000)
    ego.send(1, 1_000)
    assert list(ego.fused(2).contributing_stations) == [1, 2]


@pytest.mark.parametrize(("back", "expected"), [(5, [1, 2]), (99, [1, 2]), (100, [1])])
def test_a_clock_that_goes_back_a_little_forgets_no_peer(
    ros, parameters, bundle, indices, back, expected
):
    """As rosbag2's player lets it at its start."""
    ego = Ego(ros, parameters, bundle, indices, use_sim_time=True, peer_wait=0.0)
    set_clock = clock_of(ros, ego)
    set_clock(60_000)
    ego.send(2, 60_000)
    ros.spin_until(lambda: ego.reported("station 2 heard [s ago]"))
    set_clock(60_000 - back)
    ego.send(1, 60_000)
    assert list(ego.fused(1).contributing_stations) == expected


def test_own_sweeps_that_jump_back_start_afresh_without_a_clock(ego):
    ego.send(2, 60_000)
    ego.send(1, 60_000)
    ego.fused(1)
    ego.send(1, 1_000)
    assert list(ego.fused(2).contributing_stations) == [1]
    ego.send(2, 1_100)
    ego.send(1, 1_100)
    assert list(ego.fused(3).contributing_stations) == [1, 2]


def test_markers_show_boxes_scores_and_who_contributed(ego, ros):
    ego.send(2, 1000)
    ego.send(1, 1000)
    message = ego.fused(1)
    ros.spin_until(lambda: ego.markers)
    markers = ego.markers[0].markers
    assert markers[0].action == Marker.DELETEALL
    by_kind = {
        prefix: [m for m in markers if m.ns.startswith(prefix)]
        for prefix in ("boxes/", "edges/", "scores/", "agents", "links", "agent_names")
    }
    assert len(by_kind["boxes/"]) == len(by_kind["scores/"]) == len(message.objects)
    assert by_kind["scores/"][0].text.startswith(
        f"{message.objects[0].class_name} {message.objects[0].score:.2f}"
    )
    (link,) = by_kind["links"]
    peer_in_ego = transform_between(PEER_POSE, EGO_POSE)[:3, 3]
    end = link.points[1]
    np.testing.assert_allclose([end.x, end.y, end.z], peer_in_ego, atol=1e-9)
    assert [m.text for m in by_kind["agent_names"]] == ["station 1 (ego)", "station 2 (0 ms)"]
    assert len({(m.ns, m.id) for m in markers}) == len(markers)


def test_diagnostics_tell_bytes_objects_and_stages(ego, ros):
    ego.send(2, 1000)
    ego.send(1, 1000)
    message = ego.fused(1)
    ros.spin_until(lambda: ego.reported("sweep to objects p50 [ms]"))
    assert int(ego.reported("objects")) == len(message.objects)
    assert int(ego.reported("station 2 [B]")) == len(
        unpack(ego.messages(2, 1000)[0].packet).payload
    )
    for stage in ("pyramid, ego", "pyramids, peers", "warp", "head", "sweep to objects"):
        assert float(ego.reported(f"{stage} p50 [ms]")) > 0.0


def test_diagnostics_tell_of_each_peer_what_came_and_why_it_was_refused(
    ros, parameters, bundle, indices
):
    ego = Ego(ros, parameters, bundle, indices, tile_timeout=0.5)
    tiles = ego.messages(2, 1000, size=1398)
    assert len(tiles) > 2
    for message in tiles[1:]:
        ego.air.publish(message)
    ros.spin_until(lambda: ego.reported("station 2 tiles"))
    ros.spin_until(lambda: ego.reported("station 2 tiles") == f"{len(tiles) - 1} received, 1 lost")
    assert ego.reported("station 2 sweeps") == "1 heard, 0 missed"
    assert float(ego.reported("station 2 heard [s ago]")) < 20.0
    assert ego.reported("station 2 last refusal") is None
    in_odom = IndexFormat.of(bundle, "odom").format_id
    ego.air.publish(changed(ego.messages(2, 1100)[0], format_id=in_odom))
    ros.spin_until(lambda: ego.reported("station 2 last refusal"))
    refusal = ego.reported("station 2 last refusal")
    assert refusal.startswith("format: ")
    assert f"{in_odom:016x}" in refusal
    assert "map_frame" in refusal
    assert refusal.endswith("1 in all)")


@pytest.fixture(params=KINDS)
def keys(tmp_path, request):
    """A key ring with stations 1 and 2, whose keys are of one kind, and their private keys."""
    folder = tmp_path / "keys"
    private = {station: generate_keys(folder, station, request.param)[0] for station in (1, 2)}
    return folder, {station: load_private_key(path) for station, path in private.items()}


def signed(message, key):
    packet = unpack(message.packet).with_values(signature_kind=kind_of(key))
    content = packet.content()
    return message_of(content + sign(key, content), packet.stamp_ns, message.header.frame_id)


def test_signed_messages_are_fused_and_others_refused(ros, parameters, bundle, indices, keys):
    folder, private = keys
    ego = Ego(ros, parameters, bundle, indices, key_ring=str(folder), require_signature=True)
    ego.air.publish(ego.messages(2, 1000)[0])
    assert "not signed" in ego.expect_drop("unsigned")
    ego.air.publish(signed(ego.messages(3, 1000)[0], private[2]))
    assert "station 3 has no key" in ego.expect_drop("unknown_station")
    ego.air.publish(signed(ego.messages(2, 1000)[0], private[1]))
    assert "not one of station 2" in ego.expect_drop("signature")
    ego.air.publish(signed(ego.messages(2, 1000)[0], private[2]))
    ego.air.publish(signed(ego.messages(1, 1000)[0], private[1]))
    assert list(ego.fused(1).contributing_stations) == [1, 2]


def test_what_is_changed_under_a_signature_is_refused(ros, parameters, bundle, indices, keys):
    folder, private = keys
    ego = Ego(ros, parameters, bundle, indices, key_ring=str(folder), require_signature=True)
    first, second = (signed(m, private[2]) for m in ego.messages(2, 1000, size=8000)[:2])
    changes = (
        lambda data: data.__setitem__(STAMP_AT, data[STAMP_AT] ^ 1),
        lambda data: data.__setitem__(HEADER_BYTES, data[HEADER_BYTES] ^ 1),
        lambda data: data.__setitem__(0, data[0] ^ 3),  # the other kind of signature
        lambda data: data.__setitem__(slice(-64, None), bytes(second.packet)[-64:]),
    )
    for number, change in enumerate(changes):
        ego.air.publish(packet_bytes(change)(first))
        ros.spin_until(
            lambda count=number + 1: (ego.reported("dropped: signature") or "").startswith(
                f"{count} ("
            )
        )
    ego.air.publish(signed(ego.messages(2, 1000)[0], private[2]))
    ego.air.publish(signed(ego.messages(1, 1000)[0], private[1]))
    assert list(ego.fused(1).contributing_stations) == [1, 2]


def test_a_key_ring_of_both_kinds_holds_each_station_to_its_own(
    ros, parameters, bundle, indices, tmp_path
):
    private = {
        station: load_private_key(generate_keys(tmp_path / "keys", station, kind)[0])
        for station, kind in enumerate(KINDS, start=1)
    }
    ego = Ego(ros, parameters, bundle, indices, key_ring=str(tmp_path / "keys"))
    ego.air.publish(signed(ego.messages(2, 1000)[0], private[1]))
    text = ego.expect_drop("signature")
    assert f"of kind {kind_of(private[1])} is not one of station 2" in text
    assert f"those of kind {kind_of(private[2])}" in text
    ego.air.publish(signed(ego.messages(2, 1000)[0], private[2]))
    ego.air.publish(signed(ego.messages(1, 1000)[0], private[1]))
    assert list(ego.fused(1).contributing_stations) == [1, 2]


def test_a_known_station_must_sign_even_where_others_need_not(
    ros, parameters, bundle, indices, keys
):
    folder, private = keys
    ego = Ego(ros, parameters, bundle, indices, key_ring=str(folder))
    ego.air.publish(ego.messages(2, 1000)[0])
    ego.expect_drop("unsigned")
    ego.send(3, 1000)
    ego.air.publish(signed(ego.messages(1, 1000)[0], private[1]))
    assert list(ego.fused(1).contributing_stations) == [1, 3]


def test_a_message_that_was_sent_before_is_refused(ego):
    ego.send(2, 1000)
    ego.send(2, 1000)
    assert "came before" in ego.expect_drop("replayed")
    ego.send(2, 1100)
    ego.send(2, 1050)
    ego.send(1, 1100)
    assert list(ego.fused(1).contributing_stations) == [1, 2]


def test_a_pose_that_is_too_uncertain_is_refused_with_both_values(ego):
    spread = PoseSpread(3.0, 0.1, 0.0, 0.0)
    told = PoseSpread.unpack(spread.pack()).major
    ego.air.publish(changed(ego.messages(2, 1000)[0], spread=spread))
    assert f"{told:.3g} m, allowed are 2 m" in ego.expect_drop("pose_uncertain")
    ego.expect_still_alive()


@pytest.mark.parametrize(
    ("metres", "counted", "text"),
    [
        (5_400_000.0, "dropped: other_map", "5,400 km away"),
        (350.0, "station 2 last refusal", "362 m away, allowed are 300 m"),
    ],
)
def test_a_peer_out_of_reach_is_named_and_does_not_contribute(ego, metres, counted, text):
    pose = PEER_POSE.copy()
    pose[0, 3] += metres
    message = changed(ego.messages(2, 1000)[0], pose=pose)
    ego.air.publish(message)
    ego.send(1, 1000)
    assert list(ego.fused(1).contributing_stations) == [1], "before anything was known of the ego"
    for frame in range(1, 3):
        stamp_ns = (1000 + 100 * frame) * MS
        ego.air.publish(changed(message, stamp_ns=stamp_ns, sequence=1000 + frame))
        ego.send(1, 1000 + 100 * frame)
        assert list(ego.fused(1 + frame).contributing_stations) == [1]
    ego.ros.spin_until(lambda: text in (ego.reported(counted) or ""))
    ego.send(2, 1300)
    ego.send(1, 1300)
    ego.ros.spin_until(lambda: len(ego.objects) == 4)


def test_a_station_that_sends_too_much_is_refused_and_others_are_heard(
    ros, parameters, bundle, indices
):
    ego = Ego(ros, parameters, bundle, indices, max_message_rate=20.0)
    for stamp in range(1000, 1040):
        ego.send(3, stamp)
        ros.executor.spin_once(timeout_sec=0.01)
    assert "more messages than max_message_rate" in ego.expect_drop("rate")
    ego.send(2, 1040)
    ego.send(1, 1040)
    assert 2 in ego.fused(1).contributing_stations


def test_a_peers_clock_offset_is_reported(ros, parameters, bundle, indices):
    ego = Ego(ros, parameters, bundle, indices)
    now_ms = ego.node.get_clock().now().nanoseconds // MS
    ego.send(2, now_ms - 250)
    ego.send(1, now_ms)
    ego.fused(1)
    ros.spin_until(lambda: ego.reported("station 2 clock behind [ms]"))
    assert float(ego.reported("station 2 clock behind [ms]")) == pytest.approx(250, abs=100)


def test_a_key_ring_that_is_missing_is_named(parameters, ros):
    with pytest.raises(ValueError, match="key_ring"):
        FusionNode(parameter_overrides=parameters(require_signature=True))
    with pytest.raises(ValueError, match="no such folder"):
        FusionNode(parameter_overrides=parameters(key_ring="/missing"))
