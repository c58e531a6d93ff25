# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numba kernels of the context of an index: the neighbouring codes that are known before it.

Each neighbour picks a row of a table of its own by its code; a cell's context is the sum of these
rows. Arrays of codes are (planes, columns, rows) with a margin around the map.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit

#: Cells around the map that hold no code.
MARGIN = 3
#: Neighbours (rows, columns away) in the same plane that are known when a cell's turn comes.
OWN_NEIGHBOURS = (
    (-1, 0), (-2, 0), (-3, 0),
    (0, -1), (-1, -1), (1, -1), (-2, -1), (2, -1),
    (0, -2), (-1, -2), (1, -2),
    (0, -3),
)  # fmt: skip
#: Neighbours in each earlier plane, which is known as a whole.
EARLIER_NEIGHBOURS = (
    (0, 0), (-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1),
)  # fmt: skip
OWN = len(OWN_NEIGHBOURS)
EARLIER = len(EARLIER_NEIGHBOURS)
#: Hidden values of a plane's network. Fixed, so that compilers unroll the sums.
HIDDEN = 64
_OWN_ROWS = np.array([row for row, _ in OWN_NEIGHBOURS])
_OWN_COLUMNS = np.array([column for _, column in OWN_NEIGHBOURS])
_EARLIER_ROWS = np.array([row for row, _ in EARLIER_NEIGHBOURS])
_EARLIER_COLUMNS = np.array([column for _, column in EARLIER_NEIGHBOURS])

Int16 = npt.NDArray[np.int16]
Uint8 = npt.NDArray[np.uint8]
Uint16 = npt.NDArray[np.uint16]


@njit(cache=True, nogil=True)
def mark(busy: Uint8, plane: int, row: int, column: int) -> None:
    """Note which cells, in this plane and in later ones, have a code here as a neighbour."""
    for i in range(OWN):
        busy[plane, column - _OWN_COLUMNS[i], row - _OWN_ROWS[i]] = 1
    for later in range(plane + 1, len(busy)):
        for i in range(EARLIER):
            busy[later, column - _EARLIER_COLUMNS[i], row - _EARLIER_ROWS[i]] = 1


@njit(cache=True, nogil=True)
def mark_border(busy: Uint8) -> None:
    """Cells whose neighbourhood reaches beyond the map are not those of an empty one."""
    _, columns, rows = busy.shape
    for plane in range(len(busy)):
        busy[plane, : 2 * MARGIN] = 1
        busy[plane, columns - 2 * MARGIN :] = 1
        busy[plane, :, : 2 * MARGIN] = 1
        busy[plane, :, rows - 2 * MARGIN :] = 1


@njit(cache=True, nogil=True)
def start_hidden(own: Int16, bias: Int16, first_plane: int, base: Int16) -> None:
    """What all cells have in common: the bias, and all that planes left out would have told."""
    base[:] = bias
    for i in range(OWN, OWN + EARLIER * first_plane):
        _add_row(own[i], own.shape[1] - 1, base)


@njit(inline="always")
def _add_row(table, code, hidden):  # type: ignore[no-untyped-def]
    for d in range(HIDDEN):
        hidden[d] = np.int16(hidden[d] + table[code, d])


@njit(cache=True, nogil=True)
def gather(
    codes: Uint16,
    first_plane: int,
    plane: int,
    row: int,
    column: int,
    background: Uint8,
    rows: Int16,
    picked: npt.NDArray[np.int64],
    hidden: Int16,
) -> None:
    """Add the rows of a plane's tables that the neighbours of a cell (in the margin's count) pick.

    The rows are first listed without a branch, which would be mispredicted half of the time.

    Args:
        codes: (planes, columns, rows) with margins.
        first_plane: planes before it are not known.
        plane: of the cell.
        row: of the cell.
        column: of the cell.
        background: (planes,), whose rows are zero.
        rows: ((OWN + EARLIER * plane) * (k + 1), HIDDEN), the plane's tables one after the other.
        picked: room for their numbers, three more than tables.
        hidden: (HIDDEN,), added to.
    """
    size = rows.shape[0] // (OWN + EARLIER * plane)
    empty = background[plane]
    count = np.int64(0)
    for i in range(OWN):
        code = codes[plane, column + _OWN_COLUMNS[i], row + _OWN_ROWS[i]]
        picked[count] = i * size + code
        count += np.int64(code != empty)
    for earlier in range(first_plane, plane):
        empty = background[earlier]
        for i in range(EARLIER):
            code = codes[earlier, column + _EARLIER_COLUMNS[i], row + _EARLIER_ROWS[i]]
            picked[count] = (OWN + EARLIER * earlier + i) * size + code
            count += np.int64(code != empty)
    while count % 4:
        picked[count] = background[plane]
        count += np.int64(1)
    for i in range(0, count, 4):  # fewer trips of the sums through memory
        a, b, c, e = picked[i], picked[i + 1], picked[i + 2], picked[i + 3]
        for d in range(HIDDEN):
            hidden[d] = np.int16(hidden[d] + rows[a, d] + rows[b, d] + rows[c, d] + rows[e, d])
