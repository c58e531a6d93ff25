# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The health of a node: level and words of its diagnostics."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from quantv2x_ros.core.monitoring.limits import Breach, Complaint, LimitWatch, parse_stage_limits
from quantv2x_ros.graph.parameters.common import HealthParameters


class Health:
    """Compares rate, stage times and drops with their limits."""

    def __init__(self, parameters: HealthParameters, drops_are_faults: bool) -> None:
        """Know of no breach yet.

        Args:
            parameters: the limits.
            drops_are_faults: see `BaseNode`.
        """
        self._drops_are_faults = drops_are_faults
        self._watch = LimitWatch(parameters.clear_after)
        self.retune(parameters)

    def retune(self, parameters: HealthParameters) -> None:
        """Go by other limits from now on; what is exceeded since when stays known."""
        self._parameters = parameters
        self._stage_limits = parse_stage_limits(parameters.stage_limits)
        self._watch.clear_after = parameters.clear_after

    def judge(
        self, rate: float, stages: Mapping[str, tuple[float, float]], dropped: int, drop_text: str
    ) -> list[Complaint]:
        """Return the complaints, the worst first.

        Args:
            rate: present rate, frames a second.
            stages: median and 95th percentile of each stage, milliseconds.
            dropped: number of drops since the last call.
            drop_text: latest reason for a drop.
        """
        breaches = []
        least = self._parameters.min_rate
        if rate < least:
            breaches.append(
                self._breach("rate", f"rate {rate:.2f} Hz, at least {least:g} expected")
            )
        for stage, limit in self._stage_limits.items():
            median = stages.get(stage, (0.0, 0.0))[0]
            if median > limit:
                text = f"{stage} takes {median:.1f} ms, limit {limit:g} ms"
                breaches.append(self._breach(f"stage {stage}", text))
        if dropped:
            error_after = self._parameters.error_after if self._drops_are_faults else math.inf
            breaches.append(Breach("drops", f"dropped {dropped}: {drop_text}", 0.0, error_after))
        return self._watch.update(breaches, time.monotonic())

    def limit_of(self, stage: str) -> float | None:
        """Return a stage's limit, milliseconds; None where it has none."""
        return self._stage_limits.get(stage)

    def clear(self) -> None:
        """Start anew, as when the node begins or stops to work."""
        self._watch.clear()

    def _breach(self, name: str, text: str) -> Breach:
        return Breach(name, text, self._parameters.warn_after, self._parameters.error_after)
