# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Latencies and rates of running nodes, from what an observer saw."""

from __future__ import annotations

import pytest

from quantv2x_ros.benchmark.node_times import FrameTimes, summarize_frames
from quantv2x_ros.benchmark.nodes import NodeBenchmarkSettings
from quantv2x_ros.benchmark.settings import BenchmarkError


def frames(count: int = 21) -> dict[int, FrameTimes]:
    """One sweep every 0.1 s, of which every second one is fused 80 ms later."""
    found = {}
    for number in range(count):
        start = 100.0 + 0.1 * number
        frame = FrameTimes(start, start + 0.02, start + 0.03)
        if number % 2 == 0:
            frame.objects, frame.agents = start + 0.08, 2
        found[number] = frame
    return found


def test_rate_and_latencies_are_those_after_the_warm_up() -> None:
    result = summarize_frames(frames(), 0.5)
    assert result["sweeps"] == 15
    assert result["fused"] == result["fused_with_peers"] == 8
    assert result["rate_hz"] == pytest.approx(5.0)
    assert result["cloud_to_indices_ms"]["p50"] == pytest.approx(20.0)
    assert result["cloud_to_indices_ms"]["runs"] == 15
    assert result["cloud_to_objects_ms"]["p99"] == pytest.approx(80.0)
    assert result["inputs_to_objects_ms"]["p50"] == pytest.approx(50.0)


def test_inputs_that_are_seen_after_the_boxes_do_not_make_them_early() -> None:
    seen = frames()
    seen[20].own_indices = seen[20].objects + 0.01  # type: ignore[operator]
    assert summarize_frames(seen, 0.0)["inputs_to_objects_ms"]["min"] == 0.0


def test_an_encoder_alone_is_through_with_its_indices() -> None:
    seen = frames()
    for frame in seen.values():
        frame.objects, frame.peers_indices = None, None
    seen[20].own_indices = None
    result = summarize_frames(seen, 0.5, encoder_only=True)
    assert set(result) == {"sweeps", "sent", "rate_hz", "cloud_to_indices_ms"}
    assert (result["sweeps"], result["sent"]) == (15, 14)
    assert result["rate_hz"] == pytest.approx(10.0)
    assert result["cloud_to_indices_ms"]["p50"] == pytest.approx(20.0)
    with pytest.raises(BenchmarkError, match="0 sweeps were sent after 9 s"):
        summarize_frames(seen, 9.0, encoder_only=True)


def test_too_little_is_said() -> None:
    with pytest.raises(BenchmarkError, match="0 sweeps were fused after 9 s"):
        summarize_frames(frames(), 9.0)
    with pytest.raises(BenchmarkError, match="0 sweeps"):
        summarize_frames({}, 0.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"agents": 0},
        {"rates": (1.0, 0.0)},
        {"rates": ()},
        {"isa": "mmx"},
        {"seconds": 4.0},
        {"encoder_only": True},
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(BenchmarkError, match="got"):
        NodeBenchmarkSettings("bundle", **changes)  # type: ignore[arg-type]
