# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a station finds alone goes over the air, and helps others, whatever their model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from diagnostic_msgs.msg import DiagnosticArray

from quantv2x_msgs.msg import BevIndices, DetectedObject3DArray
from quantv2x_ros.core.detection.detection import PROTOCOL_SCORE
from quantv2x_ros.core.geometry.boxes import transform_boxes
from quantv2x_ros.core.geometry.packed_pose import PoseSpread, sent_pose
from quantv2x_ros.core.geometry.pose import matrix_from_v2x, transform_between
from quantv2x_ros.core.peers.key_ring import KeyRing, generate_keys, load_private_key
from quantv2x_ros.core.peers.signing import is_signed_by, kind_of, sign
from quantv2x_ros.core.transport.object_packet import (
    ObjectPacket,
    SentObjects,
    map_id,
    object_packets,
)
from quantv2x_ros.core.transport.packet import Packet, parts
from quantv2x_ros.core.transport.packet_tiles import SweepSource, packets_of
from quantv2x_ros.core.transport.sweep_sender import SendSettings, SweepSender
from quantv2x_ros.core.transport.tiles import TileSettings
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.air.heard_packet import message_of
from quantv2x_ros.nodes.air.index_format import IndexFormat
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.ego import create_ego
from quantv2x_ros.nodes.encoder.encoder import EncoderNode
from quantv2x_ros.nodes.fusion.fusion import FusionNode

MS = 1_000_000
EGO, PEER = 1, 2
POSES = {
    EGO: sent_pose(matrix_from_v2x([100.0, 50.0, 1.8, 0.5, 30.0, -0.5])),
    PEER: sent_pose(matrix_from_v2x([112.0, 55.0, 4.0, -0.5, -100.0, 1.0])),
}
#: A car and a person that only the peer sees, in its frame; the car drives.
OBJECTS = SentObjects(
    kinds=np.array([5, 1], np.uint8),
    boxes=np.array(
        [[8.0, 3.0, -2.5, 4.5, 1.9, 1.6, 0.7], [-5.0, -9.0, -2.5, 0.6, 0.7, 1.7, 0.0]], np.float32
    ),
    velocities=np.array([[10.0, 0.0], [0.0, 0.0]]),
    scores=np.array([1.0, 1.0], np.float32),
)


@pytest.fixture(scope="module")
def bundle(bundle_folder):
    return ModelBundle.load(bundle_folder)


@pytest.fixture(scope="module")
def indices(bundle):
    rng = np.random.default_rng(9)
    cloud = rng.uniform((-20, -20, -2, 0), (20, 20, 1, 0), (4000, 4)).astype(np.float32)
    return AgentEncoder(bundle, threads=1).encode(cloud).indices


def object_message(stamp_ms, station=PEER, key=None, frame="map", objects=OBJECTS, **values):
    """A message with objects, as a peer's encoder sends it."""
    number = stamp_ms % 2**32
    source = SweepSource(station, number, stamp_ms * MS, POSES[PEER], PoseSpread())
    (packet,) = object_packets(source, objects, map_id(frame), kind_of(key) if key else 0)
    content = replace(packet, **values).content()
    data = content + sign(key, content) if key else content
    return message_of(data, packet.stamp_ns, f"lidar_{station}")


class Ego:
    """A fusion node, what it publishes, and the air that it listens to."""

    def __init__(self, ros, parameters, bundle, indices, **values):
        self.ros, self._bundle, self._indices = ros, bundle, indices
        self._format = IndexFormat.of(bundle, "map")
        values = {"station_id": EGO, "peer_wait": 0.0, **values}
        self.node = ros.add(FusionNode(parameter_overrides=parameters(**values)))
        self.objects = ros.collect(DetectedObject3DArray, "objects")
        self.diagnostics = ros.collect(DiagnosticArray, "/diagnostics")
        self.air = ros.node.create_publisher(BevIndices, "/v2x/bev_indices", 50)
        ros.connect(self.air)
        ros.spin_until(lambda: self.diagnostics)

    def fuse(self, stamp_ms):
        """Let the ego's sweep come, and return what is published of it."""
        source = SweepSource(EGO, stamp_ms, stamp_ms * MS, POSES[EGO], PoseSpread())
        settings = SendSettings(TileSettings(0), min_occupancy=0.0)
        sender = SweepSender(self._format.frame, self._bundle.background, settings)
        (packet,) = packets_of(source, sender.send(self._indices), self._format.packets)
        before = len(self.objects)
        self.air.publish(message_of(packet.content(), source.stamp_ns, "lidar_1"))
        self.ros.spin_until(lambda: len(self.objects) > before)
        return self.objects[-1]

    def hear(self, *messages):
        for message in messages:
            self.air.publish(message)
        self.ros.spin_for(0.3)

    def expect_drop(self, reason):
        self.ros.spin_until(lambda: self.reported(f"dropped: {reason}"))

    def reported(self, key):
        for message in reversed(self.diagnostics):
            for value in message.status[0].values:
                if value.key == key:
                    return value.value
        return None


@pytest.fixture
def ego(ros, parameters, bundle, indices):
    return Ego(ros, parameters, bundle, indices)


def reported_by(message, station):
    """Class and centre of each object that one station alone has told."""
    return {
        item.class_name: [getattr(item.pose.position, axis) for axis in "xyz"]
        for item in message.objects
        if list(item.contributing_stations) == [station]
    }


def expected_places(seconds=0.0):
    """Where the objects are in the ego's frame, so many seconds after the peer's sweep."""
    moved = OBJECTS.boxes.copy()
    moved[:, :2] += seconds * OBJECTS.velocities
    boxes = transform_boxes(moved, transform_between(POSES[PEER], POSES[EGO]))
    return {"vehicle": boxes[0, :3], "pedestrian": boxes[1, :3]}


def test_objects_of_a_peer_are_published_at_the_egos_time_and_as_the_peers(ego):
    alone = ego.fuse(1000)
    assert reported_by(alone, PEER) == {}
    ego.hear(object_message(1900))
    found = ego.fuse(2000)
    places = reported_by(found, PEER)
    assert places.keys() == {"vehicle", "pedestrian"}
    for name, expected in expected_places(0.1).items():
        np.testing.assert_allclose(places[name], expected, atol=0.1)
    car = next(item for item in found.objects if list(item.contributing_stations) == [PEER])
    assert car.age.nanosec == 100 * MS
    assert list(found.contributing_stations) == [EGO]  # whose features were fused
    ego.ros.spin_until(lambda: ego.reported(f"station {PEER} reported objects") == "2")


def test_a_vehicle_may_do_without_what_others_tell(ros, parameters, bundle, indices):
    ego = Ego(ros, parameters, bundle, indices, join_objects=False)
    ego.hear(object_message(1900))
    assert reported_by(ego.fuse(2000), PEER) == {}


def test_objects_that_are_too_old_are_not_published(ego):
    ego.hear(object_message(1000))
    assert reported_by(ego.fuse(1250), PEER)
    assert reported_by(ego.fuse(1550), PEER) == {}  # peer_timeout is 0.5 s


@pytest.mark.parametrize(
    ("reason", "values"),
    [
        ("map_frame", {"frame": "odom"}),
        ("out_of_range", {"pose": sent_pose(matrix_from_v2x([5000.0, 0, 2, 0, 0, 0]))}),
        ("pose_uncertain", {"spread": PoseSpread(50.0, 50.0, 0.0, 0.1)}),
    ],
)
def test_objects_that_cannot_be_used_are_refused_by_name(ego, reason, values):
    ego.fuse(1000)
    ego.hear(object_message(1000, **values))
    if reason == "out_of_range":
        ego.ros.spin_until(lambda: ego.reported("messages from out of range") == "1")
    else:
        ego.expect_drop(reason)
    assert reported_by(ego.fuse(1100), PEER) == {}


def test_objects_are_refused_a_second_time_and_from_the_future(ego):
    message = object_message(1000)
    ego.hear(message, message)
    ego.expect_drop("replayed")
    now_ms = ego.node.get_clock().now().nanoseconds // MS
    ego.hear(object_message(now_ms + 60_000))
    ego.expect_drop("future")
    assert reported_by(ego.fuse(1100), PEER)


def test_with_keys_only_objects_that_the_peer_signed_count(
    ros, parameters, bundle, indices, tmp_path
):
    private_path, _ = generate_keys(tmp_path, PEER)
    ego = Ego(ros, parameters, bundle, indices, key_ring=str(tmp_path))
    ego.hear(object_message(1000))
    ego.expect_drop("unsigned")
    key = load_private_key(private_path)
    forged = object_message(1050, key=key)
    data = bytearray(forged.packet)
    data[-1] ^= 1
    forged.packet = data
    ego.hear(forged)
    ego.expect_drop("signature")
    assert reported_by(ego.fuse(1060), PEER) == {}
    ego.hear(object_message(1100, key=key))
    assert reported_by(ego.fuse(1200), PEER)


def test_a_message_under_the_own_id_tells_nothing_new(ego):
    ego.hear(object_message(1000, station=EGO))
    assert reported_by(ego.fuse(1100), EGO).keys() <= {"vehicle", "pedestrian", "truck"}
    assert ego.reported(f"station {EGO} reported objects") is None


def test_the_own_view_is_told_where_an_encoder_listens(ros, ego, bundle, indices):
    told = ros.collect_packets("own_objects", qos.own_indices())
    ros.spin_for(0.5)
    ego.fuse(1000)
    ros.spin_until(lambda: told)
    detector = CooperativeDetector(bundle, threads=1)
    detection = bundle.detection.for_ranking(PROTOCOL_SCORE)
    expected = detector.detect_alone(detector.pyramid(indices), detection)
    ros.spin_until(lambda: sum(len(each.objects) for each in told) == len(expected) > 0)
    boxes = np.concatenate([each.objects.boxes for each in told])
    np.testing.assert_allclose(boxes[:, :3], expected.boxes[:, :3], atol=0.006)
    assert all(each.packet.station_id == EGO and each.stamp_ns == 1000 * MS for each in told)


def test_the_encoder_signs_own_objects_and_gives_them_the_pose_of_their_sweep(
    ros, parameters, sensors, tmp_path
):
    private_path, _ = generate_keys(tmp_path, PEER)
    values = {"station_id": PEER, "radio": "none", "signing_key": str(private_path)}
    encoder = ros.add(EncoderNode(parameter_overrides=parameters(**values)))
    fusion = ros.node.create_publisher(BevIndices, "own_objects", qos.own_indices())
    diagnostics = ros.collect(DiagnosticArray, "/diagnostics")
    sensors.connect()
    ros.connect(fusion)
    sweep = sensors.heard(5)
    ros.spin_for(0.3)
    fusion.publish(object_message(5000))
    ros.spin_until(lambda: isinstance(sensors.indices[-1].packet, ObjectPacket))
    sent = sensors.indices[-1]
    assert (sent.sequence, sent.stamp_ns) == (sweep.sequence, sweep.stamp_ns)
    np.testing.assert_array_equal(sent.pose, sweep.pose)  # not the one that fusion told
    np.testing.assert_allclose(sent.objects.boxes[:, :3], OBJECTS.boxes[:, :3], atol=0.006)
    content, signature = parts(sent.data)
    assert is_signed_by(KeyRing.load(tmp_path)[PEER], signature, content)
    before = len(sensors.indices)
    fusion.publish(object_message(4000))  # of no sweep that was sent
    values = {"objects a frame": "2", "bytes of objects a frame": str(len(sent.data))}
    values["dropped: late_objects"] = f"1 (no sweep of {4000 * MS} ns was sent of late)"
    ros.spin_until(lambda: values.items() <= _values(diagnostics).items())
    assert len(sensors.indices) == before
    assert encoder.is_active


def _values(diagnostics):
    """What the newest diagnostics say."""
    return {item.key: item.value for item in diagnostics[-1].status[0].values}


def test_a_vehicle_under_a_law_sends_both_features_and_objects(ros, parameters, sensors):
    encoder, fusion = create_ego(parameter_overrides=parameters(station_id=EGO, radio="its_g5_6"))
    ros.add(encoder)
    ros.add(fusion)
    sensors.connect()
    ros.spin_until(lambda: fusion.count_subscribers("own_objects") > 0)
    ros.spin_for(0.3)
    sensors.send(20)
    ros.spin_until(
        lambda: {Packet, ObjectPacket} <= {type(each.packet) for each in sensors.indices}
    )
    told = [each.packet for each in sensors.indices if isinstance(each.packet, ObjectPacket)]
    assert (told[0].station_id, told[0].stamp_ns) == (EGO, 20 * 10**9)
    assert len(told[0].objects) > 0


def test_a_pole_with_an_encoder_and_a_fusion_node_sends_objects_too(ros, parameters, sensors):
    """The fusion node hears the encoder's sweeps in the own namespace, and tells it the objects."""
    ros.add(EncoderNode(parameter_overrides=parameters(station_id=EGO, radio="its_g5_6")))
    fusion = ros.add(FusionNode(parameter_overrides=parameters(station_id=EGO)))
    sensors.connect()
    ros.spin_until(lambda: fusion.count_subscribers("own_objects") > 0)
    ros.spin_until(lambda: fusion.count_publishers("own_indices") > 0)
    ros.spin_for(1.0)
    sensors.send(20)
    ros.spin_until(
        lambda: {Packet, ObjectPacket} <= {type(each.packet) for each in sensors.indices}
    )
    tile, told = (
        next(each for each in sensors.indices if isinstance(each.packet, kind))
        for kind in (Packet, ObjectPacket)
    )
    assert told.stamp_ns == tile.stamp_ns == 20 * 10**9
    np.testing.assert_array_equal(told.pose, tile.pose)
    assert len(told.objects) > 0
