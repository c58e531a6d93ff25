# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the machine can do at best: INT8 multiply-accumulates and memory traffic."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openvino
from openvino import opset13 as operations

from quantv2x_ros.benchmark.samples import time_calls
from quantv2x_ros.inference.signal_stack import kept_signal_stack

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
