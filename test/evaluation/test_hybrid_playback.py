# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Features and boxes together: who goes first, and one list of what both gave."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantv2x_ros.core.channel.cpm import cpm_sizes
from quantv2x_ros.core.fusion.late_fusion import late_fusion
from quantv2x_ros.core.placement.levelling import in_sensor_frame
from quantv2x_ros.core.transport.sweep_sender import SendSettings
from quantv2x_ros.core.transport.tiles import TileSettings
from quantv2x_ros.evaluation.box_link import sent_boxes
from quantv2x_ros.evaluation.hybrid_playback import HybridPlayback, hybrid_sizes
from quantv2x_ros.evaluation.playback import Playback
from quantv2x_ros.evaluation.senders import Senders
from quantv2x_ros.evaluation.settings import EvaluationConfig, Link, Sending

WHOLE = Sending(SendSettings(TileSettings(0), min_occupancy=0.0))


def views(detector, states, link, kind, **config):
    settings = EvaluationConfig(link=link, **config).resolved(3)
    playback = kind(detector, detector.bundle, Senders(detector.bundle), settings, 0)
    return [playback.play(state) for state in states], playback


def test_what_features_gave_and_the_peers_boxes_make_one_list(detector, states):
    link = Link(sending=WHOLE)
    plain, _ = views(detector, states, link, Playback)
    settings = EvaluationConfig(link=link, fusion="hybrid").resolved(3)
    senders = Senders(detector.bundle)
    playback = HybridPlayback(detector, detector.bundle, senders, settings, 0)
    for state, features in zip(states, plain, strict=True):
        view = playback.play(state)
        level = state.sent[state.ego].level
        boxes = playback._boxes.heard(state, settings.receiver.peer_timeout)
        assert set(boxes) == set(state.sent) - {state.ego}
        levelled = [in_sensor_frame(each, level) for each in boxes.values()]
        expected = late_fusion([features.detections, *levelled], detector.bundle.detection)
        assert view.agents == features.agents == 3
        np.testing.assert_array_equal(view.detections.boxes, expected.boxes)
        np.testing.assert_array_equal(view.detections.scores, expected.scores)


def test_peers_whose_features_are_too_late_help_with_what_came_before(detector, states):
    """Features of 200 ms ago are not fused where 100 ms is the limit; nor are their boxes."""
    late = Link(sending=WHOLE, latency_ms=200.0)
    receiver = replace(EvaluationConfig().receiver, peer_timeout=0.25)
    plain, _ = views(detector, states, late, Playback, receiver=receiver)
    both, playback = views(
        detector, states, late, HybridPlayback, fusion="hybrid", receiver=receiver
    )
    assert [view.agents for view in plain] == [view.agents for view in both]
    assert len(playback._boxes.heard(states[-1], 0.25)) == 2


def test_boxes_help_where_no_tile_came(detector, states):
    """Of a sweep in one packet with its boxes in another, half of each are lost."""
    link = Link(sending=WHOLE, loss=0.5, seed=3)
    plain, _ = views(detector, states, link, Playback)
    both, playback = views(detector, states, link, HybridPlayback, fusion="hybrid")
    heard = set(playback._boxes.heard(states[-1], 0.3))
    assert heard
    gained = [len(b.detections) - len(p.detections) for p, b in zip(plain, both, strict=True)]
    assert max(gained) > 0


@pytest.mark.parametrize("budget", [800, 3000])
def test_boxes_go_first_and_features_take_what_is_left(detector, states, budget):
    sending = Sending(max_bytes=budget)
    senders = Senders(detector.bundle)
    for state in states:
        for name in state.sent:
            sizes = hybrid_sizes(state, name, sending, senders)
            boxes = cpm_sizes(affordable := len(sent_boxes(state, name, budget)))
            assert sum(sizes) <= budget
            assert sizes[: len(boxes)] == list(boxes)
            found = len(state.fuse_alone(name).detections)
            assert affordable == found or sum(cpm_sizes(affordable + 1)) > budget
            features = senders.send(state.sent[name], sending, sum(boxes))
            assert sizes[len(boxes) :] == list(features.packet_sizes)


def test_boxes_are_no_answer_where_only_features_are_fused(detector, states):
    _, playback = views(detector, states[:1], Link(sending=WHOLE), HybridPlayback, fusion="hybrid")
    message = playback._boxes.messages(
        states[1], "2", states[1].fuse_alone("2").detections, np.eye(4)
    )[0]
    with pytest.raises(TypeError, match="only features"):
        Playback._take(playback, None, message, 0.0)
