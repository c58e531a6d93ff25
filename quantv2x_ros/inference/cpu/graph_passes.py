# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Changes to a graph that give the same bits faster: the width of groups, lookups in tables.

Bundles have groups of 64 channels, most of whose weights are zeros that hold apart the narrower
groups of the network (docs/network.md, "Pyramid fusion"). AMX multiplies tiles of 64 and is fastest
so; everything before it multiplies the zeros in full, and is faster with 16. All give the same
bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from quantv2x_ros.core.codebook.codebook_kernels import quantized_sums, sum_tables
from quantv2x_ros.inference.cpu.processor import has_amx
from quantv2x_ros.inference.engine.engine import DECODED, EngineError

#: Names in the file (training.export): the graph's input, what the lookup ends with if it is
#: quantized, and what reads it if it is not.
_INDICES, _QUANTIZED, _TRANSPOSED = "indices", "decoded.q", "decoded"
_BIAS, _SCALE, _ZERO_POINT = "codebook.bias", "decoded.nhwc.scale", "decoded.nhwc.zero_point"


@dataclass(frozen=True, eq=False)
class TableLookup:
    """Indices to the feature map that the pyramid reads, taken out of OpenVINO's hands.

    OpenVINO reads and writes nine maps in float32 for it; one pass that writes the quantized map,
    and copies the cells of the background, takes a fifth of the time. Two planes have few enough
    pairs of codes that all are summed and quantized beforehand. And an engine without it can be
    given a feature that was never coded: the ego's own.

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
        flat = decoded.reshape(-1, len(self.bias))
        if self.pairs is None:
            self._quantize(cells, flat)
        else:
            pairs = cells[0].astype(np.intp) * self.tables.shape[1] + cells[1]
            np.take(self.pairs, pairs, axis=0, out=flat, mode="clip")  # without a second check
        return decoded

    def _quantize(self, cells: npt.NDArray[np.uint8], out: npt.NDArray[np.uint8]) -> None:
        """Write the quantized sums of cells (planes, N) to out (N, C)."""
        quantized_sums(self.tables, self.bias, cells, self.scale, self.zero_point, out)

    @cached_property
    def pairs(self) -> npt.NDArray[np.uint8] | None:
        """The quantized map's cell for each pair of codes (k * k, C), the second the faster.

        None where there are not two planes, or the map is not quantized.
        """
        planes, codes, channels = self.tables.shape
        if planes != 2 or self.scale is None:
            return None
        both = np.indices((codes, codes), np.uint8).reshape(2, -1)
        made = np.empty((codes * codes, channels), np.uint8)
        self._quantize(both, made)
        return made


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
    _ = lookup.pairs  # now, not with the first sweep
    decoded = openvino.opset13.parameter(
        [1, height, width, lookup.tables.shape[2]], lookup.dtype, name=DECODED
    )
    decoded.output(0).get_tensor().set_names({DECODED})
    end = operations[_QUANTIZED if quantized else last_sum]
    for reader in end.output(0).get_target_inputs():
        reader.replace_source_output(decoded.output(0))
    return openvino.Model(model.get_results(), [decoded], model.get_friendly_name()), lookup


#: Channels that a group has at least, with AMX and without.
AMX_WIDTH, PLAIN_WIDTH = 64, 16


def group_width() -> int:
    """Channels a group that suit this processor."""
    return AMX_WIDTH if has_amx() else PLAIN_WIDTH


def narrow_weight(weight: npt.NDArray[Any], groups: int, width: int) -> npt.NDArray[Any] | None:
    """Split groups into narrower ones.

    Args:
        weight: (O, I / groups, k, k).
        groups: number of its groups.
        width: input channels of the narrower groups, a divisor of I / groups.

    Returns:
        (O, width, k, k); None where a weight between the narrower groups is not zero, or they do
        not fit.
    """
    out, wide = weight.shape[:2]
    if wide <= width or wide % width or out % (groups * (wide // width)):
        return None
    parts = wide // width
    blocks = weight.reshape(groups, parts, -1, parts, width, *weight.shape[2:])
    own = np.arange(parts)
    narrow = blocks[:, own, :, own]  # the part's axis comes first
    if np.count_nonzero(narrow) != np.count_nonzero(weight):
        return None
    narrow = np.moveaxis(narrow, 0, 1).reshape(out, width, *weight.shape[2:])
    return np.ascontiguousarray(narrow)


def narrow_groups(model: Any, width: int) -> None:
    """Narrow the grouped convolutions of an ``openvino.Model`` in place, where they can be.

    Args:
        model: as read from a bundle's ONNX file.
        width: channels a group.
    """
    for operation in model.get_ops():
        if operation.get_type_name() != "GroupConvolution":
            continue
        shaped = operation.input_value(1).get_node()
        constant = _constant_behind(shaped)
        if constant is None:
            continue
        groups = int(shaped.get_output_shape(0)[0])
        weight = narrow_weight(np.array(constant.data), groups, width)
        if weight is None:
            continue
        narrowed = openvino.opset13.constant(weight, name=constant.get_friendly_name())
        for reader in constant.output(0).get_target_inputs():
            reader.replace_source_output(narrowed.output(0))
        more = groups * constant.get_output_shape(0)[1] // width
        shape = np.array([more, len(weight) // more, *weight.shape[1:]], np.int64)
        target = openvino.opset13.constant(shape)
        shaped.input(1).replace_source_output(target.output(0))
    model.validate_nodes_and_infer_types()


def _constant_behind(node: Any) -> Any:
    """Return the constant that a convolution's weight is made of; None where it is not."""
    if node.get_type_name() != "Reshape":
        return None
    while node.get_type_name() in ("Reshape", "Multiply", "Subtract", "Convert"):
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "Constant" else None
