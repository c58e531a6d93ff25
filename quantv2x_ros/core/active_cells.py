# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which cells the heads must be computed in: those where an agent holds something for possible.

Most of a map is road, ground and sky. Every agent's pyramid predicts occupancy (NETWORK.md section
4), and where no agent's reaches a few percent, the heads score nothing. Between the fused levels
and the heads lie two 3x3 convolutions, so that the heads of a cell need the fused map up to two
cells around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BoolMap = npt.NDArray[np.bool_]
Cells = npt.NDArray[np.int64]

#: Pyramid level whose occupancy decides; its cells are twice as large as the map's.
DECIDING_LEVEL = 1


@dataclass(frozen=True, eq=False)
class ActiveCells:
    """Cells of a feature map (H, W) that the heads and what lies before them are computed in.

    Attributes:
        heads: (n,) flat numbers of the cells whose heads are computed, rising.
        inner: (m,) the same of the first 3x3 convolution's outputs that those need.
        needed: for each pyramid level (h, w), the cells of its fused map that those need.
    """

    heads: Cells
    inner: Cells
    needed: tuple[BoolMap, BoolMap, BoolMap]

    @classmethod
    def where(cls, occupied: BoolMap, columns: slice) -> ActiveCells:
        """Find them.

        Args:
            occupied: (H / 2, W / 2), where the heads are wanted; H and W are multiples of 4.
            columns: of the map, whose heads are wanted.

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
