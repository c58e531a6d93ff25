# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation over a shared channel: its settings file, what arrives by when, and concealment."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from quantv2x_ros.core.channel.channel_model import ChannelSettings
from quantv2x_ros.core.receiver_settings import ReceiverSettings
from quantv2x_ros.core.transport.sweep_sender import SendSettings
from quantv2x_ros.core.transport.tiles import TileSettings
from quantv2x_ros.data.agent_names import station_id
from quantv2x_ros.evaluation.air import Departures, Outgoing
from quantv2x_ros.evaluation.playback import Playback
from quantv2x_ros.evaluation.senders import AirLoad, Senders
from quantv2x_ros.evaluation.settings import EvaluationConfig, EvaluationSettingError, Link, Sending
from quantv2x_ros.evaluation.settings_file import read_channel

CONFIG = Path(__file__).parents[2] / "config" / "channel.yaml"
SMALL = Sending(SendSettings(TileSettings(300), min_occupancy=0.0), radio="none")


class Listener(Playback):
    """A playback that keeps what the ego fused last."""

    def _collect(self, receiver, now):
        self.fused = super()._collect(receiver, now)
        return self.fused


def hear(detector, states, link, **receiver):
    """What is fused of peers in each of the three frames."""
    settings = EvaluationConfig(link=link, receiver=ReceiverSettings(**receiver)).resolved(3)
    bundle = detector.bundle
    playback = Listener(detector, bundle, Senders(bundle), settings, 0)
    heard = []
    for state in states:
        playback.play(state, detect=False)
        heard.append(playback.fused.sweeps[1:])
    return heard


def ages(heard):
    return [
        [now - sweep.stamp_ns // 100_000_000 for sweep in sweeps]
        for now, sweeps in enumerate(heard)
    ]


def test_the_file_of_the_node_is_that_of_the_evaluation():
    content = yaml.safe_load(CONFIG.read_text())["/**/channel"]["ros__parameters"]
    settings = asdict(read_channel(CONFIG))
    assert settings.items() <= {**settings, **content}.items()
    assert (settings["bit_rate_mbps"], settings["burst_loss"]) == (6.0, 0.8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss: 0.1\nlos: 2", "unknown key 'los'; allowed are delay_ms"),
        ("/**/channel: {ros__parameters: {los: 2}}", "unknown key 'los'; allowed are delay_ms"),
        ("loss: high", "loss must be a float, got 'high'"),
        ("loss: true", "loss must be a float, got True"),
        ("loss: 2.0", "loss: got 2.0, allowed are 0 to 1"),
        ("- 1", "expected keys and values, got list"),
        ("loss: [", "not readable as YAML"),
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


def test_a_good_channel_brings_everything_in_time(detector, states):
    heard = hear(detector, states, Link(channel=ChannelSettings(), sending=SMALL))
    assert ages(heard) == [[0, 0]] * 3
    for state, sweeps in zip(states, heard, strict=True):
        sent = {station_id(name): item for name, item in state.sent.items()}
        for sweep in sweeps:
            assert sweep.received.all()
            np.testing.assert_array_equal(sweep.indices, sent[sweep.station_id].indices)


def test_what_comes_too_late_is_there_at_the_next_frame(detector, states):
    slow = Link(channel=ChannelSettings(delay_ms=80.0))
    assert ages(hear(detector, states, slow)) == [[], [1, 1], [1, 1]]
    # known peers' next sweeps are waited for, until 90 ms after the ego's
    assert ages(hear(detector, states, replace(slow, own_delay_ms=60.0))) == [[], [0, 0], [0, 0]]
    assert ages(hear(detector, states, replace(slow, own_delay_ms=90.0))) == [[0, 0]] * 3


def test_a_link_as_slow_as_the_timeout_leaves_the_ego_alone(detector, states):
    slow = Link(latency_ms=150.0, sending=SMALL)
    assert ages(hear(detector, states, slow, peer_timeout=0.15)) == [[]] * 3
    assert ages(hear(detector, states, slow, peer_timeout=0.25))[2] == [2, 2]


def test_all_agents_share_the_air(detector, states):
    shares = []
    for rate in (6.0, 27.0, 500.0):
        link = Link(channel=ChannelSettings(bit_rate_mbps=rate), sending=SMALL)
        heard = hear(detector, states, link, conceal=0.0)[1:]  # two frames of two peers
        shares.append(sum(sweep.received.mean() for sweeps in heard for sweep in sweeps) / 4)
    assert shares == sorted(shares)
    assert shares[0] < 0.5 < shares[2]


def test_a_law_is_kept_by_who_knows_it_and_costs_who_does_not(detector, states):
    """Sweeps that are cut to the law pass, others lose most of their messages."""
    counts, shares = {}, {}
    for radio in ("none", "its_g5_6"):
        sending = replace(SMALL, radio=radio)
        link = Link(channel=ChannelSettings(radio="its_g5_6"), sending=sending)
        settings = EvaluationConfig(link=link).resolved(3)
        senders = Senders(detector.bundle)
        playback, load = Playback(detector, detector.bundle, senders, settings, 0), AirLoad()
        for state in states:
            playback.play(state, detect=False)
            for sent in state.sent.values():
                load.add(senders.send(sent, sending).packet_sizes)
        counts[radio], shares[radio] = playback.air_counts, load.compute()["airtime_its_g5_6"]
    assert counts["none"]["unlawful"] > 0.5 * counts["none"]["sent"]
    assert counts["its_g5_6"]["sent"] > 0
    assert counts["its_g5_6"]["unlawful"] == 0
    assert shares["its_g5_6"] <= 0.03 < shares["none"]


def test_messages_wait_for_their_turn_on_the_radio(detector, states):
    departures = Departures("its_g5_6")
    sending = replace(SMALL, radio="its_g5_6")
    for number, state in enumerate(states):
        frame = Senders(detector.bundle).send(state.sent[state.ego], sending)
        times = sorted(
            departures.times(
                "ego", [Outgoing(size) for size in frame.packet_sizes], 0.1 * number
            ).values()
        )
        assert len(times) == len(frame.tiles) > 1
        assert np.diff(times).min() >= 0.025
        assert 0.1 * number <= times[0] < 0.1 * number + 0.026


def test_lost_cells_are_those_of_the_frame_before_and_bits_that_flip_are_losses(detector, states):
    damaged = Link(channel=ChannelSettings(corrupt=0.4), sending=SMALL)
    holes = hear(detector, states, damaged, conceal=0.0)
    filled = hear(detector, states, damaged)
    assert 0.3 < np.mean([sweep.received.mean() for sweep in holes[2]]) < 0.9
    for with_holes, without in zip(holes[2], filled[2], strict=True):
        assert (with_holes.received <= without.received).all()
        assert with_holes.received.sum() < without.received.sum()
        same = with_holes.received
        np.testing.assert_array_equal(without.indices[:, same], with_holes.indices[:, same])
