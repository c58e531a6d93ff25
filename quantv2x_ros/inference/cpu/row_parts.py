# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle's ONNX files cut into parts that compute rows of cells instead of whole maps.

A 3x3 convolution of some cells is a product of their patches, laid out as rows, with the same
weights: in INT8 the same bits as the whole map's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino

#: Names of the parts' input, and of the output of those whose outputs have no names of their own.
ROWS, RESULT = "rows", "result"

_TO_NCHW, _TO_NHWC = np.array([0, 3, 1, 2]), np.array([0, 2, 3, 1])


@dataclass(frozen=True)
class RowPart:
    """One step of a network for rows of cells.

    The input is `ROWS` (1, 1, n, K) uint8: patches of the convolution's source, as large as its
    kernel. A deblock's output `RESULT` is the block of cells that a cell becomes.

    Attributes:
        name: name of the part.
        source: tensor of the file whose patches are read.
        convolution: that becomes a product of rows.
        end: the quantized tensor that the part ends with; empty for the file's own outputs.
    """

    name: str
    source: str
    convolution: str
    end: str = ""

    def cut(self, model: Any) -> Any:
        """Return the part of an ``openvino.Model`` of the whole file.

        Raises:
            KeyError: for a file that has no such part, or is not in INT8.
        """
        operations = {op.get_friendly_name(): op for op in model.get_ops()}
        rows = self._read_rows(operations)
        if not self.end:
            return openvino.Model(list(model.get_results()), [rows], self.name)
        end = openvino.opset13.transpose(operations[self.end], _TO_NHWC)
        end.output(0).get_tensor().set_names({RESULT})
        return openvino.Model([openvino.opset13.result(end)], [rows], self.name)

    def _read_rows(self, operations: dict[str, Any]) -> Any:
        """Let the convolution read rows; returns the parameter."""
        weight = operations[f"{self.convolution}.weight.q"]
        out, channels, height, width = weight.get_output_shape(0)
        flat = np.array(weight.data).transpose(0, 2, 3, 1).reshape(out, -1, 1, 1)
        _replace(weight, openvino.opset13.constant(np.ascontiguousarray(flat)))
        width = channels * height * width
        rows = openvino.opset13.parameter([1, 1, -1, width], np.uint8, name=ROWS)
        rows.output(0).get_tensor().set_names({ROWS})
        _replace(operations[self.source], rows)
        (convolution,) = (
            op
            for name, op in operations.items()
            if op.get_type_name() == "Convolution" and name.startswith(f"{self.convolution}.conv")
        )
        # behind the dequantization, or OpenVINO no longer recognises it and computes in FP32; one
        # that stands already, as behind a graph's input, is taken out
        values = convolution.input_value(0)
        if values.get_node().get_type_name() == "Transpose":
            values = values.get_node().input_value(0)
        standing = openvino.opset13.transpose(values, _TO_NCHW)
        product = openvino.opset13.convolution(
            standing, convolution.input_value(1), [1, 1], [0, 0], [0, 0], [1, 1]
        )
        _replace(convolution, product)
        return rows


def _replace(old: Any, new: Any) -> None:
    """Let all that reads an operation read another."""
    for reader in old.output(0).get_target_inputs():
        reader.replace_source_output(new.output(0))


#: The head: from the fused levels to the map that the first shrink convolution reads.
DEBLOCKS = (
    RowPart("deblock0", "fused0_nhwc", "deblock0", "upsampled0.q"),
    RowPart("deblock1", "fused1_nhwc", "deblock1", "upsampled1.packed"),
    RowPart("deblock2", "fused2_nhwc", "deblock2", "upsampled2.packed"),
)
#: The first shrink convolution; the second and the heads.
SHRINK = RowPart("shrink0", "merged.q", "shrink0", "shrink0.q")
HEADS = RowPart("heads", "shrink0.q", "shrink1")

#: All of them.
PARTS = (*DEBLOCKS, SHRINK, HEADS)


def convolution_shapes(path: Path, parts: Sequence[RowPart]) -> list[tuple[int, int, int, int]]:
    """Read the shapes (O, I, k, k) of the weights that become products of rows.

    An export may have left channels out, so that no number of them is certain.

    Args:
        path: the ONNX file.
        parts: of that file.

    Raises:
        KeyError: for a file that has no such part, or is not in INT8.
    """
    operations = {op.get_friendly_name(): op for op in openvino.Core().read_model(path).get_ops()}
    return [tuple(operations[f"{part.convolution}.weight.q"].get_output_shape(0)) for part in parts]
