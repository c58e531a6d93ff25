# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Everything that differs between TensorRT 8.6, 10, 11 and TensorRT-RTX.

| | 8.6 (JetPack 5) | 10 (JetPack 6 and 7) | 11 | TensorRT-RTX |
|---|---|---|---|---|
| network | explicit batch, weakly typed | strongly typed | strongly typed | strongly typed |
| precision | builder flags, layer precisions | the ONNX file's types | the same | the same |
| progress monitor | none | yes | yes | yes |
| device_memory_size | yes | yes, and _v2 | _v2 only | _v2 only |
| builds without a GPU | no | no | no | yes, for every GPU |
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from quantv2x_ros.inference.engine.engine import EngineError

#: In order of preference; TensorRT-RTX is for desktop GPUs and for building without one.
MODULES = ("tensorrt", "tensorrt_rtx")
OLDEST = (8, 6)
#: Types of layers that compute in the precision of what surrounds them; a network without strong
#: types must be told.
_LEFT_ALONE = ("CONSTANT", "CONVOLUTION", "QUANTIZE", "DEQUANTIZE", "SHUFFLE", "SHAPE", "CAST")

#: Receives the fraction done, 0..1, and what is being done.
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class TensorRt:
    """A TensorRT library.

    Attributes:
        module: its Python module.
        name: ``tensorrt`` or ``tensorrt_rtx``.
        version: such as (10, 3, 0).
    """

    module: Any
    name: str
    version: tuple[int, ...]

    @property
    def label(self) -> str:
        """Name and version, as one word."""
        return f"{self.name}-{'.'.join(map(str, self.version))}"

    @property
    def builds_without_gpu(self) -> bool:
        """Whether plans are made ahead of time, for every GPU."""
        return self.name == "tensorrt_rtx"

    @property
    def is_strongly_typed(self) -> bool:
        """Whether the types of the ONNX file are the types that are computed with."""
        return self.name == "tensorrt_rtx" or self.version[0] >= 10

    def create_network(self, builder: Any) -> Any:
        """Return an empty network with explicit batch and, where there is one, strong typing."""
        flags = self.module.NetworkDefinitionCreationFlag
        wanted = flags.STRONGLY_TYPED if self.is_strongly_typed else flags.EXPLICIT_BATCH
        return builder.create_network(1 << int(wanted))

    def configure(
        self, builder: Any, network: Any, quantized: bool, progress: Progress | None
    ) -> Any:
        """Return a builder configuration for a parsed network.

        Args:
            builder: the builder.
            network: the parsed network.
            quantized: whether it computes in INT8 and FP16, or in FP32 alone.
            progress: told how far a build is, where this version can tell.
        """
        config = builder.create_builder_config()
        config.profiling_verbosity = self.module.ProfilingVerbosity.DETAILED
        config.clear_flag(self.module.BuilderFlag.TF32)  # FP32 means FP32
        if not self.is_strongly_typed:
            self._state_precisions(config, network, quantized)
        if progress is not None and hasattr(config, "progress_monitor"):
            config.progress_monitor = progress_monitor(self.module, progress)
        return config

    def _state_precisions(self, config: Any, network: Any, quantized: bool) -> None:
        """Hold a weakly typed network to the types that its ONNX file states."""
        flag, kinds = self.module.BuilderFlag, self.module.LayerType
        config.set_flag(flag.OBEY_PRECISION_CONSTRAINTS)
        if quantized:
            config.set_flag(flag.INT8)
            config.set_flag(flag.FP16)
        alone = {getattr(kinds, name) for name in _LEFT_ALONE if hasattr(kinds, name)}
        after_convolution: set[str] = set()  # bias, sum and ReLU join the int8 kernel
        for index in range(network.num_layers):
            layer = network.get_layer(index)
            sources = {
                layer.get_input(i).name for i in range(layer.num_inputs) if layer.get_input(i)
            }
            output = layer.get_output(0)
            joins = layer.type in (kinds.ELEMENTWISE, kinds.ACTIVATION)
            if layer.type == kinds.CONVOLUTION or (joins and sources & after_convolution):
                after_convolution.add(output.name)
            elif layer.type not in alone and output.dtype in (
                self.module.float32,
                self.module.float16,
            ):
                layer.precision = output.dtype
                layer.set_output_type(0, output.dtype)

    def device_memory(self, engine: Any) -> int:
        """Bytes of device memory that an engine's activations take."""
        size = getattr(engine, "device_memory_size_v2", None)
        return int(engine.device_memory_size if size is None else size)


def progress_monitor(module: Any, progress: Progress) -> Any:
    """Return an IProgressMonitor that adds nested phases up to one fraction.

    Ctrl-C during a build ends the build: TensorRT asks after every step whether to go on.
    """

    class Monitor(module.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)
            self.phases: dict[str, tuple[str | None, int, int]] = {}
            self.interrupted = False
            self.highest = 0.0

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            self.phases[name] = (parent, 0, max(steps, 1))

        def step_complete(self, name: str, step: int) -> bool:
            if name in self.phases:
                parent, _, steps = self.phases[name]
                self.phases[name] = (parent, min(step + 1, steps), steps)
            try:
                self.highest = max(self.highest, self._fraction(name))
                progress(self.highest, name)
            except KeyboardInterrupt:
                self.interrupted = True
            return not self.interrupted

        def phase_finish(self, name: str) -> None:
            self.phases.pop(name, None)

        def _fraction(self, name: str) -> float:
            fraction = 0.0
            current: str | None = name
            while current is not None and current in self.phases:
                parent, done, steps = self.phases[current]
                fraction = (done + fraction) / steps if done < steps else 1.0
                current = parent
            return min(fraction, 1.0)

    return Monitor()


@cache
def load_tensorrt() -> TensorRt:
    """Import TensorRT.

    Raises:
        EngineError: where there is none, or one older than 8.6.
    """
    for name in MODULES:
        if importlib.util.find_spec(name) is None:
            continue
        try:
            module = importlib.import_module(name)
        except (ImportError, OSError) as error:
            raise EngineError(f"the Python package {name} cannot be imported: {error}") from error
        parts = [part for part in module.__version__.split(".") if part.isdigit()]
        version = tuple(int(part) for part in parts)
        if name == "tensorrt" and version < OLDEST:
            raise EngineError(
                f"TensorRT {module.__version__} is too old; {'.'.join(map(str, OLDEST))} is the "
                "oldest that this package knows (JetPack 5 with TensorRT 8.6)"
            )
        return TensorRt(module, name, version)
    raise EngineError(
        "TensorRT is not installed: the Python package tensorrt (part of JetPack), or tensorrt_rtx"
    )
