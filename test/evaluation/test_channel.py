# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation over a shared channel: its settings file, what arrives by when, and concealment."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import yaml

from quantv2x_ros.commands._detectors import open_detector
from quantv2x_ros.core.channel.channel_model import ChannelSettings
from quantv2x_ros.core.transport.sweep_sender import SendSettings
from quantv2x_ros.core.transport.tiles import TileSettings
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.evaluation.channel_file import read_channel
from quantv2x_ros.evaluation.frame_history import FrameHistory, choose_agents
from quantv2x_ros.evaluation.inbox import HISTORY, Inbox
from quantv2x_ros.evaluation.radio import Radio
from quantv2x_ros.evaluation.settings import EvaluationConfig, EvaluationSettingError, Link, Sending

CONFIG = Path(__file__).parents[2] / "config" / "channel.yaml"
SMALL = Sending(SendSettings(TileSettings(300), min_occupancy=0.0))


@pytest.fixture(scope="module")
def detector(bundles):
    return open_detector(bundles["int8"])


@pytest.fixture(scope="module")
def history(detector, dataset):
    """Three frames of a scene, encoded once."""
    scenario = Scenario.open(dataset / "test" / "scene_3")
    kept = FrameHistory(detector, HISTORY + 1)
    for number, frame in enumerate(scenario.frames()):
        kept.add(number, frame, choose_agents(frame, EvaluationConfig()))
    return kept


def hear(detector, history, link):
    """What is in at each of the three frames."""
    inbox = Inbox(Radio(detector), EvaluationConfig(link=link), 0)
    return [inbox.step(history, history.at(number)) for number in range(3)]


def ages(heard):
    return [
        [now - received.state.number for received in all_received]
        for now, all_received in enumerate(heard)
    ]


def test_the_file_of_the_node_is_that_of_the_evaluation():
    content = yaml.safe_load(CONFIG.read_text())["/**/channel"]["ros__parameters"]
    settings = asdict(read_channel(CONFIG))
    assert settings.items() <= {**settings, **content}.items()
    assert (settings["bit_rate_mbps"], settings["burst_loss"]) == (6.0, 0.8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss: 0.1\nlos: 2", "a channel has no los; it has delay_ms"),
        ("/**/channel: {ros__parameters: {los: 2}}", "a channel has no los"),
        ("loss: high", "loss is 'high', expected float"),
        ("loss: true", "loss is True"),
        ("loss: 2.0", "loss: got 2.0, allowed are 0 to 1"),
        ("- 1", "expected settings of a channel"),
        ("loss: [", "is not YAML"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, text, message):
    path = tmp_path / "channel.yaml"
    path.write_text(text)
    with pytest.raises(EvaluationSettingError, match=message):
        read_channel(path)


def test_a_channel_and_a_loss_of_its_own_contradict_each_other():
    with pytest.raises(EvaluationSettingError, match="leave one away"):
        Link(loss=0.1, channel=ChannelSettings())


def test_a_good_channel_brings_everything_in_time(detector, history):
    heard = hear(detector, history, Link(channel=ChannelSettings()))
    assert ages(heard) == [[0, 0]] * 3
    for received in (received for all_received in heard for received in all_received):
        assert received.known.all()
        np.testing.assert_array_equal(received.indices, received.state.sent[received.name].indices)


def test_what_misses_the_deadline_is_there_at_the_next_frame(detector, history):
    slow = ChannelSettings(delay_ms=80.0)
    assert ages(hear(detector, history, Link(channel=slow))) == [[], [1, 1], [1, 1]]
    assert ages(hear(detector, history, Link(channel=slow, deadline_ms=90.0))) == [[0, 0]] * 3


def test_all_agents_share_the_air(detector, history):
    shares = []
    for rate in (6.0, 27.0, 500.0):
        link = Link(channel=ChannelSettings(bit_rate_mbps=rate), sending=SMALL, conceal=0.0)
        all_received = [received for heard in hear(detector, history, link) for received in heard]
        shares.append(np.mean([received.known.mean() for received in all_received]))
    assert shares == sorted(shares)
    assert shares[0] < 0.5 < shares[2]


def test_lost_cells_are_those_of_the_frame_before_and_bits_that_flip_are_losses(detector, history):
    damaged = ChannelSettings(corrupt=0.4)
    holes = hear(detector, history, Link(channel=damaged, sending=SMALL, conceal=0.0))
    filled = hear(detector, history, Link(channel=damaged, sending=SMALL))
    assert 0.3 < np.mean([received.known.mean() for received in holes[2]]) < 0.9
    for with_holes, without in zip(holes[2], filled[2], strict=True):
        assert (with_holes.known <= without.known).all()
        assert with_holes.known.sum() < without.known.sum()
        same = with_holes.known
        np.testing.assert_array_equal(without.indices[:, same], with_holes.indices[:, same])
