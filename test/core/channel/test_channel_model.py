# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The channel's statistics are those that it was set to, and the same every time."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.channel.channel_model import (
    MAX_SENDERS,
    UNIT_BYTES,
    ChannelError,
    ChannelModel,
    ChannelSettings,
    arrived_in_time,
    flip_bits,
)

ROUGH = ChannelSettings(
    delay_ms=30,
    jitter_ms=10,
    loss=0.1,
    burst_start=0.05,
    burst_end=0.3,
    reorder=0.1,
    duplicate=0.1,
    corrupt=0.1,
)


def play(settings, count=3000, size=1000, seed=1, sender=1, period=0.01):
    channel = ChannelModel(settings, seed)
    return channel, [channel.send(sender, size, n * period) for n in range(count)]


def test_by_default_nothing_happens():
    channel, results = play(ChannelSettings(), count=50)
    assert [len(r) for r in results] == [1] * 50
    assert [r[0].time for r in results] == [n * 0.01 for n in range(50)]
    assert channel.counts == {"sent": 50, "delivered": 50, "corrupted": 0}


def test_the_same_seed_gives_the_same_decisions_and_another_one_others():
    assert play(ROUGH)[1] == play(ROUGH)[1]
    assert play(ROUGH)[1] != play(ROUGH, seed=2)[1]
    assert play(ROUGH)[1] != play(ROUGH, sender=2)[1]


def test_decisions_about_a_sender_do_not_depend_on_the_others():
    channel = ChannelModel(ROUGH, 1)
    mixed = []
    for n in range(300):
        channel.send(7, 5000, n * 0.01)
        mixed.append(channel.send(1, 1000, n * 0.01))
        if n % 3 == 0:
            channel.send(9, 10, n * 0.01)
    assert mixed == play(ROUGH, count=300)[1]


def test_independent_loss_has_its_share_and_no_memory():
    _, results = play(ChannelSettings(loss=0.2))
    lost = np.array([not r for r in results])
    assert lost.mean() == pytest.approx(0.2, abs=0.03)
    assert lost[1:][lost[:-1]].mean() == pytest.approx(0.2, abs=0.06)


def test_bursts_have_their_share_and_their_length():
    settings = ChannelSettings(burst_start=0.05, burst_end=0.25)
    channel, results = play(settings, count=8000)
    lost = np.array([not r for r in results])
    assert settings.mean_burst_loss == pytest.approx(1 / 6)
    assert lost.mean() == pytest.approx(settings.mean_burst_loss, abs=0.04)
    assert lost[1:][lost[:-1]].mean() == pytest.approx(0.75, abs=0.05), "mean length 4"
    assert channel.counts["lost_in_burst"] == lost.sum()


def test_a_long_message_is_lost_with_any_of_its_packets():
    _, results = play(ChannelSettings(loss=0.1), size=5 * UNIT_BYTES)
    assert np.mean([not r for r in results]) == pytest.approx(1 - 0.9**5, abs=0.04)


@pytest.mark.parametrize("kind", ["uniform", "normal", "gamma"])
def test_delays_have_their_mean_and_spread(kind):
    settings = ChannelSettings(delay_ms=60, jitter_ms=15, delay_distribution=kind)
    _, results = play(settings)
    delays = np.array([r[0].time - n * 0.01 for n, r in enumerate(results)])
    assert delays.mean() == pytest.approx(0.060, abs=0.002)
    assert delays.std() == pytest.approx(0.015, abs=0.002)
    assert delays.min() >= 0.0


def test_held_back_messages_come_after_later_ones():
    channel, results = play(ChannelSettings(reorder=0.2, reorder_ms=25), count=1000)
    times = [r[0].time for r in results]
    overtaken = sum(a > b for a, b in itertools.pairwise(times))
    assert channel.counts["reordered"] == pytest.approx(200, abs=40)
    assert overtaken > 100


def test_doubles_come_twice():
    channel, results = play(ChannelSettings(duplicate=0.3), count=1000)
    assert sum(len(r) == 2 for r in results) == channel.counts["duplicated"]
    assert channel.counts["duplicated"] == pytest.approx(300, abs=50)


def test_damage_lies_within_the_message():
    settings = ChannelSettings(corrupt=0.5)
    _, results = play(settings, size=UNIT_BYTES + 3, count=500)
    bits = [bit for r in results for bit in r[0].flipped_bits]
    assert all(0 <= bit < 8 * (UNIT_BYTES + 3) for bit in bits)
    assert sum(bit >= 8 * UNIT_BYTES for bit in bits) > 100, "the short last packet, too"
    assert len(bits) == pytest.approx(500, abs=80)


def test_an_empty_message_survives_damage():
    _, results = play(ChannelSettings(corrupt=1.0), size=0, count=5)
    assert [r[0].flipped_bits for r in results] == [()] * 5


@given(st.binary(min_size=1, max_size=20), st.data())
def test_flipped_bits_flip_back(content, data):
    places = data.draw(st.lists(st.integers(0, 8 * len(content) - 1), unique=True, max_size=5))
    damaged = flip_bits(content, places)
    assert (damaged != content) == bool(places)
    assert flip_bits(damaged, places) == content


def test_a_shared_channel_never_passes_more_than_its_rate():
    channel = ChannelModel(ChannelSettings(bit_rate_mbps=6), 1)
    passed = sum(
        1000 * len(channel.send(sender, 1000, n * 0.001)) for n in range(1000) for sender in (1, 2)
    )
    assert passed * 8 < 6e6
    assert passed * 8 > 3e6, "and not much less"
    assert channel.counts["congested"] > 500


def test_a_faster_channel_loses_what_a_slow_one_cannot_carry():
    load = {"count": 200, "size": 20_000, "period": 0.02}  # 8 Mbit/s
    slow, _ = play(ChannelSettings(bit_rate_mbps=6), **load)
    fast, results = play(ChannelSettings(bit_rate_mbps=27), **load)
    assert slow.counts["congested"] > 50
    assert fast.counts["delivered"] == 200
    airtime = results[0][0].time
    assert 20_000 * 8 / 27e6 < airtime < 1.9 * 20_000 * 8 / 27e6, "overhead of 15 frames"


def test_more_stations_mean_more_waiting_and_more_collisions():
    def quality(stations):
        channel, results = play(
            ChannelSettings(bit_rate_mbps=6, other_stations=stations), count=400, period=0.1
        )
        waits = [r[0].time - 0.1 * n for n, r in enumerate(results) if r]
        return float(np.mean(waits)), channel.counts["collided"] / 400

    alone, few, many = (quality(stations) for stations in (0, 20, 80))
    assert alone[1] == 0.0
    assert alone[0] < few[0] < many[0]
    assert few[1] < many[1] < 0.5


def test_the_medium_forgets_a_pause():
    channel = ChannelModel(ChannelSettings(bit_rate_mbps=6, other_stations=50), 1)
    channel.send(1, 1000, 0.0)
    (delivery,) = channel.send(1, 1000, 1e6) or channel.send(1, 1000, 1e6 + 1)
    assert delivery.time < 1e6 + 1.2


def test_senders_are_bounded():
    channel = ChannelModel(ROUGH, 1)
    for sender in range(MAX_SENDERS + 50):
        channel.send(sender, 100, 0.0)
    assert len(channel._senders) == MAX_SENDERS


def test_tiles_that_arrive_in_time_are_named_in_order_of_arrival():
    settings = ChannelSettings(delay_ms=20, jitter_ms=5, loss=0.2, duplicate=0.2, corrupt=0.1)
    channel = ChannelModel(settings, 3)
    arrived = arrived_in_time(channel, 1, [900] * 40, sent=5.0, deadline=math.inf)
    assert len(set(arrived)) == len(arrived)
    assert channel.counts["delivered"] - channel.counts["corrupted"] == len(arrived)
    assert arrived != sorted(arrived)
    again = ChannelModel(settings, 3)
    early = arrived_in_time(again, 1, [900] * 40, sent=5.0, deadline=5.02)
    assert 0 < len(early) < len(arrived)
    assert [n for n in arrived if n in early] == early


@pytest.mark.parametrize(
    "change",
    [
        {"loss": 1.1},
        {"burst_loss": -0.1},
        {"delay_ms": -1},
        {"jitter_ms": math.inf},
        {"longest_wait_ms": 0},
        {"delay_distribution": "cauchy"},
        {"burst_start": 0.1, "burst_end": 0.0},
        {"other_stations": -1},
        {"corrupt": math.nan},
    ],
)
def test_settings_are_validated(change):
    with pytest.raises(ChannelError, match=list(change)[-1]):
        ChannelSettings(**change)


@pytest.mark.parametrize("gap", [0.05, 0.1, 0.02])
def test_what_breaks_the_radios_law_is_not_sent(gap):
    """A full packet every 50 ms is more than 3 % of the time, every 100 ms it is not."""
    channel = ChannelModel(ChannelSettings(radio="its_g5_6"), 0)
    arrived = [bool(channel.send(1, 1398, gap * number)) for number in range(int(4 / gap))]
    assert channel.counts["unlawful"] == arrived.count(False)
    if gap == 0.1:
        assert all(arrived)
    else:  # 2.0 ms each: 14 a second and no more
        assert 14 * 3 <= sum(arrived) <= 14 * 4 + 1
    assert channel.send(2, 1398, 4.0), "the other's law is its own"
    with pytest.raises(ChannelError, match="radio: got 'wifi', allowed are none"):
        ChannelSettings(radio="wifi")
