# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The steps of the check of a GPU: ``python -m quantv2x_ros.benchmark.gpu_steps STEP SETTINGS``.

Each runs in a process of its own, since a fault on a GPU can take the process along. The last line
of the standard output is the result, or the error, as JSON.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quantv2x_ros.benchmark.agreement import closeness
from quantv2x_ros.benchmark.frames import BenchmarkFrame, load_frame
from quantv2x_ros.benchmark.gpu_engine import (
    RUNS,
    GpuCheckError,
    beside_cpu,
    describe_layers,
    random_inputs,
    run_repeatedly,
)
from quantv2x_ros.benchmark.ours import OurPipeline
from quantv2x_ros.benchmark.samples import Samples
from quantv2x_ros.environment.machine import describe_machine
from quantv2x_ros.graph.replay_source import SEED, default_scene
from quantv2x_ros.inference.engine_set import OWN_PYRAMID, build_engines, tensorrt_profiles
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.trt.api import load_tensorrt

#: Seeds of the scenes whose boxes are compared; the benchmark and the demo play others.
SCENE_SEEDS = (SEED + 1, SEED + 2, SEED + 3)
#: Agents in them.
SCENE_AGENTS = 3
#: Numbers of agents whose stages are timed.
TIMED_AGENTS = (1, 2, 4)
#: Least share of boxes that the other side must have, too, and of equal indices. TensorRT's
#: activations have one bit less: its form of the default bundle's files, run on a CPU, gives 0.92
#: to 0.99 of the boxes of these scenes, and 0.93 to 0.98 of the indices.
LEAST_SHARE = 0.85


@dataclass(frozen=True)
class GpuCheckSettings:
    """What is checked.

    Attributes:
        bundle: folder of the model bundle.
        threads: CPU threads.
        rounds: how often each number of agents is timed.
        plans: folder for the plans; empty for the user's cache, where the nodes find them.
    """

    bundle: str
    threads: int = 2
    rounds: int = 30
    plans: str = ""

    def to_json(self) -> str:
        """Word the settings for the process of a step."""
        return json.dumps(asdict(self))


def engine_names(bundle: ModelBundle) -> list[str]:
    """The TensorRT engines of a bundle."""
    return list(tensorrt_profiles(bundle))


def machine(settings: GpuCheckSettings) -> dict[str, Any]:
    """Processor, versions, and the GPU where there is one."""
    found = describe_machine(settings.threads, "")
    found["tensorrt"] = load_tensorrt().label
    if settings.plans:
        return found
    from quantv2x_ros.inference.trt.cuda import gpu

    device = gpu()
    with device.active():
        free, total = device.driver.mem_get_info()
    found["gpu"] = device.name
    found["gpu_memory_mb"] = {"total": round(total / 1e6), "free": round(free / 1e6)}
    found["cuda"] = {
        "driver": device.driver.get_driver_version(),
        "pycuda_built_for": ".".join(map(str, device.driver.get_version())),
    }
    return found


def build(settings: GpuCheckSettings, engine: str) -> dict[str, Any]:
    """Build a plan, or find it in the cache; every quantized convolution runs in INT8.

    Raises:
        EngineError: where it cannot be built as asked.
    """
    bundle = ModelBundle.load(Path(settings.bundle))
    out = Path(settings.plans) if settings.plans else None
    facts = build_engines(bundle, "tensorrt", out, only=(engine,))[engine]
    return {**facts, "convolutions": dict(Counter(facts["precisions"].values()))}


def engine(settings: GpuCheckSettings, name: str) -> dict[str, Any]:
    """Load a plan, list its layers, run it for one and for the most agents, compare the numbers.

    Raises:
        GpuCheckError: for layers or runs that are not as they should be.
    """
    from quantv2x_ros.inference.trt.engine import TensorRtEngine

    bundle = ModelBundle.load(Path(settings.bundle))
    profile = tensorrt_profiles(bundle)[name]
    path = bundle.engine_path("pyramid" if name == OWN_PYRAMID else name)
    made = TensorRtEngine(path, profile.shapes, profile.max_agents)
    found = describe_layers(made.layers(), bundle.precision == "int8")
    found["device_mb"] = round(made.device_bytes() / 1e6, 1)
    found["beside_cpu"] = {}
    for agents in sorted({1, profile.max_agents}):
        inputs = random_inputs(made, profile, agents)
        outputs = run_repeatedly(made, inputs)
        found["beside_cpu"][str(agents)] = beside_cpu(path, profile, inputs, outputs)
    made.close()
    return found


def boxes(settings: GpuCheckSettings) -> dict[str, Any]:
    """Compare boxes and indices with the CPU's on simulated scenes.

    Raises:
        GpuCheckError: where too many boxes are on one side alone.
    """
    bundle = ModelBundle.load(Path(settings.bundle))
    ours = OurPipeline(bundle, "tensorrt", settings.threads)
    cpu = OurPipeline(bundle, "openvino", settings.threads)
    scenes = {}
    for seed in SCENE_SEEDS:
        frame = load_frame(str(default_scene(SCENE_AGENTS, seed=seed, frames=1)), SCENE_AGENTS, 0)
        scenes[str(seed)] = compare_pipelines(ours, cpu, frame)
    check_scenes(scenes)
    return scenes


def check_scenes(scenes: Mapping[str, Mapping[str, Any]]) -> None:
    """Check what compare_pipelines found of each scene.

    Raises:
        GpuCheckError: naming the scenes with too few boxes or indices that both sides have.
    """
    few = {
        seed: row
        for seed, row in scenes.items()
        if min(row["share"], *row["same_indices"]) < LEAST_SHARE
    }
    if few:
        raise GpuCheckError(
            f"{len(few)} of {len(scenes)} scenes are not the CPU's (shares of {LEAST_SHARE} are "
            f"needed): {json.dumps(few)}; the others: "
            f"{json.dumps({seed: row for seed, row in scenes.items() if seed not in few})}"
        )


def compare_pipelines(ours: OurPipeline, cpu: OurPipeline, frame: BenchmarkFrame) -> dict[str, Any]:
    """How close two pipelines' boxes are, and which share of each agent's indices is the same."""
    same = [
        float(np.mean(ours.encoder.encode(c).indices == cpu.encoder.encode(c).indices))
        for c in frame.clouds
    ]
    expected, _ = cpu.run(frame)
    for _ in range(RUNS):  # the last by CUDA graphs
        found, _ = ours.run(frame)
    return {**closeness(found, expected), "same_indices": [round(share, 4) for share in same]}


def stages(settings: GpuCheckSettings) -> dict[str, Any]:
    """Time every stage on the GPU and on the CPU, milliseconds."""
    bundle = ModelBundle.load(Path(settings.bundle))
    most = min(max(TIMED_AGENTS), bundle.max_agents)
    frame = load_frame("", most, 60_000)
    return {
        backend: time_stages(OurPipeline(bundle, backend, settings.threads), frame, rounds)
        for backend, rounds in (("tensorrt", settings.rounds), ("openvino", settings.rounds // 3))
    }


def time_stages(pipeline: OurPipeline, frame: BenchmarkFrame, rounds: int) -> dict[str, Any]:
    """Percentiles by number of agents and stage; runs that warm up do not count."""
    rows = {}
    for agents in TIMED_AGENTS:
        if agents > len(frame.clouds):
            break
        part, samples = frame.first(agents), Samples()
        for number in range(max(rounds, 1) + RUNS):
            times = pipeline.run(part)[1]
            if number >= RUNS:
                samples.add(times)
        rows[str(agents)] = samples.summary()
    return rows


STEPS: dict[str, Callable[[GpuCheckSettings, str], dict[str, Any]]] = {
    "machine": lambda settings, _: machine(settings),
    "build": build,
    "engine": engine,
    "boxes": lambda settings, _: boxes(settings),
    "stages": lambda settings, _: stages(settings),
}


def main(step: str, text: str) -> int:
    """Do a step, such as ``boxes`` or ``build:encoder``; 1 where it fails."""
    kind, _, name = step.partition(":")
    try:
        print(json.dumps({"result": STEPS[kind](GpuCheckSettings(**json.loads(text)), name)}))
    except Exception as error:  # whatever it is, it is what the check found
        traceback.print_exc()
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
