# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures what a flood of messages costs a running ego: results a second, and time of its process.

Three phases take turns: quiet; an attacker who sends on a topic that nobody subscribes to, which is
what it costs on the same machine; and the attack. What the machine does besides hits all alike.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quantv2x_ros.environment.interruption import signals_held_back
from quantv2x_ros.graph.graph import cooperative_graph
from quantv2x_ros.graph.processes import ProcessGraph, node_environment
from quantv2x_ros.graph.replay_source import ReplaySource
from quantv2x_ros.graph.settings import GraphSettings

PHASES = ("quiet", "unheard", "attack")
#: Not measured at the beginning of a phase, seconds: queues of the one before run empty.
_SETTLE = 1.0
_START_LIMIT = 300.0


class FloodError(ValueError):
    """A flood that showed nothing."""


@dataclass(frozen=True)
class FloodSettings:
    """What is run.

    Attributes:
        graph: the nodes and what they play.
        kind: kind of attack; see `attacker.KINDS`.
        rate: messages a second.
        niceness: niceness of the attacker's process: its own work should not be what is measured.
        window: length of a phase, seconds.
        rounds: how often the three phases are run.
        log_file: takes what the nodes print.
    """

    graph: GraphSettings
    kind: str = "strangers"
    rate: float = 10_000.0
    niceness: int = 19
    window: float = 10.0
    rounds: int = 5
    log_file: Path = Path("flood.log")

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            FloodError: naming the setting.
        """
        if not self.window > _SETTLE or self.rounds < 1 or not self.rate > 0:
            raise FloodError(
                f"window, rounds, rate: got {self.window} s, {self.rounds} and {self.rate} 1/s; a "
                f"window lasts more than {_SETTLE} s, and the others are positive"
            )


@dataclass(frozen=True)
class FloodPeriod:
    """What one phase showed.

    Attributes:
        phase: one of `PHASES`.
        results: a second.
        with_peers: share of them in which a true peer took part.
        with_invented: share of them in which a peer of the attacker's took part.
        cores: processor time of the ego's process a second.
        sent: messages of the attacker a second.
    """

    phase: str
    results: float
    with_peers: float
    cores: float
    sent: float
    with_invented: float = 0.0


class _Attacker:
    """The attacker's process."""

    def __init__(self, settings: FloodSettings) -> None:
        options = {"kind": settings.kind, "rate": settings.rate, "niceness": settings.niceness}
        command = [sys.executable, "-m", "quantv2x_ros.soak.attacker"]
        command += [f"--{name}={value}" for name, value in options.items()]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=node_environment(os.environ),
        )

    def change(self, phase: str) -> int:
        """Begin a phase; returns the number of messages sent in the one before."""
        if self._process.stdin is None or self._process.stdout is None:
            raise FloodError("the attacker has no pipes")
        self._process.stdin.write(phase + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise FloodError(f"the attacker ended with exit code {self._process.wait()}")
        return int(answer)

    def __enter__(self) -> _Attacker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def run_flood(settings: FloodSettings, announce: Callable[[str], None]) -> dict[str, Any]:
    """Run, and return what was seen.

    Args:
        settings: what.
        announce: takes a line a window.

    Raises:
        FloodError: if no result came.
        ProcessGraphError: if a node failed.
        ValueError: for input that cannot be used.
    """
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    from quantv2x_ros.soak.attacker import INVENTED
    from quantv2x_ros.soak.observer import SoakObserver

    source = ReplaySource.find(
        settings.graph.replay, settings.graph.agents, announce, settings.graph.indices
    )
    nodes = cooperative_graph(settings.graph, source)
    os.environ.update(node_environment(os.environ))
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        with (
            ProcessGraph(nodes, log_level="info", log_file=settings.log_file) as graph,
            _Attacker(settings) as attacker,
        ):
            observer = SoakObserver("/" + settings.graph.namespace.strip("/"), INVENTED)
            executor = SingleThreadedExecutor()
            executor.add_node(observer)
            process = graph.processes[0].pid

            def spin(seconds: float) -> None:
                end = time.monotonic() + seconds
                while time.monotonic() < end and not graph.is_over():
                    with signals_held_back():
                        executor.spin_once(timeout_sec=0.05)

            began = time.monotonic()
            while not observer.results:
                spin(0.5)
                if time.monotonic() - began > _START_LIMIT:
                    raise FloodError(
                        f"no result within {_START_LIMIT:.0f} s; see {settings.log_file}"
                    )
            spin(settings.window)  # warms up
            periods = []
            for phase in PHASES * settings.rounds:
                attacker.change(phase)
                spin(_SETTLE)
                periods.append(_measure(settings, observer, process, spin, attacker, phase))
                announce(str(periods[-1]))
            executor.shutdown()
            return summary(periods, observer.drops.totals())
    finally:
        rclpy.try_shutdown()


def _measure(
    settings: FloodSettings,
    observer: Any,
    process: int,
    spin: Callable[[float], None],
    attacker: _Attacker,
    phase: str,
) -> FloodPeriod:
    seconds = settings.window - _SETTLE
    attacker.change(phase)
    results, with_peers = len(observer.results), observer.with_peers
    with_invented = observer.with_invented
    start, spent = time.monotonic(), processor_time(process)
    spin(seconds)
    elapsed = time.monotonic() - start
    cores = (processor_time(process) - spent) / elapsed
    count = len(observer.results) - results
    sent = attacker.change("quiet")
    true = (observer.with_peers - with_peers) / count if count else 0.0
    invented = (observer.with_invented - with_invented) / count if count else 0.0
    return FloodPeriod(phase, count / elapsed, true, cores, sent / elapsed, invented)


def processor_time(process: int) -> float:
    """Return the processor time that a process and all its threads have used, seconds."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def summary(periods: list[FloodPeriod], dropped: dict[str, dict[str, int]]) -> dict[str, Any]:
    """Return medians by phase, and what the attack costs.

    Args:
        periods: periods of all phases, in their order.
        dropped: by node and reason.

    Returns:
        `phases` with medians of each; `rate_kept`: the median over rounds of the rate of results
        under attack, divided by that with the attacker unheard and by that of the quiet window of
        the same round; `dropped`.
    """
    phases = {}
    for phase in PHASES:
        of_phase = [window for window in periods if window.phase == phase]
        phases[phase] = {
            name: float(np.median([getattr(window, name) for window in of_phase]))
            for name in ("results", "with_peers", "with_invented", "cores", "sent")
        }
        phases[phase]["periods"] = len(of_phase)
    kept = {}
    for reference in PHASES[:2]:
        pairs = zip(
            (w.results for w in periods if w.phase == "attack"),
            (w.results for w in periods if w.phase == reference),
            strict=True,
        )
        ratios = [attack / base for attack, base in pairs if base]
        kept[reference] = float(np.median(ratios)) if ratios else None
    return {"phases": phases, "rate_kept": kept, "dropped": dropped}
