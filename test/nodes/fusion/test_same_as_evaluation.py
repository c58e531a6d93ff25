# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The same messages give the same boxes in the running node and in an evaluation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from quantv2x_msgs.msg import BevIndices, DetectedObject3DArray
from quantv2x_ros.core.geometry.packed_pose import PoseSpread, sent_pose
from quantv2x_ros.core.receiver_settings import ReceiverSettings
from quantv2x_ros.core.transport.object_packet import ObjectPacket, map_id, reserved_sizes
from quantv2x_ros.core.transport.packet_tiles import SweepSource, packets_of
from quantv2x_ros.core.transport.sweep_sender import SendSettings
from quantv2x_ros.core.transport.tiles import TileSettings
from quantv2x_ros.data.agent_names import station_id
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.data.simulator import write_scenario
from quantv2x_ros.environment.resources import find_bundle
from quantv2x_ros.evaluation.detector import EngineDetector
from quantv2x_ros.evaluation.frame_state import ScenarioAgents, choose_agents
from quantv2x_ros.evaluation.hybrid_playback import HybridPlayback, packets_with_objects
from quantv2x_ros.evaluation.senders import Senders
from quantv2x_ros.evaluation.settings import EvaluationConfig, Link, Sending
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.air.index_format import IndexFormat
from quantv2x_ros.nodes.fusion.fusion import FusionNode
from test.nodes.packet_messages import message_with

FRAMES = 6
CLASSES = ("vehicle", "pedestrian", "truck")
WHOLE = Sending(SendSettings(TileSettings(0), min_occupancy=0.0), radio="none")
SMALL = Sending(SendSettings(TileSettings(900), min_occupancy=0.0), radio="none")
#: So late, lost tiles are waited for no more when the ego's sweep comes.
OWN_DELAY_MS = 60.0


@pytest.fixture(scope="module")
def detector():
    """The default bundle: only trained weights find objects that move, or are found again."""
    return EngineDetector(ModelBundle.load(find_bundle("")), threads=1)


@pytest.fixture(scope="module")
def states(detector, tmp_path_factory):
    folder = tmp_path_factory.mktemp("same") / "scene"
    write_scenario(folder, seed=9, frames=FRAMES, agents=3)
    agents, settings = ScenarioAgents(detector), EvaluationConfig().resolved(3)
    sent = [
        agents.send(10 + number, frame, choose_agents(frame, settings))
        for number, frame in enumerate(Scenario.open(folder).frames())
    ]
    for state in sent:
        # A pyramid leaves out what the ego cannot need, by where the ego is when it is computed,
        # which depends on the machine's speed; an ego that stands still takes that out.
        # The node hears its own sweeps on the air, too, so that it has no more of them than indices
        # and the pose that a packet holds.
        state.sent[state.ego].pose = sent_pose(sent[0].sent[sent[0].ego].pose)
        own = state.sent[state.ego]
        own.broadcast = replace(own.broadcast, own=None)
    return sent


class RecordedPlayback(HybridPlayback):
    """Writes down which tiles and objects of peers arrive when."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.arrivals = []

    def _put_on_the_way(self, arrival, item):
        self.arrivals.append((arrival, item))
        super()._put_on_the_way(arrival, item)

    def _put_boxes_on_the_way(self, arrival, packet):
        # the node joins what is there once it has fused
        delay = self._config.link.objects_delay_ms / 1e3
        self.arrivals.append((arrival - delay, replace(packet, map_id=map_id("map"))))
        super()._put_boxes_on_the_way(arrival, packet)


def message_of(index_format, senders, state, name, sending, tile=None):
    """What is sent of a sweep as the message of the encoder node; of the ego's the first tile."""
    if isinstance(tile, ObjectPacket):
        return message_with(replace(tile, signature_kind=0), frame_id=name)
    pose = state.sent[name].pose if tile is None else tile.pose
    source = SweepSource(station_id(name), state.number, state.stamp_ns, pose, PoseSpread())
    boxes = packets_with_objects(state, name, sending, CLASSES)
    reserved = reserved_sizes([packet.size for packet in boxes])
    sent = senders.send(state.sent[name], sending, () if tile is None else reserved)
    packets = packets_of(source, sent, index_format.packets)
    return message_with(packets[0 if tile is None else tile.tile_index], frame_id=name)


def views_of(detector, states, link, receiver):
    """What an evaluation sees in each frame."""
    settings = EvaluationConfig(link=link, receiver=ReceiverSettings(**receiver)).resolved(3)
    playback = HybridPlayback(detector, detector.bundle, Senders(detector.bundle), settings, 0)
    return [playback.play(state).detections.boxes for state in states]


@pytest.mark.parametrize(
    ("link", "receiver", "without"),
    [
        (Link(), {}, None),
        (Link(sending=Sending(radio="none")), {}, None),
        (Link(latency_ms=200.0), {}, {"compensate_motion": False}),
        (Link(loss=0.3, sending=SMALL), {}, {"conceal": 0.0}),
        (Link(pose_noise=0.4), {"align_poses": True, "align_period": 0.2}, {"align_poses": False}),
        (Link(latency_ms=250.0), {"peer_timeout": 0.15}, {"peer_timeout": 0.3}),
    ],
    ids=["good link", "no law", "late", "lost tiles", "wrong poses", "too late"],
)
def test_the_node_finds_what_the_evaluation_finds(
    ros, parameters, detector, states, link, receiver, without
):
    link = Link(**{**vars(link), "own_delay_ms": OWN_DELAY_MS})
    settings = EvaluationConfig(link=link, receiver=ReceiverSettings(**receiver)).resolved(3)
    bundle = detector.bundle
    senders, index_format = Senders(bundle), IndexFormat.of(bundle, "map")
    playback = RecordedPlayback(detector, bundle, senders, settings, 0)
    ego = states[0].ego
    # on a busy machine the tiles of a sweep may come further apart than on the air
    values = {"station_id": station_id(ego), "tile_timeout": 1.0, **receiver}
    node = ros.add(FusionNode(bundle=bundle, parameter_overrides=parameters(**values)))
    objects = ros.collect(DetectedObject3DArray, "objects")
    air = ros.node.create_publisher(BevIndices, "/v2x/bev_indices", 200)
    ros.connect(air)
    by_place = {(station_id(name), s.number): (s, name) for s in states for name in s.sent}
    found, seen = 0, []
    for count, state in enumerate(states, start=1):
        view = playback.play(state)
        until = state.stamp_ns / 1e9 + OWN_DELAY_MS / 1e3
        due = sorted((item for item in playback.arrivals if item[0] <= until), key=lambda a: a[0])
        playback.arrivals = [item for item in playback.arrivals if item[0] > until]
        for _, tile in due:
            sent = by_place[tile.station_id, tile.sequence]
            air.publish(message_of(index_format, senders, *sent, link.sending, tile))
        ros.spin_for(0.1)
        ros.spin_until(lambda: not node._input.reception.is_incomplete)
        air.publish(message_of(index_format, senders, state, ego, WHOLE))
        ros.spin_until(lambda wanted=count: len(objects) >= wanted)
        message = objects[-1]
        assert len(message.contributing_stations) == view.agents
        assert len(message.objects) == len(view.detections)
        for item, box, score in zip(
            message.objects, view.detections.boxes, view.detections.scores, strict=True
        ):
            place = item.pose.position
            np.testing.assert_allclose([place.x, place.y, place.z], box[:3], rtol=1e-5, atol=1e-5)
            assert item.score == pytest.approx(score, abs=1e-6)
        found += len(message.objects)
        seen.append(view.detections.boxes)
    assert found > 0
    if without is not None:
        others = views_of(detector, states, link, {**receiver, **without})
        assert any(not np.array_equal(a, b) for a, b in zip(seen, others, strict=True)), (
            "what is compared must matter, or this test cannot tell"
        )


def test_without_parameters_the_node_does_what_an_evaluation_measures(ros, parameters):
    node = ros.add(FusionNode(parameter_overrides=parameters(station_id=1)))
    assert node.parameters.receiver == EvaluationConfig().receiver
