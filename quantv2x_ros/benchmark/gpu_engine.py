# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether an engine on a GPU computes what it should: precisions, repeated runs, numbers."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quantv2x_ros.inference.cpu.engine import OpenVinoEngine
from quantv2x_ros.inference.engine.engine import DECODED, Array, Engine
from quantv2x_ros.inference.trt.graph import tensorrt_model
from quantv2x_ros.inference.trt.layers import EngineLayer
from quantv2x_ros.inference.trt.profile import Profile

#: Runs of one shape: queued, recorded as a CUDA graph, launched as one.
RUNS = 3


class GpuCheckError(ValueError):
    """A check of a GPU that found something wrong, or cannot be made here."""


def describe_layers(layers: Sequence[EngineLayer], quantized: bool) -> dict[str, Any]:
    """List the layers of a built engine.

    Args:
        layers: as the engine inspector tells them.
        quantized: whether the bundle's convolutions are to run in INT8.

    Returns:
        ``layers`` (name, kind and input types of each) and ``kinds`` (layers by the type of their
        first input).

    Raises:
        GpuCheckError: naming the convolutions of a quantized bundle that run in another precision,
            or an engine without any.
    """
    convolutions = [layer for layer in layers if layer.is_convolution]
    if not convolutions:
        raise GpuCheckError(f"none of {len(layers)} layers is a convolution")
    wrong = [f"{layer.name} {layer.input_types}" for layer in convolutions if not layer.is_int8]
    if wrong and quantized:
        raise GpuCheckError(
            f"{len(wrong)} of {len(convolutions)} convolutions not in INT8: {', '.join(wrong)}"
        )
    return {
        "layers": [[layer.name, layer.kind, list(layer.input_types)] for layer in layers],
        "kinds": dict(Counter(kind for layer in layers for kind in layer.input_types[:1])),
    }


def random_inputs(engine: Engine, profile: Profile, agents: int) -> dict[str, Array]:
    """Inputs of 0 and 1, which every input takes, for a number of agents."""
    generator = np.random.default_rng(0)
    return {
        name: generator.integers(0, 2, profile.of(name, agents)).astype(info.dtype)
        for name, info in engine.inputs.items()
    }


def run_repeatedly(engine: Engine, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Run the same inputs several times and return the outputs.

    Raises:
        GpuCheckError: naming outputs that differ between the runs, or are not finite.
    """
    first, *others = (
        {name: value.copy() for name, value in engine.run(inputs).items()} for _ in range(RUNS)
    )
    for name, value in first.items():
        if not np.isfinite(value).all():
            raise GpuCheckError(f"output {name} is not finite")
        for number, other in enumerate(others, 2):
            if not np.array_equal(value, other[name]):
                raise GpuCheckError(
                    f"output {name} of run {number} differs from that of run 1 (1 is queued call "
                    "by call, 2 recorded as a CUDA graph, 3 launched as one)"
                )
    return first


def beside_cpu(
    path: Path, profile: Profile, inputs: Mapping[str, Array], outputs: Mapping[str, Array]
) -> dict[str, dict[str, float]]:
    """Compare outputs with those of the same rewritten file on the CPU.

    Returns:
        By output: ``equal`` (share of equal numbers), ``greatest`` and ``mean`` difference, and
        ``scale`` (the greatest expected magnitude).
    """
    model = tensorrt_model(path, without_lookup=DECODED in profile.shapes)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / path.name
        file.write_bytes(model.SerializeToString())
        shapes = {name: value.shape for name, value in inputs.items()}
        expected = OpenVinoEngine(file, shapes).run(inputs)
    rows = {}
    for name, value in expected.items():
        difference = np.abs(outputs[name].astype(np.float64) - value.astype(np.float64))
        rows[name] = {
            "equal": round(float((difference == 0).mean()), 5),
            "greatest": float(difference.max()),
            "mean": float(difference.mean()),
            "scale": float(np.abs(value.astype(np.float64)).max()),
        }
    return rows
