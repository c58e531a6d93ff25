# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bottleneck and group normalisation before a codebook (ReVQom, arXiv 2509.21464).

Normalising a map needs its mean and variance; with these known it is affine, cell by cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.codebook.folding import CodebookError

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

_BLOCK_ROWS = 8192


@dataclass(frozen=True, eq=False)
class GroupNormalisation:
    """Reduces C channels to d, and normalises groups of them over a map.

    Attributes:
        weight: (C, d) float32.
        bias: (d,) float32.
        gain: (d,) float32, of the normalised channels.
        shift: (d,) float32.
        groups: groups of d / groups channels that share a mean and a variance.
        epsilon: added to the variance.

    Raises:
        CodebookError: shapes or dtypes do not fit each other, or a value is not finite.
    """

    weight: Float32Array
    bias: Float32Array
    gain: Float32Array
    shift: Float32Array
    groups: int
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or 0 in self.weight.shape:
            raise CodebookError(f"weight must be (C, d), got {self.weight.shape}")
        width = self.weight.shape[1]
        for name, shape in (
            ("weight", self.weight.shape),
            ("bias", (width,)),
            ("gain", (width,)),
            ("shift", (width,)),
        ):
            array = getattr(self, name)
            if array.shape != shape or array.dtype != np.float32 or not np.isfinite(array).all():
                raise CodebookError(
                    f"{name} must be finite float32 of shape {shape}, got {array.dtype} of"
                    f" {array.shape}"
                )
        if self.groups < 1 or width % self.groups or not self.epsilon > 0.0:
            raise CodebookError(
                f"{width} channels do not fall into {self.groups} groups, or epsilon"
                f" {self.epsilon} is not positive"
            )

    @property
    def width(self) -> int:
        """Channels d after the bottleneck."""
        return self.weight.shape[1]

    def affine(
        self, rows: npt.NDArray[Any], scale: float = 1.0
    ) -> tuple[Float64Array, Float64Array]:
        """Return the matrix (C, d) and the offset (d,) that normalise one map's cells.

        Args:
            rows: (cells, C), all cells of the map, of any real dtype.
            scale: what they are multiplied with first; it is not part of the matrix.
        """
        total = np.zeros(self.width)
        squares = np.zeros(self.width)
        for start in range(0, len(rows), _BLOCK_ROWS):
            block = rows[start : start + _BLOCK_ROWS].astype(np.float32) * np.float32(scale)
            reduced = (block @ self.weight + self.bias).astype(np.float64)
            total += reduced.sum(axis=0)
            squares += (reduced**2).sum(axis=0)
        members = self.width // self.groups
        count = max(1, len(rows)) * members
        mean = total.reshape(self.groups, -1).sum(axis=1) / count
        variance = squares.reshape(self.groups, -1).sum(axis=1) / count - mean**2
        factor = np.repeat(1.0 / np.sqrt(np.maximum(variance, 0.0) + self.epsilon), members)
        gain = self.gain * factor
        offset = (self.bias - np.repeat(mean, members)) * gain + self.shift
        return self.weight * gain, offset
