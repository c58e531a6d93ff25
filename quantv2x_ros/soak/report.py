# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a soak has shown: memory over time, gaps between results, drops by reason."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_COUNTED = re.compile(r"(\d+) \(")


def memory_growth(times: Sequence[float], sizes: Sequence[float], warm_up: float) -> dict[str, Any]:
    """Return how memory grew after the warm-up.

    Args:
        times: times of the samples, seconds from the first result.
        sizes: resident memory, MiB.
        warm_up: samples before this are left out, seconds.

    Returns:
        Medians of the first and the last quarter [MiB], their difference, and the slope of a line
        [MiB/h]; None where fewer than 8 samples are left.
    """
    kept = np.array(times) >= warm_up
    t, m = np.array(times)[kept], np.array(sizes)[kept]
    if len(t) < 8:
        return {"first_mib": None, "last_mib": None, "growth_mib": None, "slope_mib_per_hour": None}
    quarter = len(t) // 4
    first, last = float(np.median(m[:quarter])), float(np.median(m[-quarter:]))
    return {
        "first_mib": first,
        "last_mib": last,
        "growth_mib": last - first,
        "slope_mib_per_hour": float(np.polyfit(t / 3600.0, m, 1)[0]),
    }


def missed_deadlines(times: Sequence[float], longest_gap: float, warm_up: float) -> dict[str, Any]:
    """Return how often results came late.

    Args:
        times: when results came, seconds from the first one.
        longest_gap: allowed between two results, seconds.
        warm_up: results before this are left out, seconds.

    Returns:
        Numbers of results and of gaps that were too long, where each of those began and how long
        it was [s], the longest and the median gap; None where there is no gap.
    """
    kept = [time for time in times if time >= warm_up]
    gaps = np.diff(kept) if len(kept) > 1 else np.zeros(0)
    late = np.flatnonzero(gaps > longest_gap)
    return {
        "results": len(kept),
        "missed": len(late),
        "missed_s": [[round(kept[n], 2), round(float(gaps[n]), 2)] for n in late],
        "longest_gap_s": float(gaps.max()) if len(gaps) else None,
        "median_gap_s": float(np.median(gaps)) if len(gaps) else None,
    }


class DropLedger:
    """Adds up what nodes report as dropped; one that starts again counts from 0, and goes on."""

    def __init__(self) -> None:
        """Start empty."""
        self._now: dict[str, dict[str, int]] = {}
        self._before: dict[str, Counter[str]] = defaultdict(Counter)

    def note(self, node: str, values: Mapping[str, str]) -> None:
        """Take a node's newest diagnostics.

        Args:
            node: its name.
            values: by key; ``dropped: REASON`` holds a count and, in brackets, an explanation.
        """
        counts = {}
        for key, value in values.items():
            match = _COUNTED.match(value)
            if key.startswith("dropped: ") and match:
                counts[key.removeprefix("dropped: ")] = int(match.group(1))
        last = self._now.get(node, {})
        if any(counts.get(reason, 0) < count for reason, count in last.items()):
            self._before[node].update(last)
        self._now[node] = counts

    def totals(self) -> dict[str, dict[str, int]]:
        """Return node → reason → count; only nodes that dropped something."""
        table = {node: dict(self._before[node] + Counter(now)) for node, now in self._now.items()}
        return {node: counts for node, counts in table.items() if counts}
