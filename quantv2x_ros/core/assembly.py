# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts the tiles (row bands) of one agent's frames together, in any order, with bounded memory."""

from collections import OrderedDict, deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IndexArray = npt.NDArray[np.uint8]

# Frames that can be open at a time: the newest and one whose tiles are late.
MAX_OPEN_FRAMES = 2
# Closed frames whose late tiles are recognised as such.
_REMEMBERED = 16


class AssemblyError(ValueError):
    """A tile that does not fit its frame.

    Attributes:
        reason: one word for counters: ``shape``, ``rows``, ``tile_count``, ``tile``, ``duplicate``,
            ``overlap`` or ``late``.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class AssembledFrame:
    """An index map as far as its tiles arrived.

    Attributes:
        key: what the tiles were added under.
        indices: (planes, H, W) uint8; the background's codes in rows that did not arrive.
        received: (H,) bool, rows that arrived.
    """

    key: int
    indices: IndexArray
    received: npt.NDArray[np.bool_]

    @property
    def complete(self) -> bool:
        """Whether every row arrived."""
        return bool(self.received.all())


class _OpenFrame:
    """A frame that waits for tiles."""

    def __init__(self, key: int, shape: tuple[int, int, int], background: IndexArray, tiles: int):
        self.tile_count = tiles
        self.tiles: set[int] = set()
        indices = np.empty(shape, np.uint8)
        indices[:] = background[:, None, None]
        self.frame = AssembledFrame(key, indices, np.zeros(shape[1], np.bool_))

    def add(self, tile: int, tile_count: int, first_row: int, indices: IndexArray) -> None:
        """Place a tile whose own numbers have been checked."""
        key = self.frame.key
        if tile_count != self.tile_count:
            raise AssemblyError(
                "tile_count",
                f"frame {key} has {self.tile_count} tiles, but tile {tile} says {tile_count}",
            )
        if tile in self.tiles:
            raise AssemblyError("duplicate", f"tile {tile} of frame {key} came before")
        rows = slice(first_row, first_row + indices.shape[1])
        received = self.frame.received
        if received[rows].any():
            raise AssemblyError(
                "overlap",
                f"tile {tile} of frame {key} holds rows {rows.start} to {rows.stop - 1}, of which "
                "some came before in other tiles",
            )
        missing = len(received) - int(received.sum()) - indices.shape[1]
        tiles_left = self.tile_count - len(self.tiles) - 1
        if missing < tiles_left or (tiles_left == 0 and missing > 0):
            raise AssemblyError(
                "rows",
                f"with tile {tile} frame {key} still lacks {missing} rows, which its remaining "
                f"{tiles_left} tiles cannot fill with a row or more each",
            )
        self.tiles.add(tile)
        self.frame.indices[:, rows] = indices
        received[rows] = True


class FrameAssembler:
    """Puts one agent's tiles together.

    Frames are told apart by a key that the caller chooses, for instance their sequence number. At
    most two frames are open at a time: the tiles of a third one close the oldest, unread.

    Attributes:
        abandoned: frames closed unread because later ones came.
    """

    def __init__(self, shape: tuple[int, int, int], background: IndexArray) -> None:
        """Prepare for frames of one shape.

        Args:
            shape: (planes, H, W) of the index map.
            background: (planes,) uint8, the codes of a cell without points: they fill holes.

        Raises:
            ValueError: shape and background do not fit each other.
        """
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"shape must be (planes, H, W), each 1 or more, got {shape}")
        if background.shape != (shape[0],) or background.dtype != np.uint8:
            raise ValueError(
                f"background must be uint8 of shape ({shape[0]},), "
                f"got {background.dtype} of {background.shape}"
            )
        self.abandoned = 0
        self._shape = shape
        self._background = background.copy()
        self._open: OrderedDict[int, _OpenFrame] = OrderedDict()
        self._closed: deque[int] = deque(maxlen=_REMEMBERED)

    def add(
        self, key: int, tile: int, tile_count: int, first_row: int, indices: IndexArray
    ) -> AssembledFrame | None:
        """Place a tile.

        Args:
            key: of the tile's frame.
            tile: number of the tile, 0 to tile_count - 1.
            tile_count: tiles of the frame.
            first_row: where the tile begins.
            indices: (planes, rows of the tile, W) uint8, decoded and checked.

        Returns:
            The frame if this tile completes it (it is then closed), else None.

        Raises:
            AssemblyError: the tile fits neither the map nor the frame's other tiles, came twice or
                too late. It changes nothing then.
        """
        self._check(tile, tile_count, first_row, indices)
        if key in self._closed:
            raise AssemblyError("late", f"tile {tile} came after frame {key} was closed")
        frame = self._open.get(key)
        if frame is None:
            frame = _OpenFrame(key, self._shape, self._background, tile_count)
        frame.add(tile, tile_count, first_row, indices)
        if frame.frame.complete:
            self._open.pop(key, None)
            self._closed.append(key)
            return frame.frame
        if key not in self._open:
            self._open[key] = frame
            if len(self._open) > MAX_OPEN_FRAMES:
                oldest, _ = self._open.popitem(last=False)
                self._closed.append(oldest)
                self.abandoned += 1
        return None

    def take_partial(self, key: int | None = None) -> AssembledFrame | None:
        """Close a frame that is not complete and return it with its holes.

        Args:
            key: of the frame; by default the one opened last.

        Returns:
            The frame, or None where no such frame is open.
        """
        if key is None:
            key = next(reversed(self._open), None)
        if key is None or key not in self._open:
            return None
        self._closed.append(key)
        return self._open.pop(key).frame

    def _check(self, tile: int, tile_count: int, first_row: int, indices: IndexArray) -> None:
        """Check a tile's numbers against the map."""
        planes, height, width = self._shape
        if not 1 <= tile_count <= height:
            raise AssemblyError(
                "tile_count", f"a map of {height} rows has 1 to {height} tiles, got {tile_count}"
            )
        if not 0 <= tile < tile_count:
            raise AssemblyError("tile", f"tile number {tile} is not one of 0 to {tile_count - 1}")
        rows = indices.shape[1] if indices.ndim == 3 else 0
        if rows < 1 or indices.shape != (planes, rows, width) or indices.dtype != np.uint8:
            raise AssemblyError(
                "shape",
                f"a tile must be uint8 of shape ({planes}, 1 or more, {width}), "
                f"got {indices.dtype} of {indices.shape}",
            )
        if first_row < 0 or first_row + rows > height:
            raise AssemblyError(
                "rows",
                f"tile {tile} holds rows {first_row} to {first_row + rows - 1} "
                f"of a map of {height} rows",
            )
