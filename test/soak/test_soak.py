# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a soak concludes from what it sees, and which nodes it starts."""

from __future__ import annotations

import pytest

from quantv2x_ros.core.channel.channel_model import ChannelSettings
from quantv2x_ros.graph.graph import HEARD_TOPIC, SENT_TOPIC
from quantv2x_ros.graph.replay_source import ReplaySource
from quantv2x_ros.graph.settings import GraphSettings
from quantv2x_ros.results.kinds import KINDS
from quantv2x_ros.soak.report import DropLedger, memory_growth, missed_deadlines
from quantv2x_ros.soak.run import SoakError, SoakSettings, soak_graph


def test_growth_is_measured_after_the_warm_up():
    times = list(range(100))
    sizes = [50.0 * min(t, 20) + 0.5 * t for t in times]
    growth = memory_growth(times, sizes, warm_up=20)
    assert growth["slope_mib_per_hour"] == pytest.approx(1800)
    assert growth["growth_mib"] == pytest.approx(30, abs=1)
    assert memory_growth(times, [7.0] * 100, 20)["growth_mib"] == 0
    assert memory_growth(times[:5], sizes[:5], 0)["growth_mib"] is None


def test_gaps_longer_than_allowed_are_missed_deadlines():
    result = missed_deadlines([0.0, 3.0, 3.1, 3.2, 3.9, 4.0], longest_gap=0.5, warm_up=3.0)
    assert (result["results"], result["missed"]) == (5, 1)
    assert result["longest_gap_s"] == pytest.approx(0.7)
    assert result["missed_s"] == [[3.2, 0.7]]
    assert missed_deadlines([], 0.5, 0.0)["longest_gap_s"] is None


def test_a_table_is_made_of_what_was_seen():
    report = {
        "seconds": 120.0,
        "memory": {"ego": memory_growth(range(100), [500.0 + t for t in range(100)], 0)},
        "deadlines": missed_deadlines([0.0, 1.0, 1.8], 0.5, 0.0),
        "dropped": {"/fusion": {"rate": 1300, "late": 2}},
    }
    row = KINDS["soak"].make({"two minutes": [report]}, {}).splitlines()[-1]
    wanted = "two minutes | ego 587, +75.0 | fusion: rate 1,300, late 2 | 2 | 3 | 0.90 | 1.00 | 2"
    assert row == f"| {wanted} |"


def test_drops_are_read_from_the_diagnostics():
    ledger = DropLedger()
    ledger.note("/fusion", {"dropped: rate": "12 (too many)", "rate [Hz]": "9.9"})
    ledger.note("/fusion", {"dropped: rate": "13 (too many)", "dropped: late": "2 (old)"})
    ledger.note("/channel", {})
    assert ledger.totals() == {"/fusion": {"rate": 13, "late": 2}}


def test_what_a_peer_dropped_before_it_left_still_counts():
    ledger = DropLedger()
    for values in ("3 (no pose)", "5 (no pose)"):
        ledger.note("/agent_2/encoder", {"dropped: pose": values, "dropped: busy": "1 (busy)"})
    ledger.note("/agent_2/encoder", {})
    ledger.note("/agent_2/encoder", {"dropped: pose": "2 (no pose)"})
    assert ledger.totals() == {"/agent_2/encoder": {"pose": 7, "busy": 1}}


def test_peers_send_into_the_channel_and_the_ego_hears_what_leaves_it(bundle_folder):
    source = ReplaySource("/data/scene", ("1", "2", "-1"), is_bag=False)
    settings = SoakSettings(
        GraphSettings(bundle=str(bundle_folder), replay="/data/scene"),
        ChannelSettings(loss=0.2),
        seed=5,
    )
    stay, peers = soak_graph(settings, source)
    assert [node.executable for node in stay] == ["ego", "replay", "channel"]
    assert all(node.remappings[HEARD_TOPIC] == SENT_TOPIC for node in peers)
    assert len(peers) == 2
    channel = stay[-1]
    assert channel.parameters["loss"] == 0.2
    assert channel.parameters["seed"] == 5
    assert HEARD_TOPIC not in stay[0].remappings
    assert stay[1].parameters["loop"] is True


def test_a_soak_needs_a_peer(bundle_folder):
    settings = SoakSettings(GraphSettings(bundle=str(bundle_folder), replay="/data/scene"))
    with pytest.raises(SoakError, match="needs a peer"):
        soak_graph(settings, ReplaySource("/data/scene", ("1",), is_bag=False))
