# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fuses the agents' feature maps in the ego's grid (NETWORK.md section 4).

Each agent's features and occupancy score are warped into the ego's grid (bilinear, zero padding,
``align_corners=False``); a cell of the result is the agents' sum weighted by a softmax over the
warped scores that are not exactly 0. Pyramid fusion is that of HEAL (arXiv 2401.13964), used by
QuantV2X (arXiv 2509.03704).

The kernels keep to what affine_grid in float64 and grid_sample in float32 compute, because an exact
0 is a discontinuity. All of them live in this file: Numba's on-disk cache notices changes of a
function's own file only.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
FeatureArray = npt.NDArray[np.uint8] | Float32Array

_IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
_MAX_LEVEL = 255.0


class FusionError(ValueError):
    """Maps, scores or transforms that do not fit each other or are not finite."""


@njit(cache=True, nogil=True)
def _bilinear_row(
    theta: Float64Array,
    row: int,
    shape: tuple[int, int],
    cells: npt.NDArray[np.int32],
    weights: Float32Array,
) -> None:
    """Where the cells of one ego row lie in an agent's map.

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
        weights[column] = np.float32(0.0)
        cells[column] = 0
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
def _weigh_row(
    scores: Float32Array,
    thetas: Float64Array,
    identity: npt.NDArray[np.bool_],
    row: int,
    cells: npt.NDArray[np.int32],
    weights: Float32Array,
    shares: Float32Array,
) -> None:
    """Taps of one ego row in every agent's map and the agents' shares of each cell.

    Args:
        scores: (N, h, w), before the warp.
        thetas: (N, 2, 3).
        identity: (N,), agents that need no interpolation.
        row: row of the ego's grid.
        cells: (N, w, 4), written, see _bilinear_row.
        weights: (N, w, 4), written.
        shares: (N, w), written: softmax over agents; 0 where the warped score is exactly 0.
    """
    agents, height, width = scores.shape
    for agent in range(agents):
        flat = scores[agent].reshape(height * width)
        if identity[agent]:
            weights[agent] = np.float32(0.0)
            for column in range(width):
                cells[agent, column] = row * width + column
                weights[agent, column, 0] = np.float32(1.0)
                shares[agent, column] = flat[row * width + column]
            continue
        _bilinear_row(thetas[agent], row, (height, width), cells[agent], weights[agent])
        for column in range(width):
            score = np.float32(0.0)
            for corner in range(4):
                score += flat[cells[agent, column, corner]] * weights[agent, column, corner]
            shares[agent, column] = score
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
def _sum_row(
    features: npt.NDArray[Any],
    cells: npt.NDArray[np.int32],
    weights: Float32Array,
    shares: Float32Array,
    column: int,
    total: Float32Array,
) -> None:
    """Weighted sum over agents of one cell's warped features, into total (C,)."""
    total[:] = np.float32(0.0)
    for agent in range(len(features)):
        share = shares[agent, column]
        if share == 0.0:
            continue
        if weights[agent, column, 0] == 1.0:
            only = features[agent, cells[agent, column, 0]]
            for k in range(len(total)):
                total[k] += share * np.float32(only[k])
            continue
        w0, w1 = share * weights[agent, column, 0], share * weights[agent, column, 1]
        w2, w3 = share * weights[agent, column, 2], share * weights[agent, column, 3]
        f0, f1 = features[agent, cells[agent, column, 0]], features[agent, cells[agent, column, 1]]
        f2, f3 = features[agent, cells[agent, column, 2]], features[agent, cells[agent, column, 3]]
        for k in range(len(total)):
            total[k] += (w0 * np.float32(f0[k]) + w1 * np.float32(f1[k])) + (
                w2 * np.float32(f2[k]) + w3 * np.float32(f3[k])
            )


@njit(cache=True, nogil=True)
def _fuse(
    features: npt.NDArray[Any],
    scores: Float32Array,
    thetas: Float64Array,
    identity: npt.NDArray[np.bool_],
    gain: np.float32,
    quantized: bool,
    fused: npt.NDArray[Any],
) -> None:
    """Fuse features (N, h * w, C) into fused (h, w, C); ``quantized`` rounds and clips to uint8."""
    agents, height, width = scores.shape
    cells = np.empty((agents, width, 4), np.int32)
    weights = np.empty((agents, width, 4), np.float32)
    shares = np.empty((agents, width), np.float32)
    total = np.empty(features.shape[2], np.float32)
    highest = np.float32(_MAX_LEVEL)
    for row in range(height):
        _weigh_row(scores, thetas, identity, row, cells, weights, shares)
        for column in range(width):
            _sum_row(features, cells, weights, shares, column, total)
            target = fused[row, column]
            if quantized:
                for k in range(len(total)):
                    target[k] = min(np.rint(total[k] * gain), highest)
            else:
                for k in range(len(total)):
                    target[k] = total[k] * gain


@njit(cache=True, nogil=True)
def _shares(
    scores: Float32Array, thetas: Float64Array, identity: npt.NDArray[np.bool_]
) -> Float32Array:
    """Every agent's share of every cell, (N, h, w)."""
    agents, height, width = scores.shape
    cells = np.empty((agents, width, 4), np.int32)
    weights = np.empty((agents, width, 4), np.float32)
    shares = np.empty((height, agents, width), np.float32)
    for row in range(height):
        _weigh_row(scores, thetas, identity, row, cells, weights, shares[row])
    return shares.transpose(1, 0, 2).copy()


def _stack(arrays: Sequence[npt.NDArray[Any]] | npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """One contiguous array of all agents; no copy where it is one already."""
    if len(arrays) == 0:
        raise FusionError(f"{name} has no agent: at least the ego is needed")
    if isinstance(arrays, np.ndarray):
        return np.ascontiguousarray(arrays)
    first = arrays[0]
    for agent, array in enumerate(arrays):
        if array.shape != first.shape or array.dtype != first.dtype:
            raise FusionError(
                f"{name} of agent {agent} is {array.dtype} of {array.shape}, but the first agent's "
                f"is {first.dtype} of {first.shape}"
            )
    return np.ascontiguousarray(first[None]) if len(arrays) == 1 else np.stack(arrays)


def _check_geometry(
    scores: Sequence[Float32Array] | Float32Array, thetas: Float64Array
) -> tuple[Float32Array, Float64Array, npt.NDArray[np.bool_]]:
    """Stacked scores, thetas and which thetas are the identity; FusionError where they are wrong."""
    stacked = _stack(scores, "scores")
    if stacked.ndim != 3 or stacked.dtype != np.float32:
        raise FusionError(
            f"scores must be float32 of shape (h, w) for each agent, got {stacked.dtype} "
            f"of {stacked.shape[1:]}"
        )
    if not np.isfinite(stacked).all():
        raise FusionError("scores have values that are not finite")
    thetas = np.ascontiguousarray(thetas, dtype=np.float64)
    if thetas.shape != (len(stacked), 2, 3) or not np.isfinite(thetas).all():
        raise FusionError(
            f"thetas must be finite and of shape ({len(stacked)}, 2, 3), got {thetas.shape}"
        )
    return stacked, thetas, (thetas == _IDENTITY).all(axis=(1, 2))


def fuse_level(
    features: Sequence[FeatureArray] | FeatureArray,
    scores: Sequence[Float32Array] | Float32Array,
    thetas: Float64Array,
    *,
    scale_in: float = 1.0,
    scale_out: float = 1.0,
) -> FeatureArray:
    """Warp and fuse one pyramid level of all agents.

    Args:
        features: per agent (h, w, C), all uint8 or all float32; an (N, h, w, C) array saves a copy.
        scores: per agent (h, w) float32, sigmoid(occupancy) + 1e-4 in the agent's own frame. A cell
            of exactly 0 was not received and takes no part (see mask_scores).
        thetas: (N, 2, 3), see pose.warp_theta; exactly the identity skips interpolation.
        scale_in: value of one step of features.
        scale_out: value of one step of the result.

    Returns:
        (h, w, C) in the features' dtype; 0 where no agent reaches. uint8 is rounded half to even
        and saturates at 255.

    Raises:
        FusionError: shapes, dtypes or scales do not fit, or a value is not finite.
    """
    stacked_scores, thetas, identity = _check_geometry(scores, thetas)
    stacked = _stack(features, "features")
    if stacked.ndim != 4 or stacked.shape[:3] != stacked_scores.shape:
        raise FusionError(
            f"features of shape {stacked.shape} do not fit scores of {stacked_scores.shape}: "
            "expected (N, h, w, C) and (N, h, w)"
        )
    if stacked.dtype not in (np.uint8, np.float32):
        raise FusionError(f"features must be uint8 or float32, got {stacked.dtype}")
    if not (0.0 < scale_in < np.inf and 0.0 < scale_out < np.inf):
        raise FusionError(f"scales must be positive and finite, got {scale_in} and {scale_out}")
    agents, height, width, channels = stacked.shape
    fused = np.empty((height, width, channels), stacked.dtype)
    _fuse(
        stacked.reshape(agents, height * width, channels),
        stacked_scores,
        thetas,
        identity,
        np.float32(scale_in / scale_out),
        stacked.dtype == np.uint8,
        fused,
    )
    return fused


def agent_shares(
    scores: Sequence[Float32Array] | Float32Array, thetas: Float64Array
) -> Float32Array:
    """Each agent's weight in each cell of the fused map, (N, h, w) float32.

    They sum to 1 over agents, or to 0 where no agent reaches the cell. Arguments as for fuse_level.
    """
    shares: Float32Array = _shares(*_check_geometry(scores, thetas))
    return shares


def mask_scores(scores: Float32Array, received: npt.NDArray[np.bool_]) -> Float32Array:
    """Scores of a partly received frame: exactly 0 in every row that a missing row reaches into.

    Args:
        scores: (h, w) float32 of one pyramid level.
        received: (H,) bool, rows of the index map that arrived; H is a multiple of h.

    Returns:
        (h, w) float32; ``scores`` itself where everything arrived.
    """
    if received.ndim != 1 or received.dtype != np.bool_ or len(received) % len(scores):
        raise FusionError(
            f"received must be bool with a multiple of {len(scores)} rows, "
            f"got {received.dtype} of {received.shape}"
        )
    if received.all():
        return scores
    whole = received.reshape(len(scores), -1).all(axis=1)
    return np.where(whole[:, None], scores, np.float32(0.0))
