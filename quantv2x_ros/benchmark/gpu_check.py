# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks all that needs a GPU, in one go, within a given time, into one result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import quantv2x_ros
from quantv2x_ros.benchmark.gpu_engine import GpuCheckError
from quantv2x_ros.benchmark.gpu_steps import GpuCheckSettings, engine_names
from quantv2x_ros.benchmark.settings import BenchmarkSettings
from quantv2x_ros.inference.engine.engine import EngineError
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.trt.api import load_tensorrt
from quantv2x_ros.inference.trt.cuda import what_is_missing

#: Time for all steps, seconds: below 8 minutes with what starts and ends beside them.
TOTAL_SECONDS = 465.0
#: What is kept of a step's log, characters.
LOG_TAIL = 4000

#: Told a line about the progress.
Say = Callable[[str], None]
#: Told all that is known so far.
Keep = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: what gpu_steps knows it by.
        leaves: seconds that it must leave for the steps after it.
    """

    name: str
    leaves: float


def plan_steps(engines: list[str], device: bool, total: float = TOTAL_SECONDS) -> list[Step]:
    """The steps in their order; each may take what those after it can spare.

    Args:
        engines: names of the engines.
        device: whether there is a GPU; without one, plans are built and no more.
        total: seconds for all.
    """
    # Weights: a build takes minutes on a small GPU, and nothing comes without them.
    weighted = [("machine", 1.0), *((f"build:{name}", 4.0) for name in engines)]
    if device:
        weighted += [*((f"engine:{name}", 1.0) for name in engines), ("boxes", 3.0)]
        weighted += [("stages", 3.0)]
    steps, left = [], sum(weight for _, weight in weighted)
    unit = total / left
    for name, weight in weighted:
        left -= weight
        steps.append(Step(name, left * unit))
    return steps


def missing_for_check(device: bool) -> str:
    """What the check lacks here, one sentence; empty where it can run.

    Args:
        device: whether a GPU is to be used.
    """
    if device:
        lacking = what_is_missing()
        return f"the check of a GPU needs {lacking}" if lacking else ""
    try:
        library = load_tensorrt()
    except EngineError as error:
        return str(error)
    if library.builds_without_gpu:
        return ""
    return (
        f"{library.label} builds on a GPU only; tensorrt_rtx (requirements/test.txt) does without"
    )


def check_gpu(
    settings: GpuCheckSettings, device: bool, say: Say, keep: Keep, total: float = TOTAL_SECONDS
) -> dict[str, Any]:
    """Run all steps, each whatever became of the others.

    Args:
        settings: what is checked.
        device: False builds plans with TensorRT-RTX, which needs no GPU, and leaves the rest out.
        say: told the progress.
        keep: given the result so far after each step, so that nothing is lost.
        total: seconds for all steps.

    Returns:
        ``ok``, ``device``, ``seconds``, ``failed`` (names of steps) and ``steps``: by name ``ok``,
        ``seconds``, ``result`` or ``error``, and the end of the ``log``.

    Raises:
        GpuCheckError: in one sentence, where something that all steps need is missing.
    """
    lacking = missing_for_check(device)
    if lacking:
        raise GpuCheckError(lacking)
    steps = plan_steps(engine_names(ModelBundle.load(Path(settings.bundle))), device, total)
    start = time.monotonic()
    found: dict[str, Any] = {"ok": False, "device": device, "bundle": settings.bundle}
    found["steps"] = rows = {}
    with tempfile.TemporaryDirectory() as folder:
        given = settings if device else replace(settings, plans=folder)
        for number, step in enumerate(steps, 1):
            limit = total - (time.monotonic() - start) - step.leaves
            say(f"[{number} of {len(steps)}] {step.name}, at most {limit:.0f} s …")
            row = rows[step.name] = run_step(step.name, given, limit)
            say(f"  {'ok' if row['ok'] else 'FAILED: ' + row['error']} ({row['seconds']:.0f} s)")
            found["failed"] = [name for name, other in rows.items() if not other["ok"]]
            found["seconds"] = round(time.monotonic() - start, 1)
            found["ok"] = number == len(steps) and not found["failed"]
            keep(found)
    return found


def run_step(name: str, settings: GpuCheckSettings, limit: float) -> dict[str, Any]:
    """Run a step in a process of its own; a fault, a signal or no end are results, too."""
    command = [sys.executable, "-m", "quantv2x_ros.benchmark.gpu_steps", name, settings.to_json()]
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command,
            env=_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=log,
            start_new_session=True,
        )
        try:
            status: int | None = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        out.seek(0)
        log.seek(0)
        answer, text = _answer(out.read()), log.read()[-LOG_TAIL:]
    if status is None:
        answer = {"error": f"not done within {limit:.0f} s"}
    elif not answer:
        answer = {"error": f"the process ended with {status} and no result; see its log"}
    seconds = round(time.monotonic() - start, 1)
    return {"ok": "result" in answer, "seconds": seconds, **answer, "log": text}


def _answer(output: str) -> dict[str, Any]:
    """The last line that is a result or an error; libraries print, too."""
    for line in reversed(output.splitlines()):
        if line.startswith(('{"result"', '{"error"')):
            answer: dict[str, Any] = json.loads(line)
            return answer
    return {}


def _environment(settings: GpuCheckSettings) -> dict[str, str]:
    root = str(Path(quantv2x_ros.__file__).resolve().parent.parent)
    env = BenchmarkSettings(settings.bundle, threads=settings.threads).environment()
    env["PYTHONPATH"] = os.pathsep.join(p for p in (root, env.get("PYTHONPATH", "")) if p)
    return env
