# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Measured times and their percentiles."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

PERCENTILES = (50, 95, 99)


class Samples:
    """Times of named stages, milliseconds."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = {}

    def add(self, stages: Mapping[str, float]) -> None:
        """Note one run."""
        for name, milliseconds in stages.items():
            self._times.setdefault(name, []).append(milliseconds)

    def summary(self) -> dict[str, dict[str, float]]:
        """Percentiles p50, p95, p99, the least, and the number of runs, by stage."""
        return {name: summarize(times) for name, times in self._times.items()}


def summarize(times: list[float]) -> dict[str, float]:
    """Percentiles of times in milliseconds.

    Raises:
        ValueError: for no times.
    """
    if not times:
        raise ValueError("no times to summarize")
    values = {f"p{p}": round(float(np.percentile(times, p)), 4) for p in PERCENTILES}
    return {**values, "min": round(min(times), 4), "runs": len(times)}


def compare(
    ours: Mapping[str, float] | None, reference: Mapping[str, float] | None
) -> dict[str, Any]:
    """One stage of both, and how many times faster the median of ours is."""
    row: dict[str, Any] = {"ours": ours, "torch_fp32": reference}
    if ours and reference:
        row["ratio"] = round(reference["p50"] / ours["p50"], 2)
    return row


def time_calls(call: Callable[[], object], runs: int, warm_up: int = 2) -> list[float]:
    """Times of repeated calls, milliseconds, after some that do not count."""
    for _ in range(warm_up):
        call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - start))
    return times
