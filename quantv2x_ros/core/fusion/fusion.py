# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fuses the agents' feature maps in the ego's grid (docs/network.md, "Pyramid fusion").

Each agent's features and occupancy score are warped into the ego's grid (bilinear, zero padding,
``align_corners=False``); a cell of the result is the agents' sum weighted by a softmax over the
warped scores that are not exactly 0. Pyramid fusion is that of HEAL (arXiv 2401.13964), used by
QuantV2X (arXiv 2509.03704).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.fusion import fusion_kernels

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
FeatureArray = npt.NDArray[np.uint8] | Float32Array

_IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


class FusionError(ValueError):
    """Maps, scores or transforms that do not fit each other or are not finite."""


def _stack(arrays: Sequence[npt.NDArray[Any]] | npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return one contiguous array of all agents; without a copy where it is one already."""
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
    """Return stacked scores, thetas, and which thetas are the identity; or raise FusionError."""
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


def _check_features(
    features: Sequence[FeatureArray] | FeatureArray,
    scores: Sequence[Float32Array] | Float32Array,
    thetas: Float64Array,
    scale_in: float,
    scale_out: float,
) -> tuple[npt.NDArray[Any], tuple[Float32Array, Float64Array, npt.NDArray[np.bool_]], np.float32]:
    """Stacked features, what _check_geometry gives, and the gain of the result; or FusionError."""
    geometry = _check_geometry(scores, thetas)
    stacked = _stack(features, "features")
    if stacked.ndim != 4 or stacked.shape[:3] != geometry[0].shape:
        raise FusionError(
            f"features of shape {stacked.shape} do not fit scores of {geometry[0].shape}: "
            "expected (N, h, w, C) and (N, h, w)"
        )
    if stacked.dtype not in (np.uint8, np.float32):
        raise FusionError(f"features must be uint8 or float32, got {stacked.dtype}")
    if not (0.0 < scale_in < np.inf and 0.0 < scale_out < np.inf):
        raise FusionError(f"scales must be positive and finite, got {scale_in} and {scale_out}")
    return stacked, geometry, np.float32(scale_in / scale_out)


def fuse_scale(
    features: Sequence[FeatureArray] | FeatureArray,
    scores: Sequence[Float32Array] | Float32Array,
    thetas: Float64Array,
    *,
    scale_in: float = 1.0,
    scale_out: float = 1.0,
) -> FeatureArray:
    """Warp and fuse one pyramid scale of all agents.

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
    first = np.asarray(features[0]) if len(features) else np.empty((0, 0, 0))
    everywhere = np.ones(first.shape[:2], np.bool_)
    fused = fuse_cells(features, scores, thetas, everywhere, scale_in=scale_in, scale_out=scale_out)
    return fused.reshape(*first.shape)


def fuse_cells(
    features: Sequence[FeatureArray] | FeatureArray,
    scores: Sequence[Float32Array] | Float32Array,
    thetas: Float64Array,
    needed: npt.NDArray[np.bool_],
    *,
    scale_in: float = 1.0,
    scale_out: float = 1.0,
) -> FeatureArray:
    """Warp and fuse some cells of a pyramid scale: what fuse_scale gives there, bit for bit.

    Args:
        features: as for fuse_scale, like what is not named here.
        scores: per agent (h, w).
        thetas: (N, 2, 3).
        needed: (h, w) bool.
        scale_in: value of one step of features.
        scale_out: value of one step of the result.

    Returns:
        (cells, C) in the features' dtype, the cells in order of their rows, then columns.
    """
    stacked, geometry, gain = _check_features(features, scores, thetas, scale_in, scale_out)
    agents, height, width, channels = stacked.shape
    if needed.shape != (height, width) or needed.dtype != np.bool_:
        raise FusionError(
            f"needed must be bool of shape ({height}, {width}), got {needed.dtype} of "
            f"{needed.shape}"
        )
    fused = np.empty((int(np.count_nonzero(needed)), channels), stacked.dtype)
    flat = stacked.reshape(agents, height * width, channels)
    fusion_kernels.fuse(flat, *geometry, needed, gain, stacked.dtype == np.uint8, fused)
    return fused


def highest_scores(
    scores: Sequence[Float32Array] | Float32Array, thetas: Float64Array
) -> Float32Array:
    """The highest of the agents' warped scores in each cell of the fused map, (h, w) float32.

    0 where no agent reaches. Arguments as for fuse_scale.
    """
    highest: Float32Array = fusion_kernels.highest_scores(*_check_geometry(scores, thetas))
    return highest


def agent_shares(
    scores: Sequence[Float32Array] | Float32Array, thetas: Float64Array
) -> Float32Array:
    """Return each agent's weight in each cell of the fused map, (N, h, w) float32.

    They sum to 1 over agents, or to 0 where no agent reaches the cell. Arguments as for fuse_scale.
    """
    shares: Float32Array = fusion_kernels.agent_shares(*_check_geometry(scores, thetas))
    return shares


def mask_scores(scores: Float32Array, received: npt.NDArray[np.bool_]) -> Float32Array:
    """Return the scores of a partly received sweep: 0 in cells that a missing cell reaches into.

    Args:
        scores: (h, w) float32 of one pyramid scale.
        received: (H, W) bool, cells of the index map that arrived; H and W are multiples of h, w.

    Returns:
        (h, w) float32; ``scores`` itself where everything arrived.
    """
    height, width = scores.shape
    if (
        received.ndim != 2
        or received.dtype != np.bool_
        or received.shape[0] % height
        or received.shape[1] % width
    ):
        raise FusionError(
            f"received must be bool with multiples of {height} rows and {width} columns, "
            f"got {received.dtype} of {received.shape}"
        )
    if received.all():
        return scores
    whole = received.reshape(height, -1, width, received.shape[1] // width).all(axis=(1, 3))
    return np.where(whole, scores, np.float32(0.0))
