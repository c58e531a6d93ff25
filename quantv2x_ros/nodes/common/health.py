# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The health of a node: level and words of its diagnostics."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node

from quantv2x_ros.core.monitoring.limits import Breach, Complaint, LimitWatch, parse_stage_limits
from quantv2x_ros.nodes.common.parameters import declare


@dataclass(frozen=True)
class HealthDefaults:
    """Limits of one kind of node.

    Attributes:
        min_rate: lowest rate, frames a second; 0 for any.
        stage_limits: text of the parameter of that name.
        drops_are_faults: whether drops are faults of the node itself. What others send is none:
            anybody on the air could otherwise bring this node to ERROR.
    """

    min_rate: float = 0.0
    stage_limits: str = ""
    drops_are_faults: bool = False


class Health:
    """Compares rate, stage times and drops with their limits."""

    def __init__(self, node: Node, defaults: HealthDefaults) -> None:
        """Declare the parameters, all of which can be changed while the node runs.

        Args:
            node: node that declares the parameters.
            defaults: limits of its kind.

        Raises:
            ValueError: for a parameter that cannot be used.
        """
        self._drops_are_faults = defaults.drops_are_faults
        self._min_rate = declare(
            node,
            "min_rate",
            defaults.min_rate,
            "Frames a second below which the diagnostics complain [Hz]; 0: any rate is well.",
            low=0.0,
            high=1000.0,
            on_change=self._setter("_min_rate"),
        )
        text = declare(
            node,
            "stage_limits",
            defaults.stage_limits,
            "Longest median times of stages [ms], as `total=100; wire=20`; empty: none.",
            check=parse_stage_limits,
            on_change=self._set_stage_limits,
        )
        self._stage_limits = parse_stage_limits(text)
        self._declare_patience(node)

    def _declare_patience(self, node: Node) -> None:
        self._warn_after = declare(
            node,
            "warn_after",
            1.0,
            "WARN once rate or a stage is beyond its limit for so long [s].",
            low=0.0,
            high=3600.0,
            on_change=self._setter("_warn_after"),
        )
        self._error_after = declare(
            node,
            "error_after",
            5.0,
            "ERROR once it is so for so long [s].",
            low=0.0,
            high=3600.0,
            on_change=self._setter("_error_after"),
        )
        clear_after = declare(
            node,
            "clear_after",
            1.0,
            "OK again once all limits are kept for so long [s].",
            low=0.0,
            high=3600.0,
            on_change=self._set_clear_after,
        )
        self._watch = LimitWatch(clear_after)

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
        if rate < self._min_rate:
            breaches.append(
                self._breach("rate", f"rate {rate:.2f} Hz, at least {self._min_rate:g} expected")
            )
        for stage, limit in self._stage_limits.items():
            median = stages.get(stage, (0.0, 0.0))[0]
            if median > limit:
                text = f"{stage} takes {median:.1f} ms, limit {limit:g} ms"
                breaches.append(self._breach(f"stage {stage}", text))
        if dropped:
            error_after = self._error_after if self._drops_are_faults else math.inf
            breaches.append(Breach("drops", f"dropped {dropped}: {drop_text}", 0.0, error_after))
        return self._watch.update(breaches, time.monotonic())

    def limit_of(self, stage: str) -> float | None:
        """Return a stage's limit, milliseconds; None where it has none."""
        return self._stage_limits.get(stage)

    def clear(self) -> None:
        """Start anew, as when the node begins or stops to work."""
        self._watch.clear()

    def _breach(self, name: str, text: str) -> Breach:
        return Breach(name, text, self._warn_after, self._error_after)

    def _setter(self, name: str) -> Any:
        return lambda value: setattr(self, name, value)

    def _set_stage_limits(self, text: str) -> None:
        self._stage_limits = parse_stage_limits(text)

    def _set_clear_after(self, seconds: float) -> None:
        self._watch.clear_after = seconds
