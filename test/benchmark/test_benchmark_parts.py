# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a benchmark is made of: settings, samples, clouds, bounds, boxes of both sides."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantv2x_ros.benchmark.agreement import agreement, closeness
from quantv2x_ros.benchmark.frames import with_points
from quantv2x_ros.benchmark.processes import peak_memory
from quantv2x_ros.benchmark.roofline import Ceilings, StageCost, roofline
from quantv2x_ros.benchmark.samples import Samples, compare, summarize, time_calls
from quantv2x_ros.benchmark.scaling import crowd, narrowed
from quantv2x_ros.benchmark.settings import BenchmarkError, BenchmarkSettings
from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.grid import BevGrid


def test_settings_survive_the_way_to_the_measuring_process() -> None:
    given_settings = BenchmarkSettings("engines/default", agents=3, isa="vnni", threads=1)
    assert BenchmarkSettings.from_json(given_settings.to_json()) == given_settings


def test_the_environment_limits_threads_keeps_memory_and_holds_to_an_instruction_set() -> None:
    variables = BenchmarkSettings("x", threads=3, isa="vnni").environment()
    assert variables["OMP_NUM_THREADS"] == variables["NUMBA_NUM_THREADS"] == "3"
    assert int(variables["MALLOC_MMAP_THRESHOLD_"]) > 1 << 30
    assert variables["ONEDNN_MAX_CPU_ISA"] == "AVX512_CORE_VNNI"
    assert "PATH" in variables


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"isa": "sse"}, "isa: got 'sse', allowed are '', vnni, avx2"),
        ({"rounds": 0}, "rounds: got 0"),
        ({"agents": 5}, "agents: got 5, at most max_agents, 4"),
        ({"points": -1}, "points: got -1"),
    ],
)
def test_settings_that_are_not_allowed_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        BenchmarkSettings("x", **changes)  # type: ignore[arg-type]


def test_percentiles_count_every_run() -> None:
    samples = Samples()
    for value in range(1, 102):
        samples.add({"stage": float(value)})
    row = samples.summary()["stage"]
    assert row == {"p50": 51.0, "p95": 96.0, "p99": 100.0, "min": 1.0, "runs": 101}
    with pytest.raises(ValueError, match="no times"):
        summarize([])


def test_the_ratio_is_of_medians_and_only_where_both_were_measured() -> None:
    assert compare({"p50": 2.0}, {"p50": 9.0})["ratio"] == 4.5
    assert "ratio" not in compare({"p50": 2.0}, None)


def test_calls_to_warm_up_are_not_counted() -> None:
    calls: list[int] = []
    times = time_calls(lambda: calls.append(1), runs=3, warm_up=2)
    assert len(calls) == 5
    assert len(times) == 3


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300))
def test_clouds_get_as_many_points_as_wanted(have: int, want: int) -> None:
    cloud = np.random.default_rng(have).uniform(-50, 50, (have, 4)).astype(np.float32)
    changed = with_points(cloud, want)
    assert changed.shape == (want, 4)
    assert changed.dtype == np.float32
    nearest = np.abs(changed[:, None, :3] - cloud[None, :, :3]).max(axis=2).min(axis=1)
    assert nearest.max() < 0.2
    assert with_points(cloud, 0) is cloud


def test_a_cloud_without_points_cannot_grow() -> None:
    with pytest.raises(BenchmarkError, match="without points"):
        with_points(np.zeros((0, 4), np.float32), 10)


def test_a_stage_is_bound_by_what_takes_longer() -> None:
    ceilings = Ceilings(macs=1e12, bytes=1e10)
    costs = {
        "products": StageCost(macs=1e10, bytes=1e6),
        "copies": StageCost(macs=1e6, bytes=1e8),
        "unmeasured": StageCost(1, 1),
    }
    rows = roofline(costs, {"products": 20.0, "copies": 40.0}, ceilings)
    assert set(rows) == {"products", "copies"}
    assert (rows["products"]["bound"], rows["products"]["least_ms"]) == ("compute", 10.0)
    assert (rows["copies"]["bound"], rows["copies"]["least_ms"]) == ("memory", 10.0)
    assert rows["products"]["share_of_ceiling"] == 0.5
    assert rows["copies"]["share_of_ceiling"] == 0.25


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 1.0])
def test_a_narrowed_grid_stays_in_the_middle_and_fits_the_network(share: float) -> None:
    grid = BevGrid((-140.8, -40.0, -5.0, 140.8, 40.0, 1.0), (0.4, 0.4, 6.0))
    part = narrowed(grid, share)
    assert part.pillar_shape[0] == grid.pillar_shape[0]
    assert part.pillar_shape[1] % 8 == 0
    assert part.extent[1] == pytest.approx(share * grid.extent[1], abs=3.3)
    low, high = part.lidar_range[0], part.lidar_range[3]
    assert low + high == pytest.approx(0.0, abs=1e-6)


def test_boxes_of_a_crowd_overlap() -> None:
    boxes, scores, labels = crowd(200)
    assert boxes.shape == (200, 7)
    assert set(labels) == {1, 2, 3}
    assert agreement(
        Detections(boxes, scores, labels), Detections(boxes[::-1], scores, labels[::-1])
    ) == {
        "ours": 200,
        "torch_fp32": 200,
        "ours_also_in_torch": 200,
        "torch_also_in_ours": 200,
    }


def test_boxes_of_another_class_or_place_are_not_the_same() -> None:
    boxes = np.array([[0, 0, 0, 4, 2, 1.5, 0.3], [20, 0, 0, 4, 2, 1.5, 0]], np.float32)
    scores = np.array([0.9, 0.8], np.float32)
    ours = Detections(boxes, scores, np.array([1, 1], np.int32))
    moved = boxes + np.array([0, 3, 0, 0, 0, 0, 0], np.float32)
    assert agreement(ours, Detections(moved, scores, ours.labels))["ours_also_in_torch"] == 0
    other = Detections(boxes, scores, np.array([1, 2], np.int32))
    assert agreement(ours, other)["torch_also_in_ours"] == 1
    assert agreement(ours, Detections.empty())["ours_also_in_torch"] == 0


def test_the_peak_of_memory_is_that_of_this_process() -> None:
    assert peak_memory() > 10


def test_closeness_counts_both_sides_and_measures_what_they_share() -> None:
    boxes = np.array([[10, 0, -1, 4, 2, 1.5, 0], [30, 5, -1, 4, 2, 1.5, 0]], np.float32)
    scores = np.array([0.9, 0.8], np.float32)
    labels = np.array([1, 1], np.int32)
    expected = Detections(boxes, scores, labels)
    assert closeness(expected, expected)["share"] == 1.0
    moved = boxes[:1] + np.array([0.3, 0.4, 0, 0, 0, 0, 0], np.float32)
    row = closeness(Detections(moved, scores[:1] - np.float32(0.25), labels[:1]), expected)
    assert row == {
        "found": 1,
        "expected": 2,
        "share": 0.6667,
        "centre_m": pytest.approx(0.5, abs=1e-4),
        "score": pytest.approx(0.25, abs=1e-4),
    }
    other = closeness(Detections(boxes, scores, labels + 1), expected)
    assert (other["share"], other["centre_m"]) == (0.0, 0.0)
    none = Detections(boxes[:0], scores[:0], labels[:0])
    assert closeness(none, none)["share"] == 1.0
    assert closeness(none, expected)["share"] == 0.0
