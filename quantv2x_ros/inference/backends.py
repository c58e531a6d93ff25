# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The backends that run engines, and the choice among them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from quantv2x_ros.inference.engine.engine import Engine, EngineError, Shapes

BACKENDS = ("auto", "openvino", "tensorrt")


def available_backends() -> dict[str, str]:
    """Every backend with what it lacks here; the empty string where it can run."""
    from quantv2x_ros.inference.trt.cuda import what_is_missing

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
    from quantv2x_ros.inference.cpu.engine import OpenVinoEngine

    return OpenVinoEngine(path, shapes, threads, streams)


def _tensorrt(path: str | Path, shapes: Shapes, max_agents: int) -> Engine:
    from quantv2x_ros.inference.trt.engine import TensorRtEngine

    return TensorRtEngine(path, shapes, max_agents)
