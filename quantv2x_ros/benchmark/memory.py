# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Peak memory of one pipeline, in a process of its own."""

from __future__ import annotations

import resource
from pathlib import Path

from quantv2x_ros.benchmark.frames import load_frame
from quantv2x_ros.benchmark.ours import OurPipeline
from quantv2x_ros.benchmark.settings import BenchmarkSettings
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
