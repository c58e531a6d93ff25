# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Peers' tiles to peers' sweeps, with bounded memory and a bounded wait for lost tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.coding.wire import WireError, packed_size
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.peers.peers import MAX_PEERS, PeerField, PeerLimits, PeerRefusedError
from quantv2x_ros.core.peers.registry import PeerRegistry
from quantv2x_ros.core.transport.assembly import (
    MAX_OPEN_FRAMES,
    AssembledSweep,
    OpenSweep,
    ReceptionError,
    SweepAssembler,
)
from quantv2x_ros.core.transport.concealment import SweepMemory
from quantv2x_ros.core.transport.erasure_code import ErasureCodeError, restore
from quantv2x_ros.core.transport.sweep import AgentSweep, Tile
from quantv2x_ros.core.transport.tiles import IndexMapFormat

#: Sequence numbers further apart than this are no gap: the sender has started again.
_RESTART = 1000
#: Sequence numbers wrap after 32 bits.
_SEQUENCES = 2**32


@dataclass
class TileCounts:
    """Counts of one station since it was first heard.

    Attributes:
        received: tiles with indices that came in time.
        lost: those that did not, of sweeps of which something came.
        sweeps: sweeps of which something came.
        missed: sweeps of which nothing came, by the gaps in their numbers.
    """

    received: int = 0
    lost: int = 0
    sweeps: int = 0
    missed: int = 0
    _newest: int | None = None

    def open_sweep(self, sequence: int) -> None:
        """Note the first tile of a sweep, by the sender's number."""
        self.sweeps += 1
        if self._newest is None:
            self._newest = sequence
            return
        ahead = (sequence - self._newest) % _SEQUENCES
        behind = (self._newest - sequence) % _SEQUENCES
        if 0 < ahead <= _RESTART:
            self.missed += ahead - 1
            self._newest = sequence
        elif 0 < behind <= _RESTART:
            self.missed -= self.missed > 0  # it was overtaken, and counted as missed then
        else:
            self._newest = sequence

    def close_sweep(self, received: int, tile_count: int) -> None:
        """Note that a sweep is not waited for any more.

        Args:
            received: tiles with indices that came.
            tile_count: those that it has.
        """
        self.received += received
        self.lost += tile_count - received


@dataclass(eq=False)
class _Station:
    assembler: SweepAssembler
    memory: SweepMemory
    open: dict[int, OpenSweep] = field(default_factory=dict)
    counts: TileCounts = field(default_factory=TileCounts)

    def close(self, stamp_ns: int) -> None:
        """Wait no more for a sweep's tiles."""
        sweep = self.open.pop(stamp_ns)
        self.counts.close_sweep(sweep.arrived, sweep.first.tile_count)


class Reception:
    """Puts the sweeps of all stations together from their tiles.

    Attributes:
        partial: sweeps that were handed on with holes because tiles did not come.
        restored: tiles that did not come, but were restored from parity tiles.
        concealed: sweeps of which lost cells were filled from the sweeps before.
        abandoned: sweeps of which too little came to hand them on.
        tile_timeout: longest wait for a sweep's further tiles, seconds after its first.
    """

    def __init__(
        self,
        form: IndexMapFormat,
        background: npt.NDArray[np.uint8],
        tile_timeout: float,
        own_station: int,
        grid: BevGrid,
        conceal: float,
        registry: PeerRegistry | None = None,
    ) -> None:
        """Create an empty reception.

        Args:
            form: format of the index maps.
            background: (planes,) uint8, the codes that fill holes.
            tile_timeout: longest wait for a sweep's further tiles, seconds after its first.
            own_station: always finds room, however many others are heard.
            grid: the grid of the index maps.
            conceal: lost cells are filled from the station's sweeps up to so long before, seconds;
                0 for holes.
            registry: of the stations; None for one of its own, of `MAX_PEERS`.
        """
        if registry is None:
            registry = PeerRegistry(own_station, PeerLimits(max_peers=MAX_PEERS))
        self._registry = registry
        self._stations = PeerField(self._make_station)
        self._form = form
        self._background = background
        self.tile_timeout = tile_timeout
        self._grid = grid
        self._conceal = conceal
        self.partial = 0
        self.restored = 0
        self.concealed = 0
        self.abandoned = 0

    @property
    def is_incomplete(self) -> bool:
        """Whether a sweep waits for further tiles."""
        return any(station.open for station in self._by_id().values())

    @property
    def next_overdue(self) -> float:
        """When the wait for a sweep's further tiles ends next, seconds; infinite for none."""
        waiting = [each for station in self._by_id().values() for each in station.open.values()]
        first = min((each.first_arrival for each in waiting), default=np.inf)
        return first + self.tile_timeout

    @property
    def counts(self) -> Mapping[int, TileCounts]:
        """What came of each station's tiles, and what did not."""
        return {name: station.counts for name, station in self._by_id().items()}

    def reset(self) -> None:
        """Forget everything, as after a jump in time; see `PeerRegistry.reset`."""
        self._registry.reset()

    def forget(self, station_id: int) -> None:
        """Forget a station and the sweeps of it that wait for tiles; see `PeerRegistry.forget`."""
        self._registry.forget(station_id)

    def add(self, tile: Tile, now: float) -> AgentSweep | None:
        """Place a tile; returns the sweep that it completes, if it does.

        Args:
            tile: checked and decoded.
            now: seconds of a steady clock.

        Raises:
            ReceptionError: if too many stations are heard, or the tile contradicts its sweep.
            AssemblyError: if the tile does not fit its sweep's others.
            ErasureCodeError: if what parity restores is not a sweep's tile.
        """
        station = self._station(tile.station_id, now)
        sweep = self._open(station, tile, now)
        if tile.place is None or tile.indices is None:
            sweep.add_parity(tile)
            frame = None
        else:
            frame = station.assembler.add(
                tile.stamp_ns, tile.tile_index, tile.tile_count, tile.place, tile.indices
            )
            sweep.arrived += 1
            if tile.parity_count:
                sweep.tiles[tile.tile_index] = (tile.place, tile.payload)
        sweep.payload_bytes += len(tile.payload)
        if tile.stamp_ns not in station.open:
            station.counts.open_sweep(tile.sequence)
            station.open[tile.stamp_ns] = sweep
        if frame is None and sweep.parity:
            frame = self._restore(station, sweep)
        if frame is None:
            return None
        station.close(tile.stamp_ns)
        return self._finish(station, frame, sweep, now)

    def overdue(self, now: float) -> list[AgentSweep]:
        """Return the sweeps whose further tiles have been waited for long enough, with holes."""
        sweeps = []
        for station in self._by_id().values():
            for stamp_ns, waiting in list(station.open.items()):
                if now < waiting.first_arrival + self.tile_timeout:
                    continue
                station.close(stamp_ns)
                frame = station.assembler.take_partial(stamp_ns)
                if frame is None or not frame.received.any():
                    self.abandoned += 1
                    continue
                self.partial += 1
                sweeps.append(self._finish(station, frame, waiting, now))
        return sweeps

    def _open(self, station: _Station, tile: Tile, now: float) -> OpenSweep:
        """The open sweep of a tile, or a new one that takes the place of the oldest of too many."""
        number = min(tile.tile_index, tile.tile_count - 1)
        station.assembler.check(tile.stamp_ns, number, tile.tile_count)
        sweep = station.open.get(tile.stamp_ns)
        if sweep is None:
            while len(station.open) >= MAX_OPEN_FRAMES:
                oldest = next(iter(station.open))
                station.close(oldest)
                station.assembler.take_partial(oldest)
                self.abandoned += 1
            header = replace(
                tile, tile_index=tile.tile_count, payload=b"", place=None, indices=None
            )
            return OpenSweep(header, now)
        sweep.check(tile)
        limit = 2 * packed_size(self._form.shape, self._form.entropy_model)
        if sweep.payload_bytes + len(tile.payload) > limit:
            raise ReceptionError(
                "payload_size",
                f"tiles of station {tile.station_id}'s sweep {tile.sequence} have more than "
                f"{limit} bytes",
            )
        return sweep

    def _restore(self, station: _Station, sweep: OpenSweep) -> AssembledSweep | None:
        """Restore what did not come, if what came is enough; a sweep is tried once."""
        first = sweep.first
        if len(sweep.tiles) + len(sweep.parity) < first.tile_count:
            return None
        parity, sweep.parity = sweep.parity, {}
        missing = restore(sweep.tiles, parity, first.tile_count, first.parity_count)
        frame = None
        for number, (place, payload) in missing.items():
            try:
                indices = self._form.decode(place, payload)
            except WireError as error:
                raise ErasureCodeError(f"restored tile {number}: {error}") from error
            frame = station.assembler.add(first.stamp_ns, number, first.tile_count, place, indices)
            self.restored += 1
        return frame

    def _finish(
        self, station: _Station, frame: AssembledSweep, sweep: OpenSweep, now: float
    ) -> AgentSweep:
        """Fill what did not come, and make the sweep."""
        first = sweep.first
        indices, known = station.memory.fill(
            frame.indices, frame.received, first.pose, first.stamp_ns
        )
        self.concealed += known is not frame.received
        return AgentSweep(
            station_id=first.station_id,
            sequence=first.sequence,
            stamp_ns=first.stamp_ns,
            frame_id=first.frame_id,
            pose=first.pose,
            indices=indices,
            received=known,
            payload_bytes=sweep.payload_bytes,
            arrived=now,
        )

    def _station(self, station_id: int, now: float) -> _Station:
        """What is known of a station; one that is new is admitted."""
        try:
            record = self._registry.admit(station_id, now)
        except PeerRefusedError as error:
            raise ReceptionError(error.reason, str(error)) from error
        return self._stations.of(record)

    def _make_station(self) -> _Station:
        form = self._form
        assembler = SweepAssembler(form.shape, form.levels, self._background)
        return _Station(assembler, SweepMemory(self._grid, self._conceal))

    def _by_id(self) -> dict[int, _Station]:
        """The stations of which tiles came."""
        found = {r.station_id: self._stations.find(r) for r in self._registry.tracked()}
        return {name: station for name, station in found.items() if station is not None}
