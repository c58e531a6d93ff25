# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Encoder and fusion in one process, alive: the ego's own feature need not be coded."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")
pytest.importorskip("torch", reason="torch, which makes the bundle, is not installed")

from sensor_msgs.msg import PointCloud2

from quantv2x_msgs.msg import DetectedObject3DArray
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.common.point_cloud import cloud_from_message
from quantv2x_ros.nodes.ego import create_ego
from quantv2x_ros.nodes.encoder.encoder import EncoderNode
from quantv2x_ros.nodes.fusion.fusion import FusionNode
from test.nodes.packet_messages import changed


@pytest.fixture(scope="module")
def bundle(random_bundle) -> ModelBundle:
    return ModelBundle.load(random_bundle(seed=3, coded_ego=False, architecture="light"))


@pytest.fixture
def scores(bundle, ros, sensors):
    """Scores that a pipeline finds in the sensors' cloud, by whether the feature was coded."""
    clouds = ros.collect(PointCloud2, "points")
    ros.connect(sensors.clouds)
    sensors.send_cloud(5)
    ros.spin_until(lambda: clouds)
    points = cloud_from_message(clouds[0]).points.copy()
    points[:, 3] = 0.0  # as nodes do, unless told otherwise
    sweep = AgentEncoder(bundle, threads=1, keep_own=True).encode(points)
    detector = CooperativeDetector(bundle, threads=1)
    pyramids = {"own": detector.own_pyramid(sweep.own), "coded": detector.pyramid(sweep.indices)}
    found = {name: detector.fuse([p], np.eye(4)[None]) for name, p in pyramids.items()}
    result = {name: item.detections.scores for name, item in found.items()}
    assert len(result["own"]) != len(result["coded"]) or not np.allclose(*result.values())
    return result


def boxes(ros, sensors, objects):
    sensors.connect()
    sensors.send(10)
    ros.spin_until(lambda: objects)
    return [item.score for item in objects[0].objects]


def test_in_one_process_no_codebook_touches_what_the_ego_sees_itself(
    ros, sensors, parameters, bundle, scores
):
    values = parameters(bundle=str(bundle.folder), clock_tolerance=60.0, crop_ego_body=False)
    for node in create_ego(parameter_overrides=values):
        ros.add(node)
    objects = ros.collect(DetectedObject3DArray, "objects")
    np.testing.assert_allclose(boxes(ros, sensors, objects), scores["own"], atol=1e-5)
    assert sensors.indices, "peers get them all the same"


def test_with_indices_alone_the_ego_sees_what_they_decode_to(
    ros, sensors, parameters, bundle, scores
):
    values = {"bundle": str(bundle.folder), "station_id": 1}
    whole = {"max_payload_bytes": 0, "min_occupancy": 0.0, "crop_ego_body": False}
    encoding = parameters(**values, **whole)
    ros.add(EncoderNode(parameter_overrides=encoding))
    ros.add(FusionNode(parameter_overrides=parameters(**values, clock_tolerance=60.0)))
    objects = ros.collect(DetectedObject3DArray, "objects")
    ros.spin_until(lambda: ros.node.count_subscribers("/v2x/bev_indices") >= 2)
    np.testing.assert_allclose(boxes(ros, sensors, objects), scores["coded"], atol=1e-5)
    ros.spin_until(lambda: sensors.indices)  # the boxes may be here before them
    assert sensors.indices[0].station_id == 1


def test_fusion_knows_when_the_encoder_is_at_work(ros, sensors, parameters, bundle, monkeypatch):
    values = parameters(bundle=str(bundle.folder), clock_tolerance=60.0, crop_ego_body=False)
    noted = []
    note = FusionNode.note_encoding

    def remember(self, stamp_ns):
        noted.append(stamp_ns is not None)
        note(self, stamp_ns)

    monkeypatch.setattr(FusionNode, "note_encoding", remember)
    for node in create_ego(parameter_overrides=values):
        ros.add(node)
    objects = ros.collect(DetectedObject3DArray, "objects")
    sensors.connect()
    sensors.send(10)
    ros.spin_until(lambda: objects)
    assert noted
    assert noted[0::2] == [True] * len(noted[0::2])
    assert noted[1::2] == [False] * len(noted[1::2])


class Busy:
    """An ego whose fusion is held up, so that more sweeps come than it can fuse."""

    def __init__(self, ros, sensors, monkeypatch, values):
        self.ros, self.sensors = ros, sensors
        self.may_fuse = threading.Event()
        fuse = CooperativeDetector.fuse

        def held_up(detector, *arguments):
            assert self.may_fuse.wait(60.0)
            return fuse(detector, *arguments)

        self.encoder, self.fusion = (
            ros.add(node) for node in create_ego(parameter_overrides=values)
        )
        monkeypatch.setattr(CooperativeDetector, "fuse", held_up)
        self.objects = ros.collect(DetectedObject3DArray, "objects")
        sensors.connect()

    def send(self, *seconds):
        for second in seconds:
            self.sensors.send(second)
            self.ros.spin_for(0.3)

    def let_fuse(self, frames):
        self.may_fuse.set()
        self.ros.spin_until(lambda: len(self.objects) >= frames)
        self.ros.spin_for(0.5)

    @property
    def fused(self):
        return [message.header.stamp.sec for message in self.objects]

    @property
    def sent(self):
        return sorted({m.stamp_ns // 10**9 for m in self.sensors.indices if m.station_id == 1})


@pytest.fixture
def busy(ros, sensors, parameters, bundle, monkeypatch):
    def make(**values):
        overrides = parameters(
            bundle=str(bundle.folder),
            station_id=1,
            clock_tolerance=60.0,
            crop_ego_body=False,
            **values,
        )
        return Busy(ros, sensors, monkeypatch, overrides)

    return make


def test_no_sweep_is_encoded_that_will_not_be_fused(busy):
    ego = busy()
    ego.send(10, 11, 12, 13)
    ego.let_fuse(2)
    assert ego.fused == [10, 13], "one frame is in work, then the newest is next"
    assert ego.sent == [10, 13]
    assert ego.encoder.report()[1]["skipped sweeps"] == "2"


def test_a_vehicle_may_rather_broadcast_every_sweep(busy):
    ego = busy(priority="broadcast")
    ego.send(10, 11, 12, 13)
    assert ego.sent == [10, 11, 12, 13]
    ego.let_fuse(2)
    assert ego.fused == [10, 13]


def test_of_a_peers_sweeps_only_those_near_the_next_frame_are_read(busy):
    ego = busy(peer_wait=0.0, tile_timeout=1.0)
    ego.send(10)
    ego.ros.connect(ego.sensors.air)
    ego.ros.spin_until(lambda: ego.sensors.indices)
    of_peer = [packet.message for packet in ego.sensors.indices]
    for sequence, tenths in enumerate((102, 104, 110)):
        for message in of_peer:
            values = {"sequence": sequence, "stamp_ns": tenths * 100_000_000}
            ego.sensors.air.publish(changed(message, station_id=2, **values))
        ego.ros.spin_for(0.5)
    assert of_peer
    ego.send(11)
    ego.let_fuse(2)
    assert ego.fused == [10, 11]
    assert list(ego.objects[1].contributing_stations) == [1, 2]
    assert int(ego.fusion.report()[1]["messages not read"]) == 2 * len(of_peer)


def test_the_next_sweep_begins_though_the_one_before_came_to_nothing(busy):
    ego = busy()
    ego.may_fuse.set()
    broken = ego.sensors._points
    ego.sensors._points = np.zeros((0, 4), np.float32)
    ego.send(10)
    ego.sensors._points = broken
    ego.send(11)
    ego.ros.spin_until(lambda: 11 in ego.fused)
