# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the cost grows with points, agents, range and candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.benchmark.frames import BenchmarkFrame, with_points
from quantv2x_ros.benchmark.ours import OurPipeline
from quantv2x_ros.benchmark.samples import Samples, compare, summarize, time_calls
from quantv2x_ros.core.detection.detection import nms
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.inference.model.bundle import ModelBundle

POINTS = (10_000, 30_000, 60_000, 120_000)
CANDIDATES = (100, 300, 500, 1000)
#: Shares of the bundle's range in x.
RANGES = (0.25, 0.5, 0.75, 1.0)

Boxes = npt.NDArray[np.float32]
#: A suppression: boxes, scores, threshold, labels.
Suppression = Callable[..., npt.NDArray[np.int64]]


def crowd(count: int, seed: int = 0) -> tuple[Boxes, Boxes, npt.NDArray[np.int32]]:
    """Boxes as a detector gives them before suppression: about five around every object.

    Args:
        count: boxes.
        seed: of their places.

    Returns:
        (N, 7) boxes, (N,) scores, (N,) labels.
    """
    generator = np.random.default_rng(seed)
    objects = max(count // 5, 1)
    centres = generator.uniform([-100, -40], [100, 40], (objects, 2))
    chosen = generator.integers(0, objects, count)
    boxes = np.zeros((count, 7), np.float32)
    boxes[:, :2] = centres[chosen] + generator.normal(0, 0.4, (count, 2))
    boxes[:, 3:6] = np.array([4.2, 1.8, 1.6]) * generator.uniform(0.9, 1.1, (count, 3))
    yaws = generator.uniform(-np.pi, np.pi, objects)
    boxes[:, 6] = yaws[chosen] + generator.normal(0, 0.05, count)
    labels = (1 + chosen % 3).astype(np.int32)
    return boxes, generator.random(count).astype(np.float32), labels


def scale_candidates(
    threshold: float, rounds: int, reference: Suppression | None
) -> dict[str, dict[str, Any]]:
    """Suppression of growing numbers of candidates: ours, and the reference if there is one.

    Raises:
        RuntimeError: where the two keep different boxes; their times could not be compared.
    """
    rows = {}
    for count in CANDIDATES:
        boxes, scores, labels = crowd(count)
        ours, theirs = [], []
        for _ in range(rounds):
            ours += time_calls(lambda: nms(boxes, scores, threshold, labels), 5, 1)  # noqa: B023
            if reference is not None:
                theirs += time_calls(
                    lambda: reference(boxes, scores, threshold, labels),  # noqa: B023
                    1,
                    0,
                )
        kept = nms(boxes, scores, threshold, labels)
        if reference is not None and set(kept) != set(reference(boxes, scores, threshold, labels)):
            raise RuntimeError(f"suppression of {count} boxes: the reference keeps other boxes")
        row = compare(summarize(ours), summarize(theirs) if theirs else None)
        rows[str(count)] = {**row, "kept": len(kept)}
    return rows


def scale_points(
    pipeline: OurPipeline, frame: BenchmarkFrame, runs: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Encoding of clouds with growing numbers of points."""
    rows = {}
    for points in POINTS:
        cloud = with_points(frame.clouds[0], points)
        rows[str(points)] = _repeat(lambda: pipeline.encode(cloud), runs)  # noqa: B023
    return rows


def scale_agents(
    pipeline: OurPipeline, frame: BenchmarkFrame, runs: int
) -> dict[str, dict[str, dict[str, float]]]:
    """Whole frames with 1 agent to as many as the bundle fuses; peers repeat where they run out."""
    rows = {}
    for agents in range(1, pipeline.bundle.max_agents + 1):
        which = [0, *(1 + i % (len(frame.clouds) - 1) for i in range(agents - 1))]
        if len(frame.clouds) == 1:
            which = [0] * agents
        chosen = BenchmarkFrame([frame.clouds[i] for i in which], frame.ego_to_agents[which])
        rows[str(agents)] = _repeat(lambda: pipeline.run(chosen)[1], runs)  # noqa: B023
    return rows


def scale_range(
    bundle: ModelBundle, backend: str, threads: int, frame: BenchmarkFrame, runs: int
) -> dict[str, dict[str, Any]]:
    """Whole frames on parts of the grid in x; the engines are convolutional and fit any."""
    rows = {}
    for share in RANGES:
        grid = narrowed(bundle.grid, share)
        part = replace(bundle, manifest=replace(bundle.manifest, grid=grid))
        pipeline = OurPipeline(part, backend, threads)
        stages = _repeat(lambda: pipeline.run(frame)[1], runs)  # noqa: B023
        height, width = grid.shape
        rows[f"{grid.extent[1]:.1f}"] = {"cells": height * width, "stages": stages}
    return rows


def narrowed(grid: BevGrid, share: float) -> BevGrid:
    """The middle of a grid in x, a multiple of 8 pillars wide."""
    low, y_low, z_low, _, y_high, z_high = grid.lidar_range
    columns = grid.pillar_shape[1]
    kept = max(round(columns * share / 8), 1) * 8
    first = (columns - kept) // 2
    size = grid.voxel_size[0]
    start = round(low + first * size, 6)
    stop = round(start + kept * size, 6)
    return BevGrid((start, y_low, z_low, stop, y_high, z_high), grid.voxel_size, grid.stride)


def _repeat(call: Callable[[], dict[str, float]], runs: int) -> dict[str, dict[str, float]]:
    samples = Samples()
    for _ in range(2):
        call()
    for _ in range(runs):
        samples.add(call())
    return samples.summary()


def stages_by(rows: dict[str, Any], stages: Sequence[str]) -> dict[str, list[float]]:
    """Medians of some stages over a table's rows, for a plot."""
    return {stage: [row[stage]["p50"] for row in rows.values()] for stage in stages}
