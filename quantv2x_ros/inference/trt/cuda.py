# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The GPU by pycuda: context, memory, streams; and CUDA graphs, which pycuda does not wrap."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import math
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from quantv2x_ros.inference.engine.engine import Array, EngineError

#: Packages that the backend needs beside TensorRT itself.
NEEDED = ("pycuda", "onnx")
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may go on allocating


def what_is_missing() -> str:
    """What the TensorRT backend lacks here; the empty string where it can run."""
    if not any(importlib.util.find_spec(name) for name in ("tensorrt", "tensorrt_rtx")):
        return "the Python package tensorrt (part of JetPack)"
    for name in NEEDED:
        if importlib.util.find_spec(name) is None:
            return f"the Python package {name} (requirements/tensorrt.txt)"
    try:
        gpu()
    except EngineError as error:
        return str(error)
    return ""


class Gpu:
    """One GPU's primary context, shared with whatever else uses it in this process.

    ROS calls back from several threads, and a CUDA context belongs to a thread: every use is within
    ``with gpu.active():``, which pushes the context and pops it whatever happens.

    Args:
        number: number of the GPU.

    Raises:
        EngineError: where there is no usable GPU.
    """

    def __init__(self, number: int = 0) -> None:
        try:
            import pycuda.driver as driver

            driver.init()
            self.driver: Any = driver
            device = driver.Device(number)
            self._context = device.retain_primary_context()
        except Exception as error:  # pycuda's errors, and ImportError for a missing libcuda
            raise EngineError(f"a usable NVIDIA GPU (the CUDA driver says: {error})") from error
        major, minor = device.compute_capability()
        self.name = f"{device.name()} sm_{major}{minor}"

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make the context current in this thread."""
        self._context.push()
        try:
            yield
        finally:
            self.driver.Context.pop()


_lock = threading.Lock()


@cache
def _open_gpu() -> Gpu:
    return Gpu()


def gpu() -> Gpu:
    """The GPU, opened once a process.

    Raises:
        EngineError: where there is no usable one.
    """
    with _lock:
        return _open_gpu()


class Buffer:
    """A tensor's memory: pinned on the host, and on the device.

    Args:
        gpu: with its context active.
        shape: the largest.
        dtype: type of its elements.
    """

    def __init__(self, gpu: Gpu, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._driver = gpu.driver
        size = max(math.prod(shape), 1)
        self._host: Array = gpu.driver.pagelocked_empty(size, dtype)
        self._device = gpu.driver.mem_alloc(size * dtype.itemsize)
        self.address = int(self._device)

    def host(self, shape: tuple[int, ...]) -> Array:
        """The host's memory as an array of a shape."""
        return self._host[: math.prod(shape)].reshape(shape)

    def upload(self, shape: tuple[int, ...], stream: Any) -> None:
        """Queue the copy to the device."""
        self._driver.memcpy_htod_async(self._device, self.host(shape), stream)

    def download(self, shape: tuple[int, ...], stream: Any) -> None:
        """Queue the copy to the host."""
        self._driver.memcpy_dtoh_async(self.host(shape), self._device, stream)


class CudaGraph:
    """Work on a stream, recorded once and launched as one.

    Calls the driver directly: pycuda has no function for graphs.

    Args:
        stream: pycuda's stream.
        record: queues the work on the stream; nothing in it may wait for the GPU.

    Raises:
        EngineError: where the work cannot be recorded.
    """

    def __init__(self, stream: Any, record: Callable[[], None]) -> None:
        self._cuda = ctypes.CDLL("libcuda.so.1")
        self._stream = ctypes.c_void_p(stream.handle)
        graph = ctypes.c_void_p()
        self._executable = ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", self._stream, ctypes.c_int(_THREAD_LOCAL))
        try:
            record()
        finally:  # a capture left open would make every later call on the stream fail
            self._call("cuStreamEndCapture", self._stream, ctypes.byref(graph))
        try:
            self._call(
                "cuGraphInstantiateWithFlags",
                ctypes.byref(self._executable),
                graph,
                ctypes.c_ulonglong(0),
            )
        finally:
            self._call("cuGraphDestroy", graph)

    def launch(self) -> None:
        """Queue the recorded work."""
        self._call("cuGraphLaunch", self._executable, self._stream)

    def close(self) -> None:
        """Free the recorded work; the context must be active."""
        if self._executable:
            self._call("cuGraphExecDestroy", self._executable)
            self._executable = ctypes.c_void_p()

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._cuda, name)(*arguments)
        if code != 0:
            raise EngineError(f"CUDA: {name} failed with error {code}")
