# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The TensorRT backend: INT8 engines, or FP32 ones, on an NVIDIA GPU."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from quantv2x_ros.inference.engine.engine import (
    Array,
    EngineError,
    Shapes,
    TensorInfo,
    check_inputs,
)
from quantv2x_ros.inference.trt.api import TensorRt, load_tensorrt
from quantv2x_ros.inference.trt.cuda import Buffer, CudaGraph, Gpu, gpu
from quantv2x_ros.inference.trt.layers import EngineLayer, layers_from_inspector
from quantv2x_ros.inference.trt.plan import cached_plan
from quantv2x_ros.inference.trt.profile import Profile

logger = logging.getLogger(__name__)


class TensorRtEngine:
    """An ONNX model of a bundle as a TensorRT engine.

    Built on first use and kept in the user's cache. All memory is taken at the start, for the
    largest shapes. The first run of a shape is queued call by call, the second is recorded as a
    CUDA graph with its copies, and later ones launch that.

    Args:
        path: ONNX file.
        shapes: shape of every input; -1 stands for the number of agents.
        max_agents: the greatest number of agents.

    Raises:
        EngineError: where there is no GPU or TensorRT, or it cannot build what was asked.
    """

    #: One execution context with its own buffers: one thread at a time.
    streams = 1
    #: What reads a decoded map is a plan of its own.
    decoded = None

    def __init__(self, path: str | Path, shapes: Shapes, max_agents: int = 1) -> None:
        self.path = Path(path)
        self._profile = Profile(shapes, max_agents)
        self._library: TensorRt = load_tensorrt()
        self._gpu: Gpu = gpu()
        plan = cached_plan(self._library, self._gpu.name, self.path, self._profile)
        with self._gpu.active():
            self._load(plan)

    def _load(self, plan: bytes) -> None:
        module = self._library.module
        self._log = _runtime_log(module)
        self._runtime = module.Runtime(self._log)  # must outlive the engine
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise EngineError(
                f"{self._library.label} refuses the plan of {self.path.name}: {self._log.reason()}"
            )
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise EngineError(
                f"{self.path.name} needs {self._library.device_memory(self._engine) / 1e6:.0f} MB "
                f"of GPU memory for its activations: {self._log.reason()}"
            )
        self._stream = self._gpu.driver.Stream()
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        mode = module.TensorIOMode.INPUT
        inputs = [name for name in names if self._engine.get_tensor_mode(name) == mode]
        outputs = [name for name in names if name not in inputs]
        for name in inputs:
            largest = self._profile.of(name, self._profile.max_agents)
            self._context.set_input_shape(name, largest)
        self.inputs: Mapping[str, TensorInfo] = {name: self._info(name) for name in inputs}
        self.outputs: Mapping[str, TensorInfo] = {name: self._info(name) for name in outputs}
        self._buffers = {
            name: Buffer(self._gpu, tuple(self._context.get_tensor_shape(name)), self._dtype(name))
            for name in names
        }
        for name, buffer in self._buffers.items():
            self._context.set_tensor_address(name, buffer.address)
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._seen: set[tuple[tuple[int, ...], ...]] = set()
        self._graphs: dict[tuple[tuple[int, ...], ...], CudaGraph | None] = {}

    def _dtype(self, name: str) -> np.dtype[Any]:
        return np.dtype(self._library.module.nptype(self._engine.get_tensor_dtype(name)))

    def _info(self, name: str) -> TensorInfo:
        return TensorInfo(tuple(self._engine.get_tensor_shape(name)), self._dtype(name))

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; see the protocol Engine. Inputs are copied once, into pinned memory."""
        check_inputs(inputs, self.inputs)
        with self._gpu.active():
            for name, array in inputs.items():
                self._set_shape(name, array.shape)
                np.copyto(self._buffers[name].host(array.shape), array)
            sizes = tuple(self._shapes[name] for name in self.inputs)
            self._launch(sizes)
            self._stream.synchronize()
        return {name: self._buffers[name].host(self._output_shape(name)) for name in self.outputs}

    def _set_shape(self, name: str, shape: tuple[int, ...]) -> None:
        if self._shapes.get(name) == shape:
            return
        if not self._context.set_input_shape(name, shape):
            raise EngineError(
                f"engine input {name} of {self.path.name}: got shape {shape}, the plan takes "
                f"{self._profile.shapes[name]} with 1 to {self._profile.max_agents} agents"
            )
        self._shapes[name] = shape

    def _output_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._context.get_tensor_shape(name))

    def _launch(self, sizes: tuple[tuple[int, ...], ...]) -> None:
        graph = self._graphs.get(sizes)
        if graph is None and sizes in self._seen and sizes not in self._graphs:
            graph = self._graphs[sizes] = self._record()
        if graph is not None:
            graph.launch()
            return
        self._queue()
        self._seen.add(sizes)

    def _record(self) -> CudaGraph | None:
        try:
            return CudaGraph(self._stream, self._queue)
        except EngineError as error:
            logger.warning("%s runs without a CUDA graph: %s", self.path.name, error)
            return None

    def _queue(self) -> None:
        """Queue the copies and the engine on the stream."""
        for name in self.inputs:
            self._buffers[name].upload(self._shapes[name], self._stream)
        if not self._context.execute_async_v3(self._stream.handle):
            raise EngineError(f"TensorRT failed in {self.path.name}: {self._log.reason()}")
        for name in self.outputs:
            self._buffers[name].download(self._output_shape(name), self._stream)

    def layers(self) -> list[EngineLayer]:
        """What runs, and in which precision, as the engine inspector tells it."""
        formats = self._library.module.LayerInformationFormat
        inspector = self._engine.create_engine_inspector()
        return layers_from_inspector(inspector.get_engine_information(formats.JSON))

    def layer_precisions(self) -> dict[str, str]:
        """Type of what each convolution kernel reads, by the kernel's name."""
        return {layer.name: layer.input_types[0] for layer in self.layers() if layer.is_convolution}

    def device_bytes(self) -> int:
        """GPU memory that the engine's activations take, beside weights and borders."""
        return self._library.device_memory(self._engine)

    def close(self) -> None:
        """Free what belongs to the GPU; the engine cannot run afterwards."""
        with self._gpu.active():
            for graph in self._graphs.values():
                if graph is not None:
                    graph.close()
            self._graphs.clear()
            self._buffers.clear()
            del self._context, self._engine, self._stream


def _runtime_log(module: Any) -> Any:
    """Return a TensorRT logger that passes warnings on and keeps errors."""

    class RuntimeLog(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= module.ILogger.ERROR:
                self.errors = [*self.errors[-9:], message]
                logger.error("TensorRT: %s", message)
            elif severity == module.ILogger.WARNING:
                logger.warning("TensorRT: %s", message)

        def reason(self) -> str:
            return "; ".join(self.errors[-3:]) or "TensorRT does not say why"

    return RuntimeLog()
