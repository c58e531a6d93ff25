# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is concluded from windows with and without an attacker."""

from __future__ import annotations

import os

import pytest

from quantv2x_ros.graph.settings import GraphSettings
from quantv2x_ros.results.kinds import KINDS
from quantv2x_ros.soak.flood import FloodError, FloodPeriod, FloodSettings, processor_time, summary


def windows(*rounds):
    return [
        FloodPeriod(phase, results, 1.0, 0.5, 1000.0 * (phase != "quiet"), phase == "attack")
        for each in rounds
        for phase, results in zip(("quiet", "unheard", "attack"), each, strict=True)
    ]


def test_the_rate_kept_is_the_median_over_rounds_not_of_all_windows():
    # the machine becomes slower from round to round, the attack always costs a tenth
    report = summary(windows((10.0, 9.0, 8.1), (8.0, 7.0, 6.3), (6.0, 5.0, 4.5)), {})
    assert report["rate_kept"]["unheard"] == pytest.approx(0.9)
    assert report["rate_kept"]["quiet"] == pytest.approx(6.3 / 8.0)
    assert report["phases"]["attack"]["results"] == pytest.approx(6.3)
    assert report["phases"]["attack"]["periods"] == 3
    assert report["phases"]["unheard"]["sent"] == 1000.0
    assert report["phases"]["attack"]["with_invented"] == 1.0
    assert report["phases"]["quiet"]["with_invented"] == 0.0


def test_a_table_is_made_of_the_report():
    report = summary(windows((10.0, 9.0, 8.1)), {})
    text = KINDS["flood"].make({"": [report]}, {})
    assert "| attack | 8.10 | 100% | 0.50 |" in text
    assert "0.81 of quiet, 0.90 of unheard" in text


def test_without_results_no_ratio_is_invented():
    assert summary(windows((0.0, 0.0, 0.0)), {})["rate_kept"] == {"quiet": None, "unheard": None}


def test_the_time_of_a_process_counts_all_its_work():
    before = processor_time(os.getpid())
    total = 0
    while processor_time(os.getpid()) < before + 0.05:
        total += sum(range(10_000))
    assert total > 0


@pytest.mark.parametrize("changes", [{"window": 0.5}, {"rounds": 0}, {"rate": 0.0}])
def test_settings_that_measure_nothing_are_refused(changes):
    with pytest.raises(FloodError, match="window, rounds, rate"):
        FloodSettings(GraphSettings(), **changes)
