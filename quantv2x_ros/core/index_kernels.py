# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numba kernels of core.index_model: index planes through a context model and a binary coder.

Planes are coded one after the other, each column by column. A cell's code is found by walking down
a binary tree of codes; the probability of each branch comes from a small network with integer
weights: rows of tables that the neighbouring codes pick are added up, rectified, and multiplied
with the branch's weights. All sums are exact integers, so that both ends agree on any machine. A
correction of each branch follows what the tile itself has shown so far.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit
from quantv2x_ros.core.index_context import (
    EARLIER,
    HIDDEN,
    MARGIN,
    OWN,
    Int16,
    Uint8,
    Uint16,
    gather,
    mark,
    mark_border,
    start_hidden,
)
from quantv2x_ros.core.range_coder import (
    LOGIT_LIMIT,
    LOGIT_STEPS,
    PROBABILITY_BITS,
    code_bit,
    finish,
    first_value,
)

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
        state: of the coder: low, high, value and position, see `code_bit`.
        bits: of the branches on the way to the cell's code; not used where it decodes.
        features: (HIDDEN,) rectified, of the cell.
        branches: (k - 1, HIDDEN) weights and (k - 1,) bias of the plane.
        children: (k - 1, 2) of the plane.
        corrections: (k - 1,) of the branches' logits, which follow what is coded.
        probabilities: of a set bit, by logit.

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
        probabilities: of a set bit, by logit.

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
