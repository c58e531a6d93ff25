# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The table lookup at the start of the pyramid's ONNX file, taken out of OpenVINO's hands.

OpenVINO reads and writes nine maps in float32 for it; one pass that writes the quantized map, and
copies the cells of the background, takes a fifth of the time. And an engine without it can be given
a feature that was never coded: the ego's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from quantv2x_ros.core.codebook.codebook_kernels import quantized_sums, sum_tables
from quantv2x_ros.inference.engine.engine import DECODED, EngineError

#: Names in the file (training.export): the graph's input, what the lookup ends with if it is
#: quantized, and what reads it if it is not.
_INDICES, _QUANTIZED, _TRANSPOSED = "indices", "decoded.q", "decoded"
_BIAS, _SCALE, _ZERO_POINT = "codebook.bias", "decoded.nhwc.scale", "decoded.nhwc.zero_point"


@dataclass(frozen=True, eq=False)
class TableLookup:
    """Indices to the feature map that the pyramid reads.

    Attributes:
        tables: (planes, k, C) float32.
        bias: (C,) float32.
        scale: scale of the quantized map; None for a map in float32.
        zero_point: zero point of the quantized map.
    """

    tables: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    scale: np.float32 | None = None
    zero_point: int = 0

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the map: uint8 or float32."""
        return np.dtype(np.float32 if self.scale is None else np.uint8)

    def __call__(self, indices: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Decode (1, planes, H, W) into (1, H, W, C).

        Raises:
            EngineError: for an index of k or more.
        """
        if int(indices.max()) >= self.tables.shape[1]:
            raise EngineError(
                f"engine input {_INDICES}: {int(indices.max())} is outside of"
                f" {self.tables.shape[1]} codes"
            )
        planes, height, width = indices.shape[1:]
        cells = indices.reshape(planes, -1)
        if self.scale is None:
            summed = sum_tables(self.tables, self.bias, cells)
            return summed.reshape(1, height, width, len(self.bias))
        decoded = np.empty((1, height, width, len(self.bias)), np.uint8)
        quantized_sums(
            self.tables,
            self.bias,
            cells,
            self.scale,
            self.zero_point,
            decoded.reshape(-1, len(self.bias)),
        )
        return decoded


def cut_lookup(model: Any, indices_shape: tuple[int, ...]) -> tuple[Any, TableLookup | None]:
    """Separate a model from the lookup that it starts with.

    Args:
        model: an ``openvino.Model``.
        indices_shape: (1, planes, H, W) of its input.

    Returns:
        The model that takes the map (1, H, W, C) as `DECODED`, and the lookup; the model as it was
        and None where it does not start with one.
    """
    planes, height, width = indices_shape[1:]
    tables = [f"codebook.table{plane}" for plane in range(planes)]
    last_sum = f"codebook.sum{planes - 1}"
    operations = {op.get_friendly_name(): op for op in model.get_ops()}
    needed = {_TRANSPOSED, last_sum, _BIAS, *tables}
    if not needed <= set(operations) or {p.any_name for p in model.inputs} != {_INDICES}:
        return model, None
    quantized = {_QUANTIZED, _SCALE, _ZERO_POINT} <= set(operations)

    def constant(name: str) -> npt.NDArray[Any]:
        return np.array(operations[name].data)

    lookup = TableLookup(
        np.stack([constant(name) for name in tables]).astype(np.float32),
        constant(_BIAS).astype(np.float32),
        np.float32(constant(_SCALE)) if quantized else None,
        int(constant(_ZERO_POINT)) if quantized else 0,
    )
    decoded = openvino.opset13.parameter(
        [1, height, width, lookup.tables.shape[2]], lookup.dtype, name=DECODED
    )
    decoded.output(0).get_tensor().set_names({DECODED})
    end = operations[_QUANTIZED if quantized else last_sum]
    for reader in end.output(0).get_target_inputs():
        reader.replace_source_output(decoded.output(0))
    return openvino.Model(model.get_results(), [decoded], model.get_friendly_name()), lookup
