# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The OpenVINO backend: INT8 or FP32 engines on the CPU."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import openvino

from quantv2x_ros.inference.cpu.graph_passes import (
    TableLookup,
    cut_lookup,
    group_width,
    narrow_groups,
)
from quantv2x_ros.inference.cpu.wide_weights import (
    compute_wide_weights_in_fp32,
    warn_of_wide_weights,
)
from quantv2x_ros.inference.engine.cache import EngineCache
from quantv2x_ros.inference.engine.engine import (
    DECODED,
    Array,
    EngineError,
    Shapes,
    TensorInfo,
    check_inputs,
)


class _Stack(ctypes.Structure):
    """stack_t of <signal.h>."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextlib.contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Restore the calling thread's alternate signal stack on leaving.

    Where the processor has AMX, OpenVINO's CPU plugin sets one of its own when it is loaded, and
    unmaps it with the last engine. Python's signal handlers run on it: the next signal, be it
    Ctrl-C or the end of a child process, would end the process with a segmentation fault.
    """
    if sys.platform != "linux":
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    before = _Stack()
    libc.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        libc.sigaltstack(ctypes.byref(before), None)


logger = logging.getLogger(__name__)


#: Called with each engine's name when it is ready; see `watch_engines`.
_note_ready: ContextVar[Callable[[str], None]] = ContextVar("note_ready", default=lambda name: None)


@contextlib.contextmanager
def watch_engines(on_ready: Callable[[str], None]) -> Iterator[None]:
    """Call back with the name of each engine that this thread makes in the body, when ready."""
    token = _note_ready.set(on_ready)
    try:
        yield
    finally:
        _note_ready.reset(token)


class ModelPart(Protocol):
    """What is run of a file."""

    @property
    def name(self) -> str:
        """A name for it, unique among the parts of a file."""

    def cut(self, model: Any) -> Any:
        """Return it, made of an ``openvino.Model`` of the file, which may be changed."""


class OpenVinoEngine:
    """An ONNX model compiled for the CPU.

    What the file quantizes explicitly runs in INT8, all else in FP32: OpenVINO's own default for
    the rest would be bfloat16 where the processor has it. INT8 weights that the processor does not
    multiply exactly are computed in FP32, see `wide_weights`.

    Args:
        path: ONNX file.
        shapes: shape of every input.
        threads: CPU threads; None for one a core.
        streams: threads of the program that may run the engine at the same time; they share the
            CPU threads.
        part: what of the file is run; None for all of it.

    Raises:
        EngineError: for a file that OpenVINO refuses, or shapes that do not fit it.
    """

    def __init__(
        self,
        path: str | Path,
        shapes: Shapes,
        threads: int | None = None,
        streams: int = 1,
        part: ModelPart | None = None,
    ) -> None:
        self.path = Path(path)
        self.streams = streams
        self._lookup: TableLookup | None = None
        count = threads or os.cpu_count() or 1
        try:
            with kept_signal_stack():
                self._compiled = self._compile(shapes, count, streams, part)
        except EngineError:
            raise
        except (RuntimeError, OSError) as error:
            raise EngineError(f"OpenVINO cannot compile {self.path}: {error}") from error
        self.outputs = {port.any_name: _info(port) for port in self._compiled.outputs}
        self._own = threading.local()  # each thread's request, and the inputs that it reads

    def _compile(self, shapes: Shapes, threads: int, streams: int, part: ModelPart | None) -> Any:
        core = openvino.Core()
        model = core.read_model(self.path)
        width = group_width()
        narrow_groups(model, width)
        warn_of_wide_weights(self.path, model)
        if part is not None:
            model = part.cut(model)
        real = compute_wide_weights_in_fp32(model)
        known = {port.any_name for port in model.inputs}
        if known != set(shapes):
            raise EngineError(
                f"shapes for {self.path.name}: got {sorted(shapes)}, its inputs are {sorted(known)}"
            )
        for port in model.inputs:
            shape = shapes[port.any_name]
            if not port.partial_shape.compatible(openvino.PartialShape(list(shape))):
                raise EngineError(
                    f"shape of input {port.any_name} of {self.path.name}: got {shape}, it takes "
                    f"{port.partial_shape}"
                )
        self.inputs = {
            port.any_name: TensorInfo(tuple(shapes[port.any_name]), _dtype(port))
            for port in model.inputs
        }
        model.reshape({name: list(shape) for name, shape in shapes.items()})
        if "indices" in shapes:
            model, self._lookup = cut_lookup(model, shapes["indices"])
        config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            # several nodes share the cores: pinned threads of two engines would meet on one core
            "ENABLE_CPU_PINNING": False,
        }
        name = f"{openvino.get_version()} {core.get_property('CPU', 'FULL_DEVICE_NAME')}"
        content = hashlib.sha256(self.path.read_bytes()).hexdigest()
        inputs = [p.any_name for p in model.inputs]
        sizes = sorted(shapes.items())
        label = self.path.stem if part is None else f"{self.path.stem}-{part.name}"
        # OpenVINO applies threads and streams when it loads what it has compiled: they are not in
        # the key, so that every process of a machine uses the same file
        cache = EngineCache(label, (name, content, sizes, inputs, width, label, real))
        if not cache.is_filled():
            logger.warning(
                "compiling %s%s for OpenVINO %s (%s): about a second",
                self.path,
                "" if part is None else f", {part.name}",
                openvino.get_version().split("-")[0],
                f"no engine in {cache.folder} yet" if cache.folder else "it is kept nowhere",
            )
        start = time.perf_counter()
        with cache.open() as folder:
            if folder is not None:
                config["CACHE_DIR"] = str(folder)
            compiled = core.compile_model(model, "CPU", config)
        logger.info("%s ready after %.2f s", self.path.name, time.perf_counter() - start)
        _note_ready.get()(label)
        return compiled

    @property
    def decoded(self) -> TensorInfo | None:
        """See the protocol Engine."""
        if self._lookup is None:
            return None
        shape = self.inputs["indices"].shape
        return TensorInfo((1, *shape[2:], len(self._lookup.bias)), self._lookup.dtype)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; see the protocol Engine."""
        behind = self.decoded if DECODED in inputs else None
        check_inputs(inputs, self.inputs if behind is None else {DECODED: behind})
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        request = self._own.request
        if self._lookup is not None and behind is None:
            inputs = {DECODED: self._lookup(inputs["indices"])}
        self._own.inputs = dict(inputs)  # their memory is read in place
        for name, array in self._own.inputs.items():
            request.set_tensor(name, openvino.Tensor(array, shared_memory=True))
        try:
            request.infer()
        except RuntimeError as error:
            raise EngineError(f"OpenVINO failed in {self.path.name}: {error}") from error
        return {name: request.get_tensor(name).data for name in self.outputs}

    def layer_precisions(self) -> dict[str, str]:
        """Precision in which each convolution runs, by its name: I8 or f32."""
        found = {}
        for operation in self._compiled.get_runtime_model().get_ops():
            info = operation.get_rt_info()
            if info["layerType"].astype(str) in ("Convolution", "GroupConvolution"):
                kernel = info["primitiveType"].astype(str)
                found[operation.get_friendly_name()] = kernel.rsplit("_", 1)[-1]
        return found


def _info(port: Any) -> TensorInfo:
    shape = port.get_partial_shape()
    sizes = tuple(d.get_length() if d.is_static else -1 for d in shape)
    return TensorInfo(sizes, _dtype(port))


def _dtype(port: Any) -> np.dtype[Any]:
    return np.dtype(port.element_type.to_dtype())
