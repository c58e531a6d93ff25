# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts the tiles of one agent's frames together, in any order, with bounded memory."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.transport.sweep import Tile
from quantv2x_ros.core.transport.tiles import MAX_TILES, TilePlace

IndexArray = npt.NDArray[np.uint8]

# Frames that can be open at a time: the newest and one whose tiles are late.
MAX_OPEN_FRAMES = 2
# Closed frames whose late tiles are recognised as such.
_REMEMBERED = 16


class AssemblyError(ValueError):
    """A tile that does not fit its frame.

    Attributes:
        reason: one word for counters: ``shape``, ``place``, ``tile_count``, ``tile``,
            ``duplicate``, ``overlap`` or ``late``.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class AssembledSweep:
    """An index map as far as its tiles arrived.

    Attributes:
        key: what the tiles were added under.
        indices: (planes, H, W) uint8; the background's codes where nothing is known.
        received: (H, W) bool, cells of which the coarsest level arrived. Where only finer levels
            did, there is nothing to refine.
        tiles: number of tiles that arrived.
        tile_count: number of tiles that were sent.
    """

    key: int
    indices: IndexArray
    received: npt.NDArray[np.bool_]
    tiles: int
    tile_count: int

    @property
    def complete(self) -> bool:
        """True where every tile arrived."""
        return self.tiles == self.tile_count


class _SweepInTiles:
    """A frame that waits for tiles."""

    def __init__(
        self, key: int, shape: tuple[int, int, int], levels: int, background: IndexArray, tiles: int
    ):
        self.key = key
        self.tile_count = tiles
        self.tiles: set[int] = set()
        self._background = background
        self._segments = shape[0] // levels
        self._indices = np.empty(shape, np.uint8)
        self._indices[:] = background[:, None, None]
        self._received = np.zeros((levels, *shape[1:]), np.bool_)

    def add(self, tile: int, place: TilePlace, indices: IndexArray) -> None:
        """Place a tile whose own numbers have been checked."""
        if tile in self.tiles:
            raise AssemblyError("duplicate", f"tile {tile} of frame {self.key} came before")
        levels = slice(place.first_level, place.first_level + place.levels)
        area = self._received[(levels, *place.cells)]
        if area.any():
            raise AssemblyError(
                "overlap",
                f"tile {tile} of frame {self.key} holds {place}, of which some came before in "
                "other tiles",
            )
        self.tiles.add(tile)
        self._indices[(place.planes(self._segments), *place.cells)] = indices
        area[:] = True

    def close(self) -> AssembledSweep:
        """The frame as it is; it must not be added to any more."""
        received = self._received[0]
        missing = ~received
        if self._received.shape[0] > 1 and self._received[1:, missing].any():
            self._indices[:, missing] = self._background[:, None]
        return AssembledSweep(self.key, self._indices, received, len(self.tiles), self.tile_count)


class SweepAssembler:
    """Puts one agent's tiles together.

    Frames are told apart by a key that the caller chooses, for instance their sequence number. At
    most two frames are open at a time: the tiles of a third one close the oldest, unread.

    Attributes:
        abandoned: frames closed unread because later ones came.
    """

    def __init__(self, shape: tuple[int, int, int], levels: int, background: IndexArray) -> None:
        """Prepare for frames of one shape.

        Args:
            shape: (planes, H, W) of the index map.
            levels: levels of the codebook; each has planes / levels segments.
            background: (planes,) uint8, the codes of a cell without points: they fill holes.

        Raises:
            ValueError: shape, levels and background do not fit each other.
        """
        if len(shape) != 3 or min(shape) < 1 or levels < 1 or shape[0] % levels:
            raise ValueError(
                f"shape must be (planes, H, W), each 1 or more, with planes for {levels} levels, "
                f"got {shape}"
            )
        if background.shape != (shape[0],) or background.dtype != np.uint8:
            raise ValueError(
                f"background must be uint8 of shape ({shape[0]},), "
                f"got {background.dtype} of {background.shape}"
            )
        self.abandoned = 0
        self._shape = shape
        self._levels = levels
        self._background = background.copy()
        self._open: OrderedDict[int, _SweepInTiles] = OrderedDict()
        self._closed: deque[int] = deque(maxlen=_REMEMBERED)

    def is_open(self, key: int) -> bool:
        """Whether a frame waits for further tiles."""
        return key in self._open

    def add(
        self, key: int, tile: int, tile_count: int, place: TilePlace, indices: IndexArray
    ) -> AssembledSweep | None:
        """Place a tile.

        Args:
            key: key of the tile's sweep.
            tile: number of the tile, 0 to tile_count - 1.
            tile_count: tiles of the frame.
            place: what it holds.
            indices: (planes of the tile, rows, columns) uint8, decoded and checked.

        Returns:
            The frame if this tile completes it (it is then closed), else None.

        Raises:
            AssemblyError: the tile fits neither the map nor the frame's other tiles, came twice or
                too late. It changes nothing then.
        """
        self.check(key, tile, tile_count)
        self._check_place(tile, place, indices)
        frame = self._open.get(key)
        if frame is None:
            frame = _SweepInTiles(key, self._shape, self._levels, self._background, tile_count)
        frame.add(tile, place, indices)
        if len(frame.tiles) == frame.tile_count:
            self._open.pop(key, None)
            self._closed.append(key)
            return frame.close()
        if key not in self._open:
            self._open[key] = frame
            if len(self._open) > MAX_OPEN_FRAMES:
                oldest, _ = self._open.popitem(last=False)
                self._closed.append(oldest)
                self.abandoned += 1
        return None

    def missing(self, key: int, tile_count: int) -> list[int]:
        """Numbers of a frame's tiles that did not arrive; all of one that is not open."""
        frame = self._open.get(key)
        have = set() if frame is None else frame.tiles
        return [tile for tile in range(tile_count) if tile not in have]

    def take_partial(self, key: int | None = None) -> AssembledSweep | None:
        """Close a frame that is not complete and return it with its holes.

        Args:
            key: key of the frame; by default the one opened last.

        Returns:
            The frame, or None where no such frame is open.
        """
        if key is None:
            key = next(reversed(self._open), None)
        if key is None or key not in self._open:
            return None
        self._closed.append(key)
        return self._open.pop(key).close()

    def check(self, key: int, tile: int, tile_count: int) -> None:
        """Check that a frame waits for a tile of this number.

        Raises:
            AssemblyError: ``late``, ``tile_count`` or ``tile``.
        """
        if not 1 <= tile_count <= MAX_TILES:
            raise AssemblyError(
                "tile_count", f"a frame has 1 to {MAX_TILES} tiles, got {tile_count}"
            )
        if not 0 <= tile < tile_count:
            raise AssemblyError("tile", f"tile number {tile} is not one of 0 to {tile_count - 1}")
        if key in self._closed:
            raise AssemblyError("late", f"tile {tile} came after frame {key} was closed")
        frame = self._open.get(key)
        if frame is not None and tile_count != frame.tile_count:
            raise AssemblyError(
                "tile_count",
                f"frame {key} has {frame.tile_count} tiles, but tile {tile} says {tile_count}",
            )

    def _check_place(self, tile: int, place: TilePlace, indices: IndexArray) -> None:
        """Check a tile's place and shape against the map."""
        _, height, width = self._shape
        try:
            place.check(self._levels, height, width)
        except ValueError as error:
            raise AssemblyError("place", f"tile {tile}: {error}") from error
        planes = place.levels * (self._shape[0] // self._levels)
        expected = (planes, place.rows, place.columns)
        if indices.shape != expected or indices.dtype != np.uint8:
            raise AssemblyError(
                "shape",
                f"tile {tile} must be uint8 of shape {expected}, got {indices.dtype} of "
                f"{indices.shape}",
            )


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
        payload_bytes: bytes of all tiles that arrived.
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
