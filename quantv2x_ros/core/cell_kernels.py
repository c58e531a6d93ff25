# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numba kernels that move cells between maps and rows. Arguments are checked by the caller.

Maps have a border of one cell that stays 0: the padding of the 3x3 convolutions. Copying goes
through slices whose index starts at 0: the compiler turns only those loops into copies of whole
vectors.
"""

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit

Uint8 = npt.NDArray[np.uint8]
Cells = npt.NDArray[np.int64]


@njit(cache=True, nogil=True)
def gather_patches(bordered: Uint8, cells: Cells, rows: Uint8) -> None:
    """Copy the 3x3 patches around cells into rows.

    Args:
        bordered: (H + 2, W + 2, C).
        cells: (n,) flat numbers in (H, W).
        rows: (n or more, 9 * C), written: patch row, patch column, channel.
    """
    width, channels = bordered.shape[1], bordered.shape[2]
    flat = bordered.reshape(-1)
    length = 3 * channels
    for i in range(len(cells)):
        row, column = divmod(cells[i], width - 2)
        for patch_row in range(3):
            first = ((row + patch_row) * width + column) * channels
            source = flat[first : first + length]
            target = rows[i, patch_row * length : (patch_row + 1) * length]
            for k in range(length):
                target[k] = source[k]


@njit(cache=True, nogil=True)
def scatter_blocks(
    rows: Uint8, cells: Cells, upscale: int, first_channel: int, bordered: Uint8
) -> None:
    """Write rows into the blocks of cells that they stand for.

    Args:
        rows: (n or more, upscale * upscale * C): block row, block column, channel.
        cells: (n,) flat numbers in the coarse map (H / upscale, W / upscale).
        upscale: cells of a block along each side.
        first_channel: where the C channels go.
        bordered: (H + 2, W + 2, first_channel + C or more), written.
    """
    coarse_width = (bordered.shape[1] - 2) // upscale
    channels = rows.shape[1] // (upscale * upscale)
    for i in range(len(cells)):
        row, column = divmod(cells[i], coarse_width)
        for block_row in range(upscale):
            for block_column in range(upscale):
                start = (block_row * upscale + block_column) * channels
                r = row * upscale + block_row + 1
                c = column * upscale + block_column + 1
                source = rows[i, start : start + channels]
                target = bordered[r, c, first_channel : first_channel + channels]
                for k in range(channels):
                    target[k] = source[k]
