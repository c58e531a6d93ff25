# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Indices of many features at a time, for core.codebook: on folded tables, in threads."""

from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core import codebook_kernels
from quantv2x_ros.core.folding import CodebookError

Float32Array = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class RowEncoder:
    """Chooses the codes of one map's cells.

    Attributes:
        features: (cells, C) uint8 or float32.
        scale: what they are multiplied with.
        weight: (C, planes * k) float32, and
        bias: (planes * k,) float32: ``scale * features @ weight + bias`` scores the codes, before
            the earlier levels' choices are known.
        lookups: what these add, see `ResidualCodebook.encode_lookups`.
        planes: indices of a cell.
        segments: of a level.
    """

    features: npt.NDArray[Any]
    scale: float
    weight: Float32Array
    bias: Float32Array
    lookups: Float32Array
    planes: int
    segments: int

    def rows(
        self, rows: npt.NDArray[np.int64], pool: Executor | None = None, parts: int = 1
    ) -> IndexArray:
        """Return the indices (planes, rows) of some cells.

        Args:
            rows: which, int64.
            pool: threads that share the work; None for the caller's alone.
            parts: into how many parts it is cut for them.

        Raises:
            CodebookError: features that are not finite.
        """
        if pool is None or parts < 2:
            return self._rows(rows)
        jobs = [pool.submit(self._rows, part) for part in np.array_split(rows, parts)]
        return np.concatenate([job.result() for job in jobs], axis=1)

    def one(self, feature: npt.NDArray[Any]) -> IndexArray:
        """Return the indices (planes, 1) of a feature (C,) as if it were one of the map's."""
        return replace(self, features=feature[None])._rows(np.zeros(1, np.int64))

    def _rows(self, rows: npt.NDArray[np.int64]) -> IndexArray:
        indices = np.empty((self.planes, len(rows)), np.uint8)
        failed = codebook_kernels.encode_rows(
            np.ascontiguousarray(self.features),
            np.float32(self.scale),
            rows,
            self.weight,
            self.bias,
            self.lookups,
            self.segments,
            indices,
        )
        if failed:
            raise CodebookError(f"{failed} of {len(rows)} cells have features that are not finite")
        return indices
