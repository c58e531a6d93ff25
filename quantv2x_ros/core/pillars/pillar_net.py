# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pillar feature network: pillars to a scattered map (docs/network.md, "Pillar features")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.pillars import pillars as pillar_kernels
from quantv2x_ros.core.pillars.pillars import Float32, Int32, PillarGrouper, Pillars, check_points

PFN_EPSILON = 1e-3


@dataclass(frozen=True)
class PillarWeights:
    """The pillar feature network with its BatchNorm folded in.

    Attributes:
        linear: (C, 10) float32; columns x, y, z, intensity, offset from the pillar's mean, offset
            from the pillar's centre.
        bias: (C,) float32.
    """

    linear: Float32
    bias: Float32

    def __post_init__(self) -> None:
        """Validate shapes and values."""
        if self.linear.ndim != 2 or self.linear.shape[1] != 10:
            raise ValueError(f"pillar weights: got shape {self.linear.shape}, expected (C, 10)")
        if self.bias.shape != self.linear.shape[:1]:
            raise ValueError(
                f"pillar bias: got shape {self.bias.shape}, expected {self.linear.shape[:1]}"
            )
        if not (np.isfinite(self.linear).all() and np.isfinite(self.bias).all()):
            raise ValueError("pillar weights: not all values are finite; export the bundle again")

    @property
    def channels(self) -> int:
        """Number of output channels C."""
        return int(self.linear.shape[0])

    @classmethod
    def from_layers(
        cls, state: Mapping[str, npt.NDArray[np.generic]], prefix: str, epsilon: float = PFN_EPSILON
    ) -> PillarWeights:
        """Fold a linear layer and its BatchNorm, in float64.

        Args:
            state: name to array; ``<prefix>linear.weight`` (C, 10) and ``<prefix>norm.*`` (C,).
            prefix: for the published naming ``encoder_m1.pillar_vfe.pfn_layers.0.``.
            epsilon: epsilon of the BatchNorm.

        Raises:
            KeyError: for a missing tensor.
        """
        weight = np.asarray(state[prefix + "linear.weight"], dtype=np.float64)
        gamma = np.asarray(state[prefix + "norm.weight"], dtype=np.float64)
        beta = np.asarray(state[prefix + "norm.bias"], dtype=np.float64)
        mean = np.asarray(state[prefix + "norm.running_mean"], dtype=np.float64)
        variance = np.asarray(state[prefix + "norm.running_var"], dtype=np.float64)
        scale = gamma / np.sqrt(variance + epsilon)
        return cls(
            linear=(weight * scale[:, None]).astype(np.float32),
            bias=(beta - mean * scale).astype(np.float32),
        )


@dataclass(frozen=True)
class PillarMap:
    """Pillar features scattered into the grid.

    Attributes:
        features: (rows, columns, C), float32, or uint8 of value / scale. A view of the network's
            workspace: valid until its next call.
        pillars: number of pillars.
        points: number of points kept.
    """

    features: npt.NDArray[np.uint8] | Float32
    pillars: int
    points: int


class PillarNet:
    """The pillar feature network: points to a scattered BEV map.

    Written for each point as its offset from the pillar's centre, the ten input features are
    affine in four numbers plus a constant of the pillar, so the maximum over a pillar's points
    needs four products a channel, exactly. A pillar that is not full also takes the padding's
    constant relu(bias) into its maximum (docs/network.md, "Pillar features").

    Args:
        weights: folded weights.
        grid: the grid.
        scale: None for a float32 map; else the map is uint8 of round(value / scale), clipped.
    """

    def __init__(self, weights: PillarWeights, grid: BevGrid, scale: float | None = None) -> None:
        if scale is not None and not 0 < scale < np.inf:
            raise ValueError(f"pillar map scale: got {scale}, expected a positive number or None")
        self.weights = weights
        self.grid = grid
        self.scale = scale
        self.grouper = PillarGrouper(grid)
        xyz, intensity = weights.linear[:, 0:3], weights.linear[:, 3:4]
        self._mean_weight = weights.linear[:, 4:7].T.copy()
        self._xyz_weight = xyz.T.copy()
        merged = xyz + weights.linear[:, 4:7] + weights.linear[:, 7:10]
        self._local = np.ascontiguousarray(np.concatenate([merged, intensity], axis=1).T)
        rows, columns = grid.pillar_shape
        kind = np.float32 if scale is None else np.uint8
        self._map = np.zeros((rows * columns, weights.channels), dtype=kind)
        self._used = np.empty(0, dtype=np.int32)

    def __call__(self, points: npt.ArrayLike) -> PillarMap:
        """Encode (P, 4) points; an empty cloud, or none in range, gives a map of zeros.

        Raises:
            ValueError: for another shape.
        """
        cloud = check_points(points)
        pillars = self.grouper(cloud)
        pillar_kernels.clear(self._used, self._map)
        steps_per_unit = 0.0 if self.scale is None else 1.0 / self.scale
        self._write(cloud, pillars, pillars.cells, steps_per_unit, self._map)
        self._used = pillars.cells.copy()
        rows, columns = self.grid.pillar_shape
        return PillarMap(
            features=self._map.reshape(rows, columns, -1),
            pillars=len(pillars.cells),
            points=len(pillars.point_index),
        )

    def pillar_features(self, cloud: Float32, pillars: Pillars) -> Float32:
        """Return the features (M, C) float32 of grouped pillars."""
        values = np.empty((len(pillars.cells), self.weights.channels), dtype=np.float32)
        self._write(cloud, pillars, np.arange(len(values), dtype=np.int32), 0.0, values)
        return values

    def _write(
        self,
        cloud: Float32,
        pillars: Pillars,
        rows: Int32,
        steps_per_unit: float,
        out: npt.NDArray[np.generic],
    ) -> None:
        """Write the pillars' features into some rows of ``out``."""
        ends = np.cumsum(pillars.counts, dtype=np.int32) - pillars.counts
        order = np.empty_like(pillars.point_index)
        pillar_kernels.by_pillar(pillars.point_pillar, pillars.point_index, ends, order)
        pillar_kernels.fill(
            cloud,
            order,
            ends,
            self.grouper.centres(pillars.cells),
            pillars.means,
            self._local,
            self._xyz_weight,
            self._mean_weight,
            self.weights.bias,
            self.grouper.max_points,
            np.float32(steps_per_unit),
            rows,
            out,
        )
