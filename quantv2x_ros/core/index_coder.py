# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Index planes to bytes and back with a trained model; sizes are checked by core.wire."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core import index_context as context
from quantv2x_ros.core import index_kernels as kernels
from quantv2x_ros.core.index_model import IndexModel
from quantv2x_ros.core.range_coder import probability_table

IndexArray = npt.NDArray[np.uint8]


def encode_planes(
    model: IndexModel, indices: IndexArray, first_plane: int, limit: int
) -> bytes | None:
    """Code planes of a map.

    Args:
        model: of the codebook.
        indices: (planes, rows, columns) uint8, each less than dict_size: the planes from
            first_plane on, not more than the model has.
        first_plane: the first one's number.
        limit: most bytes wanted.

    Returns:
        The bytes; None where they would be more than the limit.
    """
    buffer = np.empty(limit, np.uint8)
    end = _run(model, False, buffer, indices, first_plane)
    return buffer[:end].tobytes() if end <= limit else None


def decode_planes(
    model: IndexModel, payload: IndexArray, shape: tuple[int, int, int], first_plane: int
) -> tuple[IndexArray, int]:
    """Read planes; whatever the bytes are, each index is less than dict_size.

    Args:
        model: of the codebook.
        payload: (bytes,) uint8.
        shape: (planes, rows, columns).
        first_plane: the first one's number.

    Returns:
        The indices, and the number of bytes that they may have come from.
    """
    indices = np.empty(shape, np.uint8)
    end = _run(model, True, payload.copy(), indices, first_plane)  # may be read-only
    return indices, end


def _run(
    model: IndexModel,
    decoding: bool,
    buffer: IndexArray,
    indices: IndexArray,
    first_plane: int,
) -> int:
    count, rows, columns = indices.shape
    margin = context.MARGIN
    codes = np.full(
        (first_plane + count, columns + 2 * margin, rows + 2 * margin),
        model.dict_size,
        np.uint16,
    )
    inner = codes[first_plane:, margin:-margin, margin:-margin]
    inner[:] = 0 if decoding else indices.transpose(0, 2, 1)
    end = kernels.code_planes(
        decoding,
        buffer,
        len(buffer),
        codes,
        first_plane,
        model.starts,
        model.tables,
        model.hidden_bias,
        model.weights,
        model.weight_bias,
        model.children,
        model.path_bits,
        model.background,
        probability_table(),
    )
    if decoding:
        indices[:] = inner.transpose(0, 2, 1)
    return int(end)
