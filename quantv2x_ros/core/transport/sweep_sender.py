# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a sender makes of an index map: selected, cut into tiles, within its budget, with parity."""

from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.coding.wire import HEADER_BYTES, WireError
from quantv2x_ros.core.transport.erasure_code import MAX_CODEWORD, OVERHEAD_BYTES, parity_payloads
from quantv2x_ros.core.transport.packet_sizes import FIELD_BYTES
from quantv2x_ros.core.transport.selection import clear_cells, object_evidence, occupied_cells
from quantv2x_ros.core.transport.tile_cutting import TileCutter
from quantv2x_ros.core.transport.tiles import CodedTile, IndexMapFormat, TileSettings

#: Unused bit rate is saved up for so long, seconds: a frame may be larger after smaller ones.
SAVING_TIME = 0.3


class RateError(ValueError):
    """A limit that no frame could meet."""


@dataclass
class RateController:
    """Gives each frame its budget; both limits hold, 0 lifts one.

    Attributes:
        max_bytes_per_frame: most bytes of any frame.
        max_bitrate: mean bit rate that is not exceeded, bit/s.
    """

    max_bytes_per_frame: int = 0
    max_bitrate: float = 0.0
    _saved: float = field(default=0.0, init=False)
    _filled: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Raise RateError for a negative limit."""
        if self.max_bytes_per_frame < 0:
            raise RateError(
                f"max_bytes_per_frame: got {self.max_bytes_per_frame}, expected 0 or more"
            )
        if not 0.0 <= self.max_bitrate < float("inf"):
            raise RateError(f"max_bitrate: got {self.max_bitrate} bit/s, expected 0 or more")

    def budget(self, now: float) -> int | None:
        """Bytes that a frame may take now; None for any number.

        Args:
            now: seconds of a steady clock.
        """
        limits = [self.max_bytes_per_frame] if self.max_bytes_per_frame else []
        if self.max_bitrate:
            most = self.max_bitrate / 8 * SAVING_TIME
            waited = 0.0 if self._filled is None else max(0.0, now - self._filled)
            gained = most if self._filled is None else waited * self.max_bitrate / 8
            self._saved = min(most, self._saved + gained)
            self._filled = now if self._filled is None else max(now, self._filled)
            limits.append(max(0, int(self._saved)))
        return min(limits) if limits else None

    def spend(self, sent: int) -> None:
        """Book the bytes of a frame that was sent."""
        self._saved -= sent


def tightest(*limits: int | None) -> int | None:
    """Return the least of some limits of bytes; None, which is no limit, where all are."""
    return min((limit for limit in limits if limit is not None), default=None)


IndexArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

#: How often at most a sweep is coded to find the number of cells that fit a budget, and what share
#: of the budget is enough.
_TRIALS, _FULL = 4, 0.95
#: What is predicted to take so many times the budget is not even coded.
_SURELY = 1.2


@dataclass(frozen=True)
class SendSettings:
    """Settings of what is sent of a sweep.

    Attributes:
        tiles: how it is cut.
        levels: residual levels sent at most; 0 for all.
        min_occupancy: cells are left out where an object is less likely than this, 0 to 1; 0 sends
            all. The estimate is that of the bundle's entropy model. The default makes about half a
            Mbit/s at 10 Hz; what it costs is measured in docs/link.md.
        parity: parity tiles for each tile with indices, rounded up; 0 for none.
    """

    tiles: TileSettings = field(default_factory=TileSettings)
    levels: int = 0
    min_occupancy: float = 0.2
    parity: float = 0.0

    def __post_init__(self) -> None:
        """Raise WireError for values out of range."""
        if self.levels < 0:
            raise WireError(f"levels: got {self.levels}, expected 0 or more")
        if not 0.0 <= self.min_occupancy < 1.0:
            raise WireError(f"min_occupancy: got {self.min_occupancy}, allowed are 0 to below 1")
        if not 0.0 <= self.parity <= 2.0:
            raise WireError(f"parity: got {self.parity}, allowed are 0 to 2 tiles for each tile")
        unit = self.tiles.max_payload_bytes
        if self.parity and 0 < unit <= OVERHEAD_BYTES + HEADER_BYTES:
            raise WireError(
                f"max_payload_bytes: got {unit}, with parity it must be more than "
                f"{OVERHEAD_BYTES + HEADER_BYTES}"
            )


@dataclass(frozen=True, eq=False)
class SentSweep:
    """A frame ready to send, and what it lacks.

    Attributes:
        tiles: in the order of their numbers, the most important first; none where the budget is
            too small.
        parity: payloads of the parity tiles.
        sent_levels: residual levels of which something is sent.
        omitted_cells: cells that hold something, but are sent as background or not at all.
        coarse_cells: cells that are sent, but not with all levels.
        overhead: bytes of a packet beside its payload.
    """

    tiles: tuple[CodedTile, ...]
    parity: tuple[bytes, ...]
    sent_levels: int
    omitted_cells: int
    coarse_cells: int
    overhead: int

    @property
    def packet_sizes(self) -> list[int]:
        """Bytes of each packet, those of parity tiles last."""
        payloads = [*(tile.payload for tile in self.tiles), *self.parity]
        return [len(payload) + self.overhead for payload in payloads]

    @property
    def packet_bytes(self) -> int:
        """Bytes of all packets, parity tiles included."""
        return sum(self.packet_sizes)


class SweepSender:
    """Turns index maps into tiles."""

    def __init__(
        self,
        form: IndexMapFormat,
        background: IndexArray,
        settings: SendSettings,
        pool: Executor | None = None,
        overhead: int = FIELD_BYTES,
    ) -> None:
        """Prepare.

        Args:
            form: format of the index maps.
            background: (planes,) codes of empty cells.
            settings: what is sent.
            pool: codes tiles beside the caller's thread; None to code them one after the other.
            overhead: bytes of a packet beside its payload; by default of a signed one.
        """
        self._form = form
        self._overhead = overhead
        self._background = background
        self._settings = settings
        unit = settings.tiles.max_payload_bytes
        # a parity tile is longer than the tiles that it protects
        room = unit - OVERHEAD_BYTES if settings.parity and unit else unit
        self._tiles = TileSettings(room, settings.tiles.coarse_first)
        self._cutter = TileCutter(form, self._tiles, background, pool)
        self._levels = min(settings.levels or form.levels, form.levels)
        #: bytes of a unit of the cutter's cost, by levels, as the last sweeps had them
        self._prices: dict[int, float] = {}

    def send(
        self, indices: IndexArray, budget: int | None = None, wanted: BoolArray | None = None
    ) -> SentSweep:
        """Make a frame's tiles.

        Args:
            indices: (planes, H, W) uint8.
            budget: most bytes of all packets, parity included; None for any number. A frame of
                which not even a tile fits has none.
            wanted: (H, W) bool, cells that receivers can use; None for all.

        Raises:
            WireError: see `TileCutter.cut`.
        """
        occupied = occupied_cells(indices, self._background)
        evidence = self._evidence(indices, budget)
        keep = np.ones_like(occupied) if wanted is None else wanted.copy()
        if self._settings.min_occupancy and evidence is not None:
            keep &= evidence >= math.log(
                self._settings.min_occupancy / (1.0 - self._settings.min_occupancy)
            )
        chosen = indices if keep.all() else clear_cells(indices, keep, self._background)
        tiles = self._cut_within(chosen, self._levels, budget)
        if tiles is None:
            assert budget is not None
            tiles, keep = self._squeeze(chosen, keep, evidence, budget)
        return self._finish(tiles, occupied, keep)

    def _evidence(self, indices: IndexArray, budget: int | None) -> npt.NDArray[np.float32] | None:
        if budget is None and not self._settings.min_occupancy:
            return None
        return object_evidence(indices, self._background, self._form.entropy_model.model)

    def _squeeze(
        self,
        indices: IndexArray,
        keep: BoolArray,
        evidence: npt.NDArray[np.float32] | None,
        budget: int,
    ) -> tuple[list[CodedTile], BoolArray]:
        """Leave out what is worth least: fine levels first, then cells without evidence."""
        for levels in range(self._levels - 1, 0, -1):
            tiles = self._cut_within(indices, levels, budget)
            if tiles is not None:
                return self._refine(tiles, indices, levels, budget), keep
        if evidence is None:
            raise WireError("cells are left out by their evidence, but there is none")
        return self._fewest_left_out(indices, keep, evidence, budget)

    def _fewest_left_out(
        self,
        indices: IndexArray,
        keep: BoolArray,
        evidence: npt.NDArray[np.float32],
        budget: int,
    ) -> tuple[list[CodedTile], BoolArray]:
        """Return the coarsest level of the cells of most evidence that a budget holds.

        How many that are is predicted from what their codes cost, and corrected by what they took.

        Args:
            indices: (planes, H, W).
            keep: cells that may be sent.
            evidence: of an object in each cell.
            budget: bytes.
        """
        worth = np.sort(evidence[keep & occupied_cells(indices, self._background)])[::-1]
        price = self._prices.get(1, 1.0)
        best = self._cut(self._only(indices, np.zeros_like(keep)), 1)
        kept, most = np.zeros_like(keep), 0
        for _ in range(_TRIALS):
            count = self._count(indices, keep, evidence, worth, budget / price)
            if count <= most:
                break
            trial = keep & (evidence >= worth[count - 1])
            chosen = self._only(indices, trial)
            tiles = self._cut(chosen, 1)
            took = self._cost(tiles)
            if took <= budget:
                best, kept, most = tiles, trial, count
                if took >= _FULL * budget:
                    break
            price = took / self._cutter.cost(chosen, 1) * (1.01 if took > budget else 1.0)
            self._prices[1] = price
        while best and self._cost(best) > budget:  # bit-packed, empty cells take bytes, too
            best.pop()
        return best, kept

    def _count(
        self,
        indices: IndexArray,
        keep: BoolArray,
        evidence: npt.NDArray[np.float32],
        worth: npt.NDArray[np.float32],
        affordable: float,
    ) -> int:
        """Return how many of the cells of most evidence cost no more than so much."""
        few, many = 0, len(worth) + 1
        while many - few > 1 + len(worth) // 64:
            middle = (few + many) // 2
            trial = self._only(indices, keep & (evidence >= worth[middle - 1]))
            if self._cutter.cost(trial, 1) <= affordable:
                few = middle
            else:
                many = middle
        return few

    def _only(self, indices: IndexArray, keep: BoolArray) -> IndexArray:
        return clear_cells(indices, keep, self._background)

    def _cut_within(
        self, indices: IndexArray, levels: int, budget: int | None
    ) -> list[CodedTile] | None:
        """Cut a frame; None where that takes more than a budget, or surely would."""
        if budget is None:
            return self._cut(indices, levels)
        cost = self._cutter.cost(indices, levels)
        if cost * self._prices.get(levels, 0.0) > _SURELY * budget:
            return None
        tiles = self._cut(indices, levels)
        took = self._cost(tiles)
        self._prices[levels] = took / cost
        return tiles if took <= budget else None

    def _refine(
        self, tiles: list[CodedTile], indices: IndexArray, levels: int, budget: int
    ) -> list[CodedTile]:
        """Add fine tiles while they fit, where the coarse ones have tiles of their own."""
        if levels > 1 or not self._tiles.coarse_first or self._tiles.max_payload_bytes == 0:
            return tiles
        fitting = list(tiles)
        fine = [t for t in self._cut(indices, min(2, self._levels)) if t.place.first_level > 0]
        for tile in fine:
            if self._cost([*fitting, tile]) <= budget:
                fitting.append(tile)
        return fitting

    def _cut(self, indices: IndexArray, levels: int) -> list[CodedTile]:
        return self._cutter.cut(indices, levels)

    def _parity_count(self, tiles: int) -> int:
        count = math.ceil(self._settings.parity * tiles)
        return count if tiles + count <= MAX_CODEWORD else max(0, MAX_CODEWORD - tiles)

    def _cost(self, tiles: list[CodedTile]) -> int:
        sizes = [len(tile.payload) + self._overhead for tile in tiles]
        parity = self._parity_count(len(tiles)) * (max(sizes, default=0) + OVERHEAD_BYTES)
        return sum(sizes) + parity

    def _finish(self, tiles: list[CodedTile], occupied: BoolArray, keep: BoolArray) -> SentSweep:
        reached = np.zeros((self._form.levels, *occupied.shape), np.bool_)
        for tile in tiles:
            place = tile.place
            levels = slice(place.first_level, place.first_level + place.levels)
            reached[(levels, *place.cells)] = True
        sent = occupied & keep & reached[0]
        return SentSweep(
            tuple(tiles),
            tuple(parity_payloads(tiles, self._parity_count(len(tiles)))),
            int(reached.any(axis=(1, 2)).sum()),
            int((occupied & ~sent).sum()),
            int((sent & ~reached.all(axis=0)).sum()),
            self._overhead,
        )
