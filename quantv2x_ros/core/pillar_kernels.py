# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numba kernels of core.pillar_net; arguments are checked by the caller."""

from __future__ import annotations

import numpy as np

from quantv2x_ros.core.compiled import njit


@njit(cache=True, nogil=True, fastmath=True)
def fill(  # type: ignore[no-untyped-def]
    points,
    order,
    ends,
    centres,
    means,
    local_weight,
    xyz_weight,
    mean_weight,
    bias,
    max_points,
    levels_per_unit,
    rows,
    out,
):
    """Write the feature of pillar p into out[rows[p]].

    Pillar by pillar, so that its maximum stays in the first-level cache; ``order`` holds the
    points of pillar p up to ``ends[p]``. ``levels_per_unit`` is 0 where ``out`` is not quantized.
    """
    channels = bias.shape[0]
    best = np.empty(channels, np.float32)
    first = 0
    for p in range(ends.shape[0]):
        cx, cy, cz = centres[p, 0], centres[p, 1], centres[p, 2]
        mx, my, mz = means[p, 0] - cx, means[p, 1] - cy, means[p, 2] - cz
        for c in range(channels):
            best[c] = np.float32(-3.4e38)
        for k in range(first, ends[p]):
            i = order[k]
            x, y, z = points[i, 0] - cx, points[i, 1] - cy, points[i, 2] - cz
            intensity = points[i, 3]
            for c in range(channels):
                value = (
                    x * local_weight[0, c]
                    + y * local_weight[1, c]
                    + z * local_weight[2, c]
                    + intensity * local_weight[3, c]
                )
                best[c] = max(best[c], value)
        full = ends[p] - first >= max_points
        first = ends[p]
        row = rows[p]
        for c in range(channels):
            value = best[c] + (
                (cx * xyz_weight[0, c] + cy * xyz_weight[1, c] + cz * xyz_weight[2, c])
                - (mx * mean_weight[0, c] + my * mean_weight[1, c] + mz * mean_weight[2, c])
                + bias[c]
            )
            floor = np.float32(0.0) if full else max(bias[c], np.float32(0.0))
            best[c] = max(value, floor)
        if levels_per_unit > 0:
            # values are >= 0, so adding a half and truncating rounds to the nearest
            for c in range(channels):
                level = best[c] * levels_per_unit + np.float32(0.5)
                out[row, c] = np.int32(min(level, np.float32(255.0)))
        else:
            for c in range(channels):
                out[row, c] = best[c]


@njit(cache=True, nogil=True)
def by_pillar(point_pillar, point_index, ends, order):  # type: ignore[no-untyped-def]
    """Sort points by pillar into ``order``; ``ends`` holds where each pillar's begin, then end."""
    for k in range(point_pillar.shape[0]):
        pillar = point_pillar[k]
        order[ends[pillar]] = point_index[k]
        ends[pillar] += 1


@njit(cache=True, nogil=True)
def clear(rows, out):  # type: ignore[no-untyped-def]
    """Set some rows of out to zero."""
    for row in rows:
        for c in range(out.shape[1]):
            out[row, c] = 0
