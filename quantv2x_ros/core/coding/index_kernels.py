# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numba kernels of the entropy coder: index planes through a context model and a binary coder.

Planes are coded one after the other, each column by column. A cell's code is found by walking down
a binary tree of codes; the probability of each branch comes from a small network with integer
weights: rows of tables that the neighbouring codes pick are added up, rectified, and multiplied
with the branch's weights. All sums are exact integers, so that both ends agree on any machine. A
correction of each branch follows what the tile itself has shown so far.
"""

from __future__ import annotations

from functools import cache
from typing import Any

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
        plane: number of the index's plane.
        row: the cell's row.
        column: the cell's column.
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


#: Probabilities are in units of 2**-16, from 1 to 65535.
PROBABILITY_BITS = 16
#: Steps of a logit's unit in the table of probabilities, and the largest logit there.
LOGIT_STEPS = 128
LOGIT_LIMIT = 11

_WORD = np.uint64(0xFFFFFFFF)
_TOP = np.uint64(0xFF000000)


def exact_probabilities() -> npt.NDArray[np.float64]:
    """Probabilities in units of 2**-16 before they are rounded, by logit from the least."""
    logits = np.arange(-LOGIT_LIMIT * LOGIT_STEPS, LOGIT_LIMIT * LOGIT_STEPS + 1) / LOGIT_STEPS
    values: npt.NDArray[np.float64] = 2.0**PROBABILITY_BITS / (1.0 + np.exp(-logits))
    return values


@cache
def probability_table() -> npt.NDArray[np.int32]:
    """Probability of a set bit by its logit: entry ``(logit + LOGIT_LIMIT) * LOGIT_STEPS``.

    No value lies near the border of two integers, so every correct exp gives the same table.
    """
    rounded = np.rint(exact_probabilities()).astype(np.int32)
    return rounded.clip(1, (1 << PROBABILITY_BITS) - 1)


@njit(inline="always")
def code_bit(  # type: ignore[no-untyped-def]
    decoding, buffer, size, low, high, value, position, probability, bit
):
    """Code one bit.

    Args:
        decoding: read the bit from the buffer rather than write it there.
        buffer: (bytes,) uint8.
        size: bytes of it that may be used; beyond, nothing is written and zeros are read.
        low: uint64, first number of the interval, 0 at first.
        high: uint64, its last number, 2**32 - 1 at first.
        value: uint64, where in the interval the read number lies; see `first_value`.
        position: next byte of the buffer.
        probability: probability of a set bit, 1 to 65535 of 65536.
        bit: what to write.

    Returns:
        The bit, low, high, value and position.
    """
    middle = low + (((high - low) * np.uint64(probability)) >> np.uint64(PROBABILITY_BITS))
    if decoding:
        bit = 1 if value <= middle else 0
    if bit:
        high = middle
    else:
        low = middle + np.uint64(1)
    while ((low ^ high) & _TOP) == np.uint64(0):
        if decoding:
            following = np.uint64(buffer[position]) if position < size else np.uint64(0)
            value = ((value << np.uint64(8)) & _WORD) | following
        elif position < size:
            buffer[position] = np.uint8(high >> np.uint64(24))
        position += 1
        low = (low << np.uint64(8)) & _WORD
        high = ((high << np.uint64(8)) & _WORD) | np.uint64(255)
    return bit, low, high, value, position


@njit(inline="always")
def first_value(buffer, size):  # type: ignore[no-untyped-def]
    """Return the value that decoding begins with; its first byte to read is then number 4."""
    value = np.uint64(0)
    for i in range(4):
        value = (value << np.uint64(8)) | (np.uint64(buffer[i]) if i < size else np.uint64(0))
    return value


@njit(cache=True, nogil=True)
def finish(buffer: npt.NDArray[np.uint8], size: int, low: Any, high: Any, position: int) -> int:
    """Write the fewest bytes that lie in the interval with zeros after them; return the end."""
    if low == np.uint64(0):
        return position
    for count in range(1, 5):
        unit = np.uint64(1) << np.uint64(32 - 8 * count)
        number = ((low + unit - np.uint64(1)) // unit) * unit
        if number <= high:
            for i in range(count):
                if position < size:
                    buffer[position] = np.uint8((number >> np.uint64(24 - 8 * i)) & np.uint64(255))
                position += 1
            break
    return position


#: Fixed-point units: of hidden values, of branch weights, and of logits.
HIDDEN_BITS = 7
WEIGHT_BITS = 10
LOGIT_BITS = HIDDEN_BITS + WEIGHT_BITS
#: Largest hidden value and weight; with HIDDEN of them a logit stays below 2**30.
HIDDEN_MAX = 2047
WEIGHT_MAX = 8191
#: How fast a branch's correction follows: 2**-ADAPTATION of the error.
ADAPTATION = 3

_SHIFT = LOGIT_BITS - 7  # LOGIT_STEPS is 2**7
_LIMIT = LOGIT_LIMIT * LOGIT_STEPS

Int32 = npt.NDArray[np.int32]


@njit(inline="always")
def _product(hidden, weights, node):  # type: ignore[no-untyped-def]
    total = np.int32(0)
    for d in range(HIDDEN):
        total = np.int32(total + np.int32(hidden[d]) * np.int32(weights[node, d]))
    return total


@njit(cache=True, nogil=True)
def _rectify(hidden: Int16) -> None:
    for d in range(HIDDEN):
        hidden[d] = min(max(hidden[d], np.int16(0)), np.int16(HIDDEN_MAX))


@njit(inline="always")
def _code_cell(  # type: ignore[no-untyped-def]
    decoding, buffer, size, state, bits, features, branches, children, corrections, probabilities
):
    """Walk down a plane's tree of codes, one bit a branch.

    Args:
        decoding: read.
        buffer: (bytes,) uint8.
        size: bytes of it that may be used.
        state: state of the coder: low, high, value and position, see `code_bit`.
        bits: bits of the branches on the way to the cell's code; not used where it decodes.
        features: (HIDDEN,) rectified, of the cell.
        branches: (k - 1, HIDDEN) weights and (k - 1,) bias of the plane.
        children: (k - 1, 2) of the plane.
        corrections: (k - 1,) of the branches' logits, which follow what is coded.
        probabilities: probabilities of a set bit, by logit.

    Returns:
        The code, and the state.
    """
    weights, bias = branches
    low, high, value, position = state
    node, step = np.int64(0), 0
    while node >= 0:
        bit = np.int64(0) if decoding else np.int64(bits[step])
        logit = _product(features, weights, node) + bias[node]
        logit = (logit + corrections[node]) >> _SHIFT
        logit = min(max(logit, -_LIMIT), _LIMIT)
        probability = probabilities[logit + _LIMIT]
        bit, low, high, value, position = code_bit(
            decoding, buffer, size, low, high, value, position, probability, bit
        )
        error = (bit << PROBABILITY_BITS) - probability
        corrections[node] += np.int32(error >> ADAPTATION)
        node = np.int64(children[node, bit])
        step += 1
    return ~node, (low, high, value, position)


@njit(cache=True, nogil=True)
def code_planes(
    decoding: bool,
    buffer: Uint8,
    size: int,
    codes: Uint16,
    first_plane: int,
    starts: npt.NDArray[np.int64],
    tables: Int16,
    hidden_bias: Int16,
    weights: Int16,
    weight_bias: Int32,
    children: Int16,
    path_bits: Uint8,
    background: Uint8,
    probabilities: Int32,
) -> int:
    """Write planes to a buffer, or read them from it.

    Args:
        decoding: read.
        buffer: (bytes,) uint8.
        size: bytes of it that may be used.
        codes: (planes, columns + 2 MARGIN, rows + 2 MARGIN) uint16; k in the margin and in planes
            before first_plane. Written where it decodes.
        first_plane: the first plane that is coded.
        starts: (planes,) first table of each plane.
        tables: (tables, k + 1, HIDDEN), for each neighbour the row of its code; the background's
            are zero.
        hidden_bias: (planes, HIDDEN).
        weights: (planes, k - 1, HIDDEN) of each branch.
        weight_bias: (planes, k - 1).
        children: (planes, k - 1, 2); a branch's next one, or ~code.
        path_bits: (planes, k, longest) the branches' bits on the way to each code.
        background: (planes,) the code of empty cells.
        probabilities: probabilities of a set bit, by logit.

    Returns:
        Bytes used; more than size where the buffer is too small to write to.
    """
    planes, columns, rows = codes.shape
    busy = np.zeros((planes, columns, rows), np.uint8)
    mark_border(busy)
    base = np.empty(HIDDEN, np.int16)
    quiet = np.empty(HIDDEN, np.int16)
    hidden = np.empty(HIDDEN, np.int16)
    corrections = np.zeros(weights.shape[1], np.int32)
    no_bits = np.empty(0, np.uint8)
    picked = np.empty(OWN + EARLIER * planes + 4, np.int64)
    value = first_value(buffer, size) if decoding else np.uint64(0)
    state = (np.uint64(0), np.uint64(0xFFFFFFFF), value, 4 if decoding else 0)
    for plane in range(first_plane, planes):
        own = tables[starts[plane] : starts[plane] + OWN + EARLIER * plane]
        flat = own.reshape(-1, HIDDEN)
        empty = background[plane]
        start_hidden(own, hidden_bias[plane], first_plane, base)
        quiet[:] = base
        _rectify(quiet)
        corrections[:] = 0
        branches = (weights[plane], weight_bias[plane])
        for column in range(MARGIN, columns - MARGIN):
            for row in range(MARGIN, rows - MARGIN):
                if busy[plane, column, row]:
                    hidden[:] = base
                    gather(codes, first_plane, plane, row, column, background, flat, picked, hidden)
                    _rectify(hidden)
                    features = hidden
                else:
                    features = quiet
                bits = no_bits if decoding else path_bits[plane, codes[plane, column, row]]
                code, state = _code_cell(
                    decoding, buffer, size, state, bits, features,
                    branches, children[plane], corrections, probabilities,
                )  # fmt: skip
                codes[plane, column, row] = np.uint16(code)
                if code != empty:
                    mark(busy, plane, row, column)
    low, high, _, position = state
    return position if decoding else finish(buffer, size, low, high, position)
