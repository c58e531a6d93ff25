# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Measuring in processes whose libraries were started with the right environment."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from quantv2x_ros.benchmark.memory import SIDES
from quantv2x_ros.benchmark.settings import BenchmarkError, BenchmarkSettings

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
