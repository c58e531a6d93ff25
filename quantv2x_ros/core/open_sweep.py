# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A sweep of which tiles are missing: what it is said to be, and what of it is there."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from quantv2x_ros.core.assembly import AssemblyError
from quantv2x_ros.core.sweep import Tile
from quantv2x_ros.core.tiles import TilePlace


class ReceptionError(ValueError):
    """A tile of one station too many, or one that contradicts its sweep.

    Attributes:
        reason: ``too_many_stations``, ``tile_header`` or ``payload_size``.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(eq=False)
class OpenSweep:
    """A sweep that is not complete: its first tile's header, and what arrived.

    Attributes:
        first: the first tile, without its contents.
        first_arrival: seconds of a steady clock.
        payload_bytes: of all tiles that arrived.
        arrived: tiles with indices that did.
        tiles: place and payload by number, where there is parity to restore others from.
        parity: parity tiles' payloads by number.
    """

    first: Tile
    first_arrival: float
    payload_bytes: int = 0
    arrived: int = 0
    tiles: dict[int, tuple[TilePlace, bytes]] = field(default_factory=dict)
    parity: dict[int, bytes] = field(default_factory=dict)

    def check(self, tile: Tile) -> None:
        """Raise ReceptionError for a tile that says something else than the first one."""
        first = self.first
        if (
            tile.sequence != first.sequence
            or tile.frame_id != first.frame_id
            or (tile.tile_count, tile.parity_count) != (first.tile_count, first.parity_count)
            or not np.array_equal(tile.pose, first.pose)
        ):
            raise ReceptionError(
                "tile_header",
                f"tile {tile.tile_index} of station {tile.station_id}'s sweep {first.sequence} has "
                "another sequence, frame, pose or number of tiles than the sweep's first",
            )

    def add_parity(self, tile: Tile) -> None:
        """Keep a parity tile; raises AssemblyError for one that came before."""
        if tile.tile_index in self.parity:
            raise AssemblyError(
                "duplicate", f"parity tile {tile.tile_index} of {tile.stamp_ns} ns came before"
            )
        self.parity[tile.tile_index] = tile.payload
