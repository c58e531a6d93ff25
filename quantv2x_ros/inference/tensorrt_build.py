# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Builds TensorRT plans from a bundle's ONNX files."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from quantv2x_ros.inference.engine import DECODED, EngineError
from quantv2x_ros.inference.profile import Profile
from quantv2x_ros.inference.tensorrt_api import Progress, TensorRt
from quantv2x_ros.inference.tensorrt_graph import is_quantized, tensorrt_model
from quantv2x_ros.inference.tensorrt_layers import (
    LOG_MARK,
    EngineLayer,
    check_int8,
    layers_from_log,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuiltPlan:
    """What a build gives.

    Attributes:
        content: the serialized engine.
        layers: what runs in it, and in which precision.
        precisions: precision of each convolution by the name of its ONNX node; empty for a model
            that is not quantized.
        seconds: how long it took.
    """

    content: bytes
    layers: tuple[EngineLayer, ...]
    precisions: Mapping[str, str]
    seconds: float


def build_plan(
    library: TensorRt, path: Path, profile: Profile, progress: Progress | None = None
) -> BuiltPlan:
    """Build a plan.

    Args:
        library: the TensorRT to build with.
        path: ONNX file of a bundle.
        profile: shapes to build for.
        progress: told how far the build is.

    Raises:
        EngineError: for a file that TensorRT refuses, shapes that do not fit it, or an engine
            whose convolutions do not run in INT8 although the file says so.
    """
    start = time.perf_counter()
    model = tensorrt_model(path, without_lookup=DECODED in profile.shapes)
    log = _build_log(library.module)
    try:
        builder = library.module.Builder(log)
    except TypeError as error:  # pybind's word for a null pointer: no GPU, no driver
        raise EngineError(f"{library.label} cannot build here: {log.reason()}") from error
    network = library.create_network(builder)
    parser = library.module.OnnxParser(network, log)
    if not parser.parse(model.SerializeToString()):
        errors = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise EngineError(f"{library.label} refuses {path}: {errors}")
    config = library.configure(builder, network, is_quantized(model), progress)
    config.add_optimization_profile(_profile(builder, network, profile, path))
    content = builder.build_serialized_network(network, config)
    if getattr(getattr(config, "progress_monitor", None), "interrupted", False):
        raise KeyboardInterrupt
    if content is None:
        raise EngineError(f"{library.label} cannot build {path}: {log.reason()}")
    layers = tuple(layers_from_log(log.layers))
    precisions = _check_precision(model, layers)
    return BuiltPlan(bytes(content), layers, precisions, time.perf_counter() - start)


def _check_precision(model: onnx.ModelProto, layers: tuple[EngineLayer, ...]) -> dict[str, str]:
    if not is_quantized(model):
        return {}
    makers = {name: node for node in model.graph.node for name in node.output}
    quantized = [
        node.name
        for node in model.graph.node
        if node.op_type == "Conv" and makers[node.input[1]].op_type == "DequantizeLinear"
    ]
    return check_int8(layers, quantized)


def _profile(builder: Any, network: Any, profile: Profile, path: Path) -> Any:
    known = {network.get_input(i).name: network.get_input(i) for i in range(network.num_inputs)}
    if set(known) != set(profile.shapes):
        raise EngineError(
            f"shapes for {path.name}: got {sorted(profile.shapes)}, its inputs are {sorted(known)}"
        )
    made = builder.create_optimization_profile()
    for name, tensor in known.items():
        least, usual, most = (profile.of(name, agents) for agents in profile.agents)
        fits = len(tensor.shape) == len(usual) and all(
            fixed in (-1, size) for fixed, size in zip(tensor.shape, usual, strict=True)
        )
        if not fits:
            raise EngineError(
                f"shape of input {name} of {path.name}: got {profile.shapes[name]}, it takes "
                f"{tuple(tensor.shape)}"
            )
        made.set_shape(name, least, usual, most)
    return made


def _build_log(module: Any) -> Any:
    """Return a TensorRT logger that keeps errors and the list of layers."""

    class BuildLog(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.errors: list[str] = []
            self.layers = ""

        def log(self, severity: Any, message: str) -> None:
            if severity <= module.ILogger.ERROR:
                self.errors.append(message)
            elif severity == module.ILogger.WARNING:
                logger.debug("TensorRT: %s", message)
            if LOG_MARK in message:
                self.layers = message

        def reason(self) -> str:
            return "; ".join(self.errors[-3:]) or "it does not say why"

    return BuildLog()
