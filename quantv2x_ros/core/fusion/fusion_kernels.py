# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numba kernels of core.fusion.fusion: warp, softmax over agents, weighted sum.

They keep to what affine_grid in float64 and grid_sample in float32 compute, because an exact 0 of a
warped score is a discontinuity. All live in this one file: Numba's on-disk cache notices changes of
a function's own file only. Arguments are checked by the caller; indices are not checked here.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

_HIGHEST_UINT8 = np.float32(255.0)


@njit(cache=True, nogil=True)
def _bilinear_row(
    theta: Float64Array,
    row: int,
    shape: tuple[int, int],
    cells: npt.NDArray[np.int32],
    weights: Float32Array,
) -> None:
    """Compute where the cells of one row of the ego's grid lie in an agent's map.

    Args:
        theta: (2, 3).
        row: row of the ego's grid.
        shape: (h, w) of both grids.
        cells: (w, 4), written: flat number of the four cells around.
        weights: (w, 4), written: their bilinear weights, 0 outside of the map (cell number 0).
    """
    height, width = shape
    y = (2.0 * row + 1.0) / height - 1.0
    one, half = np.float32(1.0), np.float32(0.5)
    for column in range(width):
        x = (2.0 * column + 1.0) / width - 1.0
        grid_x = np.float32(theta[0, 0] * x + theta[0, 1] * y + theta[0, 2])
        grid_y = np.float32(theta[1, 0] * x + theta[1, 1] * y + theta[1, 2])
        at_x = ((grid_x + one) * np.float32(width) - one) * half
        at_y = ((grid_y + one) * np.float32(height) - one) * half
        for corner in range(4):
            weights[column, corner] = np.float32(0.0)
            cells[column, corner] = 0
        if not (-one < at_x < width and -one < at_y < height):
            continue
        left, top = np.floor(at_x), np.floor(at_y)
        right_share, bottom_share = at_x - left, at_y - top
        left_share, top_share = left + one - at_x, top + one - at_y
        first_column, first_row = int(left), int(top)
        for corner in range(4):
            r, c = first_row + corner // 2, first_column + corner % 2
            if 0 <= r < height and 0 <= c < width:
                cells[column, corner] = r * width + c
                weights[column, corner] = (right_share if corner % 2 else left_share) * (
                    bottom_share if corner // 2 else top_share
                )


@njit(cache=True, nogil=True)
def _softmax_row(shares: Float32Array) -> None:
    """Replace warped scores (N, w) by their softmax over agents; an exact 0 stays 0."""
    agents, width = shares.shape
    for column in range(width):
        highest = np.float32(-np.inf)
        for agent in range(agents):
            if shares[agent, column] != 0.0 and shares[agent, column] > highest:
                highest = shares[agent, column]
        total = np.float32(0.0)
        for agent in range(agents):
            if shares[agent, column] != 0.0:
                shares[agent, column] = np.exp(shares[agent, column] - highest)
                total += shares[agent, column]
        if total > 0.0:
            for agent in range(agents):
                shares[agent, column] /= total


@njit(cache=True, nogil=True)
def _warp_row(
    scores: Float32Array,
    thetas: Float64Array,
    identity: npt.NDArray[np.bool_],
    row: int,
    cells: npt.NDArray[np.int32],
    weights: Float32Array,
    warped: Float32Array,
) -> None:
    """Taps of one ego row in every agent's map, and the warped scores.

    Args:
        scores: (N, h, w), before the warp.
        thetas: (N, 2, 3).
        identity: (N,), agents that need no interpolation.
        row: row of the ego's grid.
        cells: (N, w, 4), written, see _bilinear_row.
        weights: (N, w, 4), written.
        warped: (N, w), written.
    """
    agents, height, width = scores.shape
    for agent in range(agents):
        flat = scores[agent].reshape(height * width)
        if identity[agent]:
            for column in range(width):
                for corner in range(4):
                    cells[agent, column, corner] = row * width + column
                    weights[agent, column, corner] = np.float32(1.0 if corner == 0 else 0.0)
                warped[agent, column] = flat[row * width + column]
            continue
        _bilinear_row(thetas[agent], row, (height, width), cells[agent], weights[agent])
        for column in range(width):
            score = np.float32(0.0)
            for corner in range(4):
                score += flat[cells[agent, column, corner]] * weights[agent, column, corner]
            warped[agent, column] = score


@njit(cache=True, nogil=True)
def _sum_cell(
    features: npt.NDArray[Any],
    cells: npt.NDArray[np.int32],
    weights: Float32Array,
    shares: Float32Array,
    column: int,
    total: Float32Array,
) -> None:
    """Weighted sum over agents of one cell's warped features, into total (C,).

    Full indices instead of views of rows: views cost a reference count each.
    """
    for k in range(len(total)):
        total[k] = np.float32(0.0)
    for agent in range(len(features)):
        share = shares[agent, column]
        if share == 0.0:
            continue
        c0 = cells[agent, column, 0]
        if weights[agent, column, 0] == 1.0:
            for k in range(len(total)):
                total[k] += share * np.float32(features[agent, c0, k])
            continue
        c1, c2, c3 = cells[agent, column, 1], cells[agent, column, 2], cells[agent, column, 3]
        w0, w1 = share * weights[agent, column, 0], share * weights[agent, column, 1]
        w2, w3 = share * weights[agent, column, 2], share * weights[agent, column, 3]
        for k in range(len(total)):
            total[k] += (
                w0 * np.float32(features[agent, c0, k]) + w1 * np.float32(features[agent, c1, k])
            ) + (w2 * np.float32(features[agent, c2, k]) + w3 * np.float32(features[agent, c3, k]))


@njit(cache=True, nogil=True)
def _store_cell(
    total: Float32Array,
    gain: np.float32,
    quantized: bool,
    fused: npt.NDArray[Any],
    cell: int,
) -> None:
    """Scale total (C,) into fused (cells, C); ``quantized`` rounds half to even and saturates."""
    if quantized:
        for k in range(len(total)):
            value = np.rint(total[k] * gain)
            fused[cell, k] = np.int32(value if value < _HIGHEST_UINT8 else _HIGHEST_UINT8)
    else:
        for k in range(len(total)):
            fused[cell, k] = total[k] * gain


@njit(cache=True, nogil=True)
def fuse(
    features: npt.NDArray[Any],
    scores: Float32Array,
    thetas: Float64Array,
    identity: npt.NDArray[np.bool_],
    needed: npt.NDArray[np.bool_],
    rows: tuple[int, int],
    gain: np.float32,
    quantized: bool,
    fused: npt.NDArray[Any],
) -> None:
    """Fuse features (N, h * w, C) of the cells needed (h, w) in some rows into fused (cells, C)."""
    agents, _, width = scores.shape
    cells = np.empty((agents, width, 4), np.int32)
    weights = np.empty((agents, width, 4), np.float32)
    shares = np.empty((agents, width), np.float32)
    total = np.empty(features.shape[2], np.float32)
    done = 0
    for row in range(rows[0], rows[1]):
        if not needed[row].any():
            continue
        _warp_row(scores, thetas, identity, row, cells, weights, shares)
        _softmax_row(shares)
        for column in range(width):
            if needed[row, column]:
                _sum_cell(features, cells, weights, shares, column, total)
                _store_cell(total, gain, quantized, fused, done)
                done += 1


@njit(cache=True, nogil=True)
def highest_scores(
    scores: Float32Array, thetas: Float64Array, identity: npt.NDArray[np.bool_]
) -> Float32Array:
    """The highest of the agents' warped scores in every cell, (h, w)."""
    agents, height, width = scores.shape
    cells = np.empty((agents, width, 4), np.int32)
    weights = np.empty((agents, width, 4), np.float32)
    warped = np.empty((agents, width), np.float32)
    highest = np.empty((height, width), np.float32)
    for row in range(height):
        _warp_row(scores, thetas, identity, row, cells, weights, warped)
        for column in range(width):
            value = warped[0, column]
            for agent in range(1, agents):
                value = max(value, warped[agent, column])
            highest[row, column] = value
    return highest


@njit(cache=True, nogil=True)
def agent_shares(
    scores: Float32Array,
    thetas: Float64Array,
    identity: npt.NDArray[np.bool_],
    needed: npt.NDArray[np.bool_],
) -> Float32Array:
    """Every agent's share of the cells of the rows needed (h,), (N, h, w), elsewhere 0."""
    agents, height, width = scores.shape
    cells = np.empty((agents, width, 4), np.int32)
    weights = np.empty((agents, width, 4), np.float32)
    row_shares = np.empty((agents, width), np.float32)
    shares = np.zeros((agents, height, width), np.float32)
    for row in range(height):
        if not needed[row]:
            continue
        _warp_row(scores, thetas, identity, row, cells, weights, row_shares)
        _softmax_row(row_shares)
        for agent in range(agents):
            for column in range(width):
                shares[agent, row, column] = row_shares[agent, column]
    return shares
