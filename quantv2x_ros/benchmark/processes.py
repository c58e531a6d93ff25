# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Measuring in processes whose libraries were started with the right environment."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quantv2x_ros.benchmark.frames import load_frame
from quantv2x_ros.benchmark.ours import OurPipeline
from quantv2x_ros.benchmark.settings import BenchmarkError, BenchmarkSettings
from quantv2x_ros.inference.model.bundle import ModelBundle

SIDES = ("ours", "torch_fp32")


def peak_memory() -> float:
    """Return the most memory that this process has had at once, MB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def measure_memory(settings: BenchmarkSettings, side: str) -> dict[str, float]:
    """Peak memory after frames of 1 to ``max_agents`` agents, megabytes, by number of agents.

    Includes the interpreter and its libraries: ``0`` is the process before the first frame.
    """
    bundle = ModelBundle.load(Path(settings.bundle))
    frame = load_frame(settings.scenario, settings.max_agents, settings.points)
    if side == "ours":
        run = OurPipeline(bundle, settings.backend, settings.threads).run
    else:
        from quantv2x_ros.benchmark.torch_reference.plain import PlainPipeline

        run = PlainPipeline(bundle, settings.threads).run
    peaks = {"0": peak_memory()}
    for agents in range(1, settings.max_agents + 1):
        for _ in range(3):
            run(frame.first(agents))
        peaks[str(agents)] = peak_memory()
    return peaks


#: Told what is being measured, and which part of all is done.
Report = Callable[[str, float], None]


def run_benchmark(settings: BenchmarkSettings, report: Report) -> dict[str, Any]:
    """Measure times, then the memory of each side in a process of its own.

    Args:
        settings: what to measure.
        report: told about the progress.

    Raises:
        BenchmarkError: in the words of the process that failed, or naming it where its traceback
            is on the standard error.
    """
    result = _run("all", settings, report)
    memory = {}
    for side in SIDES if settings.torch else SIDES[:1]:
        report(f"memory of {side}", 0.97)
        memory[side] = _run(side, settings, report)
    return {**result, "peak_memory_mb": memory}


def _run(task: str, settings: BenchmarkSettings, report: Report) -> dict[str, Any]:
    command = [sys.executable, "-m", "quantv2x_ros.benchmark", task, settings.to_json()]
    process = subprocess.Popen(
        command,
        env=settings.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    result: dict[str, Any] | None = None
    error = f"the process that measures {task} has failed; it says why above"
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith("{"):
                continue
            message = json.loads(line)
            result, error = message.get("result", result), message.get("error", error)
            if "what" in message:
                report(message["what"], message["done"])
        process.wait()
    finally:
        process.kill()
    if process.returncode != 0 or result is None:
        raise BenchmarkError(error)
    return result
