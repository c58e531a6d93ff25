# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The one protocol behind which engine backends stand, and the choice among them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

BACKENDS = ("auto", "openvino", "tensorrt")

#: What a pyramid engine takes in the place of ``indices``: the raised feature map (1, H, W, C) that
#: they decode to, uint8 or float32.
DECODED = "decoded_nhwc"

Array = npt.NDArray[Any]
Shapes = Mapping[str, tuple[int, ...]]


class EngineError(RuntimeError):
    """An engine that cannot be made or run as asked."""


@dataclass(frozen=True)
class TensorInfo:
    """Shape and type of an engine's input or output.

    Attributes:
        shape: fixed sizes; -1 where a size is free.
        dtype: NumPy type.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Engine(Protocol):
    """A compiled network part. As many threads at a time may run it as it has streams."""

    @property
    def streams(self) -> int:
        """Threads of the program that may run it at the same time."""

    @property
    def inputs(self) -> Mapping[str, TensorInfo]:
        """Inputs by name."""

    @property
    def decoded(self) -> TensorInfo | None:
        """What `DECODED` must be, where it takes that in the place of its inputs; else None."""

    @property
    def outputs(self) -> Mapping[str, TensorInfo]:
        """Outputs by name."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once.

        Args:
            inputs: an array for every input, of its shape and dtype, C-contiguous. They are read
                in place, not copied.

        Returns:
            An array for every output. Views of the engine's buffers: valid until the calling
            thread runs it again.

        Raises:
            EngineError: for inputs that do not fit, or where the backend fails.
        """


def available_backends() -> dict[str, str]:
    """Every backend with what it lacks here; the empty string where it can run."""
    from quantv2x_ros.inference.tensorrt_cuda import what_is_missing

    missing = "" if importlib.util.find_spec("openvino") else "the Python package openvino"
    return {"openvino": missing, "tensorrt": what_is_missing()}


def choose_backend(backend: str) -> str:
    """Resolve "auto" and check that a backend can run here.

    Raises:
        EngineError: for an unknown backend, or one that lacks something, named.
    """
    if backend not in BACKENDS:
        raise EngineError(f"backend: got '{backend}', allowed are {', '.join(BACKENDS)}")
    lacks = available_backends()
    if backend == "auto":
        usable = [name for name in ("tensorrt", "openvino") if not lacks[name]]
        if not usable:
            reasons = "; ".join(f"{name} needs {what}" for name, what in lacks.items())
            raise EngineError(f"no backend can run in this installation: {reasons}")
        return usable[0]
    if lacks[backend]:
        raise EngineError(
            f"backend {backend} cannot run in this installation: "
            f"it needs {lacks[backend]}; backend openvino runs on any CPU"
        )
    return backend


def create_engine(
    path: str | Path,
    shapes: Shapes,
    backend: str = "auto",
    threads: int | None = None,
    streams: int = 1,
    max_agents: int = 1,
) -> Engine:
    """Compile an ONNX file.

    Args:
        path: the file.
        shapes: shape of every input; with TensorRT, -1 stands for the number of agents.
        backend: auto, openvino or tensorrt; auto takes the fastest that is usable.
        threads: CPU threads; None for one a core.
        streams: threads of the program that shall run the engine at the same time; see
            `Engine.streams` for how many may.
        max_agents: the greatest number of agents, for TensorRT.

    Raises:
        EngineError: for a backend that cannot run, or a model or shapes that it refuses.
    """
    makers: dict[str, Callable[[], Engine]] = {
        "openvino": lambda: _openvino(path, shapes, threads, streams),
        "tensorrt": lambda: _tensorrt(path, shapes, max_agents),
    }
    return makers[choose_backend(backend)]()


def _openvino(path: str | Path, shapes: Shapes, threads: int | None, streams: int) -> Engine:
    from quantv2x_ros.inference.openvino import OpenVinoEngine

    return OpenVinoEngine(path, shapes, threads, streams)


def _tensorrt(path: str | Path, shapes: Shapes, max_agents: int) -> Engine:
    from quantv2x_ros.inference.tensorrt import TensorRtEngine

    return TensorRtEngine(path, shapes, max_agents)


def check_inputs(inputs: Mapping[str, Array], expected: Mapping[str, TensorInfo]) -> None:
    """Check names, shapes, types and layout.

    Raises:
        EngineError: naming the input, what it got and what is expected.
    """
    if set(inputs) != set(expected):
        raise EngineError(f"engine inputs: got {sorted(inputs)}, expected {sorted(expected)}")
    for name, info in expected.items():
        array = inputs[name]
        fits = len(array.shape) == len(info.shape) and all(
            wanted in (-1, size) for size, wanted in zip(array.shape, info.shape, strict=True)
        )
        if not fits or array.dtype != info.dtype or not array.flags.c_contiguous:
            raise EngineError(
                f"engine input {name}: got {array.dtype} of shape {array.shape}"
                f"{'' if array.flags.c_contiguous else ', not contiguous'}; expected contiguous "
                f"{info.dtype} of shape {info.shape}"
            )
