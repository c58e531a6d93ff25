# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Clouds of single things, seen from the street."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantv2x_ros.data.simulator.primitives import PartSet
from quantv2x_ros.data.simulator.raycast import cast_sweep

FloatArray = npt.NDArray[np.float64]
ELEVATIONS = np.deg2rad(np.linspace(-25, 15, 64))
BURIED = np.array([[-100.0, 0.0, 0.0, 0.0]])


def seen_from(
    parts: PartSet, x: float, y: float, z: float = 1.9, *, salt: int = 3
) -> tuple[FloatArray, npt.NDArray[np.int32]]:
    """Return (P, 3) returns from parts in their frame, and the part that each comes from."""
    columns, pose = 1800, np.eye(4)
    pose[:3, 3] = (x, y, z)
    depth, part, _ = cast_sweep(
        parts,
        pose,
        BURIED,
        elevations=ELEVATIONS,
        azimuth_offsets=np.zeros(len(ELEVATIONS)),
        columns=columns,
        phase=0.0,
        max_range=80.0,
        roughness=0.0,
        salt=salt,
    )
    beam, column = np.nonzero(part >= 0)
    flat = depth[beam, column] * np.cos(ELEVATIONS[beam])
    turn = column * 2 * np.pi / columns
    height = depth[beam, column] * np.sin(ELEVATIONS[beam])
    local = np.stack([flat * np.cos(turn), flat * np.sin(turn), height], 1)
    return local + pose[:3, 3], part[beam, column]
