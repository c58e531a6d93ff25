# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a lossy link leaves of an index map: its tiles, lost one by one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.assembly import AssembledFrame, FrameAssembler
from quantv2x_ros.core.tiles import TilePlace


def lose_tiles(
    indices: npt.NDArray[np.uint8],
    background: npt.NDArray[np.uint8],
    *,
    tiles: int,
    loss: float,
    rng: np.random.Generator,
) -> AssembledFrame | None:
    """Send a map as bands of rows and put together what arrives, as a receiver does.

    Args:
        indices: (planes, H, W) uint8.
        background: (planes,) uint8, the codes that fill holes.
        tiles: Number of bands, of rows as equal as possible; at most one a row.
        loss: Probability that a band is lost, each for itself.
        rng: Draws once for each band.

    Returns:
        The map with its holes; `None` if nothing arrived.
    """
    height = indices.shape[1]
    count = min(tiles, height)
    edges = np.linspace(0, height, count + 1).round().astype(int)
    kept = np.flatnonzero(rng.random(count) >= loss)
    planes, _, width = indices.shape
    assembler = FrameAssembler((planes, height, width), planes, background)
    for tile in kept:
        rows = slice(int(edges[tile]), int(edges[tile + 1]))
        place = TilePlace(0, planes, rows.start, rows.stop - rows.start, 0, width)
        whole = assembler.add(0, int(tile), count, place, indices[:, rows])
        if whole is not None:
            return whole
    return assembler.take_partial(0)
