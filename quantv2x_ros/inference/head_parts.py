# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The head's ONNX file cut into parts that compute rows of cells instead of whole maps.

A 3x3 convolution of some cells is a product of their patches, laid out as rows, with the same
weights: in INT8 the same bits as the whole map's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino

#: Names of every part's input, and of the outputs of those that are not the heads'.
ROWS, RESULT = "rows", "result"

_TO_NCHW, _TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


@dataclass(frozen=True)
class HeadPart:
    """One step of the head for rows of cells.

    The input is `ROWS` (1, 1, n, K) uint8. A deblock's is a cell of its fused level, and its output
    `RESULT` the block of cells that it becomes; a shrink convolution's is a 3x3 patch.

    Attributes:
        name: of the part.
        source: tensor of the file that the rows are of; empty for a deblock's, a graph input.
        convolution: the 3x3 convolution that becomes a product of rows; empty for none.
        end: the quantized tensor that the part ends with; empty for the heads' own outputs.
    """

    name: str
    source: str = ""
    convolution: str = ""
    end: str = ""

    def cut(self, model: Any) -> Any:
        """Return the part of an ``openvino.Model`` of the whole file.

        Raises:
            KeyError: for a file that is not an INT8 head.
        """
        operations = {op.get_friendly_name(): op for op in model.get_ops()}
        if self.source:
            rows = self._read_rows(operations)
        else:
            (rows,) = (p for p in model.get_parameters() if p.get_friendly_name() == self.name)
            rows.output(0).get_tensor().set_names({ROWS})
        if not self.end:
            results = list(model.get_results())
        else:
            end = openvino.opset13.transpose(operations[self.end], np.array(_TO_NHWC))
            end.output(0).get_tensor().set_names({RESULT})
            results = [openvino.opset13.result(end)]
        return openvino.Model(results, [rows], self.name)

    def _read_rows(self, operations: dict[str, Any]) -> Any:
        """Let the convolution read rows; returns the parameter."""
        weight = operations[f"{self.convolution}.weight.q"]
        out, channels, height, width = weight.get_output_shape(0)
        flat = np.array(weight.data).transpose(0, 2, 3, 1).reshape(out, -1, 1, 1)
        constant = openvino.opset13.constant(np.ascontiguousarray(flat))
        for reader in weight.output(0).get_target_inputs():
            reader.replace_source_output(constant.output(0))
        rows = openvino.opset13.parameter(
            [1, 1, -1, channels * height * width], np.uint8, name=ROWS
        )
        rows.output(0).get_tensor().set_names({ROWS})
        for reader in operations[self.source].output(0).get_target_inputs():
            reader.replace_source_output(rows.output(0))
        (convolution,) = (
            op
            for name, op in operations.items()
            if op.get_type_name() == "Convolution" and name.startswith(f"{self.convolution}.conv")
        )
        # behind the dequantization, or OpenVINO no longer recognises it and computes in FP32
        standing = openvino.opset13.transpose(convolution.input_value(0), np.array(_TO_NCHW))
        product = openvino.opset13.convolution(
            standing, convolution.input_value(1), [1, 1], [0, 0], [0, 0], [1, 1]
        )
        for reader in convolution.output(0).get_target_inputs():
            reader.replace_source_output(product.output(0))
        return rows


#: From the fused levels to the map that the first shrink convolution reads.
DEBLOCKS = (
    HeadPart("fused0_nhwc", end="upsampled0.q"),
    HeadPart("fused1_nhwc", end="upsampled1.packed"),
    HeadPart("fused2_nhwc", end="upsampled2.packed"),
)
#: The first shrink convolution; the second and the heads.
SHRINK = HeadPart("shrink0", "merged.q", "shrink0", "shrink0.q")
HEADS = HeadPart("heads", "shrink0.q", "shrink1")
