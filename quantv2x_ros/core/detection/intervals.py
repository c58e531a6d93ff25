# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How far a figure would move on other scenes: bootstrap intervals over scenes.

Frames of a scene show the same objects, so whole scenes are drawn, with replacement (the cluster
bootstrap of Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8).
Two figures of the same scenes are compared draw by draw: what both share cancels out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.matching import BoolArray

Float64 = npt.NDArray[np.float64]

DRAWS = 400
"""Sets of scenes that are drawn."""

LEVEL = 0.95
"""Share of the draws that lie inside an interval."""

BLOCK = 1_000_000
"""Detections, over all sets of a block, that are worked on at once: 8 MB an array."""


def draw_scenes(count: int, draws: int = DRAWS, seed: int = 0) -> Float64:
    """Draw as many scenes as there are, again and again.

    Args:
        count: Number of scenes, 1 or more.
        draws: Number of sets.
        seed: The same seed draws the same scenes.

    Returns:
        (draws, count) how often each scene is in each set.
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1.0 / count), size=draws).astype(np.float64)


def weighted_precision(
    hits: BoolArray, scenes: npt.NDArray[np.integer], truth: Float64, weights: Float64
) -> Float64:
    """Average precision in each set of scenes, as `area_under_curve` has it for all of them.

    Args:
        hits: (N,) whether each detection is true, best first.
        scenes: (N,) the scene of each.
        truth: (S,) number of truth boxes of each scene.
        weights: (draws, S) see `draw_scenes`.

    Returns:
        (draws,) NaN for a set without truth.
    """
    block = max(1, BLOCK // max(len(hits), 1))
    parts = [weights[first : first + block] for first in range(0, len(weights), block)]
    return np.concatenate([_weighted_precision(hits, scenes, truth, part) for part in parts])


def _weighted_precision(
    hits: BoolArray, scenes: npt.NDArray[np.integer], truth: Float64, weights: Float64
) -> Float64:
    each = weights[:, scenes]
    right = each * hits
    taken = np.cumsum(each, axis=1)
    precision = np.divide(
        np.cumsum(right, axis=1), taken, out=np.zeros_like(taken), where=taken > 0.0
    )
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    wanted = weights @ truth
    area = (envelope * right).sum(axis=1)
    return np.divide(area, wanted, out=np.full(len(weights), np.nan), where=wanted > 0.0)


Draws = Mapping[str, Mapping[str, Float64]]
"""Class or `mean`, then overlap, then (draws,); see `AveragePrecision.drawn`."""


def intervals(drawn: Draws, base: Draws | None = None) -> dict[str, dict[str, list[float]]]:
    """Return the interval of each figure, or of its change.

    Args:
        drawn: Figures in sets of scenes.
        base: Those from which the change is counted, in the same sets; `None` for the figures.

    Returns:
        Class or `mean`, then overlap, then low and high.
    """
    return {
        name: {
            iou: list(interval(values if base is None else values - base[name][iou]))
            for iou, values in row.items()
        }
        for name, row in drawn.items()
    }


def interval(values: Float64) -> tuple[float, float]:
    """Return the bounds between which LEVEL of the draws lie; NaN where there are none."""
    given = values[np.isfinite(values)]
    if not given.size:
        return float("nan"), float("nan")
    low, high = np.quantile(given, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
