# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stages against what the machine can do at best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as operations

from quantv2x_ros.benchmark.samples import time_calls
from quantv2x_ros.inference.cpu.engine import kept_signal_stack
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.shapes import SCALE_CHANNELS, encoder_shapes, pyramid_shapes
from quantv2x_ros.inference.window import HeadWindow

#: Channels and cells a side of the convolutions that find the INT8 ceiling.
_CHANNELS, _SIZE, _LAYERS = 256, 64, 4
_COPY_BYTES = 1 << 27


def int8_ceiling(threads: int, runs: int = 20) -> float:
    """Multiply-accumulates a second of 3x3 convolutions in INT8, best of some runs.

    Four layers of 256 channels at 64 x 64 cells: weights and maps stay in the caches.
    """
    model = _convolutions()
    config = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,
    }
    with kept_signal_stack():
        compiled = openvino.Core().compile_model(model, "CPU", config)
    request = compiled.create_infer_request()
    cells = np.random.default_rng(0).random((1, _CHANNELS, _SIZE, _SIZE)).astype(np.float32)
    request.set_input_tensor(openvino.Tensor(cells, shared_memory=True))
    milliseconds = min(time_calls(request.infer, runs))
    return _LAYERS * _SIZE**2 * _CHANNELS**2 * 9 / (milliseconds / 1e3)


def _convolutions() -> openvino.Model:
    generator = np.random.default_rng(1)
    source = operations.parameter([1, _CHANNELS, _SIZE, _SIZE], np.float32)
    value = source
    for _ in range(_LAYERS):
        value = operations.fake_quantize(
            value, np.float32(0), np.float32(1), np.float32(0), np.float32(1), 256
        )
        weights = operations.constant(
            generator.integers(-127, 128, (_CHANNELS, _CHANNELS, 3, 3)).astype(np.float32) * 1e-4
        )
        limit = np.float32(127e-4)
        weights = operations.fake_quantize(weights, -limit, limit, -limit, limit, 255)
        value = operations.relu(
            operations.convolution(value, weights, [1, 1], [1, 1], [1, 1], [1, 1])
        )
    return openvino.Model([value], [source], "ceiling")


def memory_ceiling(threads: int, runs: int = 10) -> float:
    """Bytes read and written a second by copies larger than the caches, best of some runs."""
    sources = [np.ones(_COPY_BYTES // threads, np.uint8) for _ in range(threads)]
    targets = [np.zeros_like(source) for source in sources]
    with ThreadPoolExecutor(threads) as pool:

        def copy() -> None:
            list(pool.map(np.copyto, targets, sources))

        milliseconds = min(time_calls(copy, runs))
    return 2 * sum(source.nbytes for source in sources) / (milliseconds / 1e3)


_CONVOLUTIONS = ("Convolution", "GroupConvolution")


@dataclass(frozen=True)
class EngineCost:
    """What one run of an engine costs at least.

    Attributes:
        macs: multiply-accumulates of its convolutions, without the zeros of widened groups.
        computed_macs: the same with them.
        border_bytes: inputs, outputs and weights, each moved once.
        map_bytes: these and every convolution's output, written and read once.
    """

    macs: int
    computed_macs: int
    border_bytes: int
    map_bytes: int


def engine_cost(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> EngineCost:
    """Count an engine's cost from its ONNX file.

    Args:
        path: the file.
        shapes: of its inputs.
    """
    model = openvino.Core().read_model(str(path))
    model.reshape({name: list(shape) for name, shape in shapes.items()})
    operations = model.get_ordered_ops()
    macs = computed = maps = 0
    for operation in operations:
        if operation.get_type_name() not in _CONVOLUTIONS:
            continue
        weight = _weight(operation)
        quantized = weight.dtype == np.int8
        outputs = math.prod(operation.output(0).shape)
        products = outputs * math.prod(weight.shape[-3:])  # inputs of a group, rows, columns
        computed += products
        used = np.count_nonzero(weight) if quantized else 0
        macs += round(products * _group_density(used / weight.size if used else 1.0))
        maps += 2 * outputs * (1 if quantized else 4)
    ports = [*model.inputs, *model.outputs]
    border = sum(math.prod(port.shape) * port.get_element_type().size for port in ports)
    border += sum(o.data.nbytes for o in operations if o.get_type_name() == "Constant")
    return EngineCost(macs, computed, border, border + maps)


def _weight(convolution: Any) -> Any:
    """The stored weight of a convolution, as it is before it is brought to floating point."""
    node = convolution.input_value(1).get_node()
    while node.get_type_name() != "Constant":
        node = node.input_value(0).get_node()
    return node.data


def _group_density(density: float) -> float:
    """Share of a weight that is not padding of widened groups: a power of two, or all."""
    return 2.0 ** round(math.log2(density)) if density < 0.6 else 1.0


@dataclass(frozen=True)
class StageCost:
    """What a stage costs at least.

    Attributes:
        macs: multiply-accumulates.
        bytes: moved at least once: inputs, outputs, weights.
    """

    macs: float
    bytes: float


@dataclass(frozen=True)
class Ceilings:
    """What the machine can do.

    Attributes:
        macs: INT8 multiply-accumulates a second.
        bytes: of memory traffic a second.
    """

    macs: float
    bytes: float

    def bound_ms(self, cost: StageCost) -> tuple[float, str]:
        """Least time of a stage, milliseconds, and what bounds it."""
        compute, memory = cost.macs / self.macs, cost.bytes / self.bytes
        return 1e3 * max(compute, memory), "compute" if compute >= memory else "memory"


def roofline(
    costs: Mapping[str, StageCost], medians: Mapping[str, float], ceilings: Ceilings
) -> dict[str, dict[str, Any]]:
    """Compare the stages with their least possible times.

    The costs are those of whole maps: a stage that leaves cells out may lie above the ceilings.

    Args:
        costs: by stage.
        medians: measured milliseconds by stage.
        ceilings: of the machine.
    """
    rows = {}
    for stage, cost in costs.items():
        if stage not in medians:
            continue
        least, bound = ceilings.bound_ms(cost)
        rows[stage] = {
            "macs": int(cost.macs),
            "bytes": int(cost.bytes),
            "macs_per_byte": round(cost.macs / cost.bytes, 2),
            "least_ms": round(least, 4),
            "bound": bound,
            "measured_ms": medians[stage],
            "share_of_ceiling": round(least / medians[stage], 3),
            "gmacs_per_second": round(cost.macs / medians[stage] / 1e6, 1),
        }
    return rows


def engine_shapes(bundle: ModelBundle) -> dict[str, dict[str, tuple[int, ...]]]:
    """Input shapes of the CPU's engines, by the stage that they are."""
    height = bundle.grid.shape[0]
    window = HeadWindow.of(
        bundle.grid, bundle.detection, bundle.manifest.head_reach, exact=bundle.reproduces_published
    )
    head: dict[str, tuple[int, ...]] = {}
    for level, channels in enumerate(SCALE_CHANNELS[bundle.manifest.architecture]):
        columns = window.at_scale(level)
        size = (height >> level, columns.stop - columns.start)
        head[f"fused{level}_nhwc"] = (1, *size, channels)
    return {
        "encoder.encoder": dict(encoder_shapes(bundle)),
        "fusion.pyramid_per_agent": dict(pyramid_shapes(bundle)),
        "fusion.head": head,
    }


def other_costs(bundle: ModelBundle, points: int, agents: int) -> dict[str, StageCost]:
    """Costs of the stages that are no engines.

    Pillars: 10 features by the pillars' channels a point, and the map's bytes. Codebook: one
    product of a cell's 64 channels with all codewords. Warp: four taps and a weight a channel, cell
    and agent.
    """
    height, width = bundle.grid.shape
    cells, book = height * width, bundle.codebook
    rows, columns = bundle.grid.pillar_shape
    widths = SCALE_CHANNELS[bundle.manifest.architecture]
    warp_cells = sum((cells >> 2 * level) * width for level, width in enumerate(widths))
    channels = bundle.pillar_weights.channels
    return {
        "encoder.pillars": StageCost(
            points * 10 * channels, points * 16 + rows * columns * channels
        ),
        "encoder.codebook": StageCost(
            cells * book.channels * book.planes * book.dict_size,
            cells * (book.channels + book.planes),
        ),
        "fusion.warp": StageCost(agents * 5 * warp_cells, (agents + 1) * warp_cells),
    }
