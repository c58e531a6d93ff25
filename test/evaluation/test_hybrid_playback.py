# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Features and boxes together: who goes first, and one list of what both gave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantv2x_ros.core.fusion.peer_boxes import PeerBoxes, PeerObjects, join_reports
from quantv2x_ros.core.peers.registry import PeerRegistry
from quantv2x_ros.core.transport.object_packet import OBJECT_BYTES, SentObjects
from quantv2x_ros.core.transport.sweep_sender import SendSettings
from quantv2x_ros.core.transport.tiles import TileSettings
from quantv2x_ros.data.agent_names import station_id
from quantv2x_ros.evaluation.air import Departures, Outgoing
from quantv2x_ros.evaluation.hybrid_playback import (
    HybridPlayback,
    hybrid_sizes,
    packets_with_objects,
)
from quantv2x_ros.evaluation.playback import Playback
from quantv2x_ros.evaluation.senders import Senders
from quantv2x_ros.evaluation.settings import EvaluationConfig, Link, Sending

WHOLE = Sending(SendSettings(TileSettings(0), min_occupancy=0.0), radio="none")


class Listener(HybridPlayback):
    """A playback that keeps what was fused, and what the peers' boxes made of it."""

    def _join(self, receiver, frame, fused, now):
        joined = super()._join(receiver, frame, fused, now)
        self.frame, self.fused, self.joined = frame, fused, joined
        return joined


def play(detector, states, link, kind=Listener, **config):
    """The ego's views, and the playback as it is after each of them."""
    settings = EvaluationConfig(link=link, **config).resolved(3)
    playback = kind(detector, detector.bundle, Senders(detector.bundle), settings, 0)
    for state in states:
        yield playback.play(state), playback


def test_what_features_gave_and_the_peers_boxes_make_one_list(detector, states):
    classes = detector.bundle.classes
    link = Link(sending=WHOLE)
    plain = [view for view, _ in play(detector, states, link, Playback)]
    for state, features, (view, playback) in zip(
        states, plain, play(detector, states, link), strict=True
    ):
        ego = playback.frame.sweeps[0]
        boxes = PeerBoxes(PeerRegistry())
        for name in list(state.sent)[1:]:
            seen = state.own_view(name)
            objects = SentObjects.of(seen.detections, seen.tracked.known_velocities, classes)
            found, velocities = SentObjects.unpack(objects.pack()).detections(classes)
            pose = state.sent[name].pose
            message = PeerObjects(station_id(name), state.stamp_ns, pose, found, velocities)
            boxes.hear(message, 0.0)
        reports = boxes.reports(ego.stamp_ns, ego.pose, 0.3)
        detection = detector.bundle.detection
        expected = join_reports(playback.fused.detections, reports, detection, len(classes))
        assert view.agents == features.agents == 3
        assert {report.station_id for report in playback.joined.reports} == {
            station_id(name) for name in list(state.sent)[1:]
        }
        got = playback.joined.detections
        assert len(got) == len(expected.detections) >= len(features.detections)
        # poses are sent in steps
        np.testing.assert_allclose(got.scores, expected.detections.scores, atol=1e-6)
        np.testing.assert_array_equal(playback.joined.reporters, expected.reporters)


def test_boxes_leave_when_the_sender_has_detected_and_count_when_the_ego_has(detector, states):
    """Boxes that come 90 ms after features are there in the next frame alone."""
    link = Link(sending=WHOLE, own_delay_ms=0.0, objects_delay_ms=90.0, latency_ms=0.5)
    receiver = replace(EvaluationConfig().receiver, peer_wait=0.0)
    heard = [
        [report.stamp_ns // 10**8 for report in playback.joined.reports]
        for _, playback in play(detector, states, link, receiver=receiver)
    ]
    assert heard == [[], [0, 0], [1, 1]]


def test_boxes_of_sweeps_that_are_too_old_are_not_used(detector, states):
    late = Link(sending=WHOLE, latency_ms=200.0)
    for timeout, agents in ((0.25, 2), (0.15, 0)):
        receiver = replace(EvaluationConfig().receiver, peer_timeout=timeout)
        *_, (_, playback) = play(detector, states, late, receiver=receiver)
        assert len(playback.joined.reports) == agents


def test_an_ego_may_do_without_the_peers_boxes(detector, states):
    receiver = replace(EvaluationConfig().receiver, join_objects=False)
    joined = [len(view.detections) for view, _ in play(detector, states, Link())]
    alone = []
    for view, playback in play(detector, states, Link(), receiver=receiver):
        assert playback.joined is playback.fused
        alone.append(len(view.detections))
    assert joined != alone


def test_boxes_help_where_no_tile_came(detector, states):
    """Of a sweep in one packet with its boxes in another, half of each are lost."""
    link = Link(sending=WHOLE, loss=0.5, seed=3)
    plain = [view for view, _ in play(detector, states, link, Playback)]
    both = [view for view, _ in play(detector, states, link)]
    gained = [len(b.detections) - len(p.detections) for p, b in zip(plain, both, strict=True)]
    assert max(gained) > 0


@pytest.mark.parametrize("budget", [800, 3000])
def test_boxes_go_first_and_features_take_what_is_left(detector, states, budget):
    sending = Sending(max_bytes=budget, radio="none")
    senders, classes = Senders(detector.bundle), detector.bundle.classes
    for state in states:
        for name in state.sent:
            packets = packets_with_objects(state, name, sending, classes)
            boxes = [packet.size for packet in packets]
            sizes = hybrid_sizes(state, name, sending, senders, classes)
            assert sizes[len(sizes) - len(boxes) :] == boxes
            assert sum(sizes) <= budget
            sent = sum(len(packet.objects) for packet in packets)
            found = len(state.fuse_alone(name).detections)
            assert sent == found or sum(boxes) + OBJECT_BYTES > budget


def test_the_law_holds_for_features_and_boxes_together(detector, states):
    sending, classes = Sending(), detector.bundle.classes
    assert sending.radio == "its_g5_6"
    departures, senders = Departures("its_g5_6"), Senders(detector.bundle)
    for number, state in enumerate(states):
        boxes = [packet.size for packet in packets_with_objects(state, state.ego, sending, classes)]
        sizes = hybrid_sizes(state, state.ego, sending, senders, classes)
        tiles = sizes[: len(sizes) - len(boxes)]
        packets = [Outgoing(size) for size in tiles] + [Outgoing(size, 0.03) for size in boxes]
        times = departures.times("ego", packets, 0.1 * number)
        assert len(times) == len(packets)  # nothing is left behind
        assert min(np.diff(sorted(times.values())), default=1.0) >= 0.025
