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


class ScaleFusion:
    """Warps and fuses one pyramid scale of all agents, in parts that threads may share.

    Args:
        features: per agent (h, w, C), all uint8 or all float32; an (N, h, w, C) array saves a copy.
        scores: per agent (h, w) float32, sigmoid(occupancy) + 1e-4 in the agent's own frame. A cell
            of exactly 0 was not received and takes no part (see mask_scores).
        thetas: (N, 2, 3), see pose.warp_theta; exactly the identity skips interpolation.
        needed: (h, w) bool, cells to fuse; None for all.
        scale_in: value of one step of features.
        scale_out: value of one step of the result.

    Attributes:
        cells: (cells, C) in the features' dtype, in order of their rows, then columns; 0 where no
            agent reaches. uint8 is rounded half to even and saturates at 255. Written by `fuse`.

    Raises:
        FusionError: shapes, dtypes or scales do not fit, or a value is not finite.
    """

    def __init__(
        self,
        features: Sequence[FeatureArray] | FeatureArray,
        scores: Sequence[Float32Array] | Float32Array,
        thetas: Float64Array,
        needed: npt.NDArray[np.bool_] | None = None,
        *,
        scale_in: float = 1.0,
        scale_out: float = 1.0,
    ) -> None:
        self._geometry = _check_geometry(scores, thetas)
        stacked = _check_features(features, self._geometry[0].shape)
        if not (0.0 < scale_in < np.inf and 0.0 < scale_out < np.inf):
            raise FusionError(f"scales must be positive and finite, got {scale_in} and {scale_out}")
        agents, height, width, channels = stacked.shape
        if needed is None:
            needed = np.ones((height, width), np.bool_)
        if needed.shape != (height, width) or needed.dtype != np.bool_:
            raise FusionError(
                f"needed must be bool of shape ({height}, {width}), got {needed.dtype} of "
                f"{needed.shape}"
            )
        self._features = stacked.reshape(agents, height * width, channels)
        self._needed = needed
        self._gain = np.float32(scale_in / scale_out)
        # number of each row's first cell
        self._first = np.concatenate([[0], np.count_nonzero(needed, axis=1).cumsum()])
        self.cells: FeatureArray = np.empty((int(self._first[-1]), channels), stacked.dtype)

    def fuse(self, part: int = 0, parts: int = 1) -> None:
        """Fuse the cells of one of so many parts of the map's rows."""
        height = len(self._needed)
        rows = (height * part // parts, height * (part + 1) // parts)
        made = self.cells[self._first[rows[0]] : self._first[rows[1]]]
        quantized = self.cells.dtype == np.uint8
        fusion_kernels.fuse(
            self._features, *self._geometry, self._needed, rows, self._gain, quantized, made
        )


def _check_features(
    features: Sequence[FeatureArray] | FeatureArray, shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    """Stacked features (N, h, w, C) for scores of a shape (N, h, w); or FusionError."""
    stacked = _stack(features, "features")
    if stacked.ndim != 4 or stacked.shape[:3] != shape:
        raise FusionError(
            f"features of shape {stacked.shape} do not fit scores of {shape}: "
            "expected (N, h, w, C) and (N, h, w)"
        )
    if stacked.dtype not in (np.uint8, np.float32):
        raise FusionError(f"features must be uint8 or float32, got {stacked.dtype}")
    return stacked


def fuse_scale(
    features: Sequence[FeatureArray] | FeatureArray,
    scores: Sequence[Float32Array] | Float32Array,
    thetas: Float64Array,
    *,
    scale_in: float = 1.0,
    scale_out: float = 1.0,
) -> FeatureArray:
    """Warp and fuse one pyramid scale of all agents, (h, w, C); see ScaleFusion."""
    scale = ScaleFusion(features, scores, thetas, scale_in=scale_in, scale_out=scale_out)
    scale.fuse()
    return scale.cells.reshape(np.shape(features[0]))


def fuse_cells(
    features: Sequence[FeatureArray] | FeatureArray,
    scores: Sequence[Float32Array] | Float32Array,
    thetas: Float64Array,
    needed: npt.NDArray[np.bool_],
    *,
    scale_in: float = 1.0,
    scale_out: float = 1.0,
) -> FeatureArray:
    """Warp and fuse some cells of a scale, (cells, C): what fuse_scale gives there, bit for bit."""
    scale = ScaleFusion(features, scores, thetas, needed, scale_in=scale_in, scale_out=scale_out)
    scale.fuse()
    return scale.cells


def highest_scores(
    scores: Sequence[Float32Array] | Float32Array, thetas: Float64Array
) -> Float32Array:
    """The highest of the agents' warped scores in each cell of the fused map, (h, w) float32.

    0 where no agent reaches. Arguments as for ScaleFusion.
    """
    highest: Float32Array = fusion_kernels.highest_scores(*_check_geometry(scores, thetas))
    return highest


def agent_shares(
    scores: Sequence[Float32Array] | Float32Array,
    thetas: Float64Array,
    rows: npt.NDArray[np.int64] | None = None,
) -> Float32Array:
    """Return each agent's weight in each cell of the fused map, (N, h, w) float32.

    They sum to 1 over agents, or to 0 where no agent reaches the cell.

    Args:
        scores: as for ScaleFusion.
        thetas: (N, 2, 3).
        rows: numbers of the rows to compute, in any order; 0 elsewhere. None computes all.

    Raises:
        FusionError: as for ScaleFusion.
    """
    geometry = _check_geometry(scores, thetas)
    height = geometry[0].shape[1]
    needed = np.full(height, rows is None)
    if rows is not None:
        needed[rows] = True
    shares: Float32Array = fusion_kernels.agent_shares(*geometry, needed)
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
