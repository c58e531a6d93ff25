# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Budgets of frames: both limits hold, and unused bit rate is saved for a while only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.transport.sweep_sender import SAVING_TIME, RateController, RateError


def test_without_limits_a_frame_may_be_of_any_size() -> None:
    assert RateController().budget(0.0) is None


@given(st.lists(st.tuples(st.floats(0.0, 2.0), st.floats(0.0, 1.0)), max_size=60))
def test_the_mean_rate_is_never_exceeded(frames: list[tuple[float, float]]) -> None:
    controller = RateController(max_bitrate=80_000.0)
    now, total = 100.0, 0
    for wait, share in frames:
        now += wait
        budget = controller.budget(now)
        assert budget is not None
        spent = int(share * budget)
        controller.spend(spent)
        total += spent
    assert total <= 10_000 * (now - 100.0 + SAVING_TIME) + 1e-6


def test_both_limits_hold() -> None:
    controller = RateController(max_bytes_per_frame=1000, max_bitrate=80_000.0)
    assert controller.budget(0.0) == 1000
    controller.spend(1000)
    assert controller.budget(0.0) == 1000
    controller.spend(2000)
    assert controller.budget(0.0) == 0
    assert controller.budget(0.05) == 500
    assert controller.budget(0.04) == 500
    assert controller.budget(9.0) == 1000


@pytest.mark.parametrize(
    "limits", [{"max_bytes_per_frame": -1}, {"max_bitrate": -1.0}, {"max_bitrate": float("nan")}]
)
def test_limits_that_mean_nothing_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(RateError, match=next(iter(limits))):
        RateController(**limits)  # type: ignore[arg-type]
