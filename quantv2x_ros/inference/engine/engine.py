# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an engine is: the protocol that every backend implements, and what its inputs must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

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
