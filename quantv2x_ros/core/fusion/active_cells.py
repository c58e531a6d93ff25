# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which cells the heads must be computed in: those where an agent holds something for possible.

Most of a map is road, ground and sky. Every agent's pyramid predicts occupancy (docs/network.md,
"Fusion weights"), and where no agent's reaches a few percent, the heads score nothing. Between the
fused maps and the heads lie two 3x3 convolutions, so that the heads of a cell need the fused map up
to two cells around it.
"""

from __future__ import annotations

from dataclasses import dataclass

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


BoolMap = npt.NDArray[np.bool_]

#: Pyramid scale whose occupancy decides; its cells are twice as large as the map's.
DECIDING_SCALE = 1


@dataclass(frozen=True, eq=False)
class ActiveCells:
    """Cells of a feature map (H, W) that the heads and what lies before them are computed in.

    Attributes:
        heads: (n,) flat numbers of the cells whose heads are computed, rising.
        inner: (m,) the same of the first 3x3 convolution's outputs that those need.
        needed: for each pyramid scale (h, w), the cells of its fused map that those need.
    """

    heads: Cells
    inner: Cells
    needed: tuple[BoolMap, BoolMap, BoolMap]

    @classmethod
    def where(cls, occupied: BoolMap, columns: slice) -> ActiveCells:
        """Find them.

        Args:
            occupied: (H / 2, W / 2), where the heads are wanted; H and W are multiples of 4.
            columns: columns of the map, whose heads are wanted.

        Raises:
            ValueError: for another type, or sizes that the pyramid cannot have.
        """
        if occupied.ndim != 2 or occupied.dtype != np.bool_ or any(n % 2 for n in occupied.shape):
            raise ValueError(
                "occupied must be bool with even numbers of rows and columns, got "
                f"{occupied.dtype} of {occupied.shape}"
            )
        heads = _doubled(occupied)
        heads[:, : columns.start] = False
        heads[:, columns.stop :] = False
        finer = _grown(_halved(heads))
        coarser = _halved(finer)
        return cls(
            np.flatnonzero(heads),
            np.flatnonzero(_grown(heads)),
            (_doubled(finer), finer, coarser),
        )


def _doubled(mask: BoolMap) -> BoolMap:
    """Return a mask with each cell as two by two."""
    return mask.repeat(2, axis=0).repeat(2, axis=1)


def _halved(mask: BoolMap) -> BoolMap:
    """Return a mask of each two by two cells, true where one of them is."""
    return mask[::2, ::2] | mask[1::2, ::2] | mask[::2, 1::2] | mask[1::2, 1::2]


def _grown(mask: BoolMap) -> BoolMap:
    """Return a mask that also has the eight neighbours of its cells."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    tall = grown.copy()
    grown[:, 1:] |= tall[:, :-1]
    grown[:, :-1] |= tall[:, 1:]
    return grown
