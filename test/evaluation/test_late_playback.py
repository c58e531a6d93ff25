# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes instead of features: they pass the same air, and are fused where the ego stands."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.core.channel.channel_model import ChannelSettings
from quantv2x_ros.core.channel.cpm import FRAME_BYTES, MOST_OBJECTS
from quantv2x_ros.core.fusion.late_fusion import carried, late_fusion
from quantv2x_ros.core.geometry.packed_pose import sent_pose
from quantv2x_ros.core.geometry.pose import invert
from quantv2x_ros.core.placement.levelling import in_sensor_frame
from quantv2x_ros.core.receiver_settings import ReceiverSettings
from quantv2x_ros.evaluation.late_playback import LatePlayback, box_sizes, sent_boxes
from quantv2x_ros.evaluation.settings import EvaluationConfig, EvaluationSettingError, Link, Sending

LATE = EvaluationConfig(fusion="late")
FREE = Sending(radio="none")


def views(detector, states, **link):
    """What the ego sees in each frame."""
    config = replace(LATE, link=Link(sending=FREE, **link)).resolved(3)
    playback = LatePlayback(detector.bundle, config, 0)
    return [playback.play(state) for state in states]


def test_a_good_link_gives_the_boxes_of_all_in_the_egos_frame(detector, states):
    view, state = views(detector, states)[0], states[0]
    to_ego = invert(state.sent[state.ego].pose)
    boxes = [state.fuse_alone(state.ego).detections]
    for name in list(state.sent)[1:]:
        alone = state.fuse_alone(name).detections
        still = np.zeros((len(alone), 2))
        boxes.append(carried(alone, still, sent_pose(state.sent[name].pose), to_ego, 0.0))
    expected = in_sensor_frame(
        late_fusion(boxes, detector.bundle.detection)[0], state.sent[state.ego].level
    )
    assert len(boxes) == view.agents == 3
    np.testing.assert_allclose(view.detections.boxes, expected.boxes, atol=1e-4)
    np.testing.assert_array_equal(view.detections.scores, expected.scores)


def test_a_link_that_loses_all_leaves_the_ego_alone(detector, states):
    for view, state in zip(views(detector, states, loss=1.0), states, strict=True):
        assert view.latency_ms > state.sent[state.ego].encoding_ms
        own, _ = late_fusion([state.fuse_alone(state.ego).detections], detector.bundle.detection)
        assert view.agents == 1
        assert len(view.detections) == len(own)


def test_late_boxes_are_used_until_they_are_too_old(detector, states):
    assert [view.agents for view in views(detector, states, latency_ms=200.0)] == [1, 1, 3]
    config = replace(
        LATE,
        link=Link(latency_ms=200.0, sending=FREE),
        receiver=ReceiverSettings(peer_timeout=0.15),
    )
    playback = LatePlayback(detector.bundle, config.resolved(3), 0)
    assert [playback.play(state).agents for state in states] == [1, 1, 1]


def test_boxes_go_in_messages_that_the_channel_may_lose(detector, states):
    sizes = [box_sizes(state, name, FREE) for state in states for name in state.sent]
    assert all(sum(each) > 100 for each in sizes)
    channel = ChannelSettings(loss=1.0)
    config = replace(LATE, link=Link(channel=channel, sending=FREE)).resolved(3)
    playback = LatePlayback(detector.bundle, config, 0)
    assert playback.play(states[0]).agents == 1
    assert playback.air_counts["lost"] == sum(
        len(box_sizes(states[0], name, FREE)) for name in states[0].sent
    )


def test_a_budget_holds_the_best_boxes(states):
    state = states[0]
    all_boxes = state.fuse_alone(state.ego).detections
    few = sent_boxes(state, state.ego, FRAME_BYTES + 2 * 35 + 34)
    assert len(all_boxes) > 2
    np.testing.assert_array_equal(few.boxes, all_boxes.boxes[:2])
    assert sum(box_sizes(state, state.ego, Sending(radio="its_g5_6"))) <= 2015


def test_the_command_compares_boxes_with_features(tmp_path, bundles, dataset):
    found = {}
    for fusion in ("features", "late"):
        out = tmp_path / f"{fusion}.json"
        command = ["evaluate", "--data", dataset / "test", "--bundle", bundles["int8"]]
        options = ["--set", f"fusion={fusion}", "--json", out, "--max-frames", 2]
        result = CliRunner().invoke(app, [*map(str, command + options)])
        assert result.exit_code == 0, result.output
        found[fusion] = json.loads(out.read_text())
    assert found["late"]["fusion"] == "late"
    assert found["late"]["bytes_per_frame"] != found["features"]["bytes_per_frame"]
    assert found["late"]["median_packets"] <= 1 + 1000 / MOST_OBJECTS
    with pytest.raises(EvaluationSettingError, match="fusion: got 'early', allowed are features"):
        EvaluationConfig(fusion="early")
