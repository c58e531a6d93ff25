# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Peers' tiles to peers' sweeps, with bounded memory and a bounded wait for lost tiles."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.assembly import AssembledFrame, FrameAssembler
from quantv2x_ros.core.sweep import AgentSweep, Tile

#: Stations whose tiles are put together at a time.
MAX_STATIONS = 64
#: A station that has been silent for so long makes room for another one, seconds.
FORGET_AFTER = 5.0


class ReceptionError(ValueError):
    """A tile of one station too many.

    Attributes:
        reason: ``too_many_stations``.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.reason = "too_many_stations"


@dataclass(eq=False)
class _OpenSweep:
    """The newest tile of a sweep that is not complete."""

    tile: Tile
    first_arrival: float
    payload_bytes: int


@dataclass(eq=False)
class _Station:
    assembler: FrameAssembler
    heard: float
    open: dict[int, _OpenSweep] = field(default_factory=dict)


class Reception:
    """Puts the sweeps of all stations together from their tiles.

    Attributes:
        partial: sweeps that were handed on with holes because tiles did not come.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        background: npt.NDArray[np.uint8],
        tile_timeout: float,
        own_station: int,
    ) -> None:
        """Create an empty reception.

        Args:
            shape: (planes, H, W) of an index map.
            background: (planes,) uint8, the codes that fill holes.
            tile_timeout: longest wait for a sweep's further tiles, seconds after its first.
            own_station: always finds room, however many others are heard.
        """
        self._shape = shape
        self._background = background
        self._tile_timeout = tile_timeout
        self._own_station = own_station
        self._stations: dict[int, _Station] = {}
        self.partial = 0

    @property
    def is_incomplete(self) -> bool:
        """Whether a sweep waits for further tiles."""
        return any(station.open for station in self._stations.values())

    def reset(self) -> None:
        """Forget everything, as after a jump in time."""
        self._stations.clear()

    def forget(self, station_id: int) -> None:
        """Forget a station and the sweeps of it that wait for tiles."""
        self._stations.pop(station_id, None)

    def add(self, tile: Tile, now: float) -> AgentSweep | None:
        """Place a tile; returns the sweep that it completes, if it does.

        Args:
            tile: checked and decoded.
            now: seconds of a steady clock.

        Raises:
            ReceptionError: if too many stations are heard.
            AssemblyError: if the tile does not fit its sweep's others.
        """
        station = self._station(tile.station_id, now)
        frame = station.assembler.add(
            tile.stamp_ns, tile.tile_index, tile.tile_count, tile.first_row, tile.indices
        )
        before = station.open.pop(tile.stamp_ns, None)
        size = tile.payload_bytes + (before.payload_bytes if before is not None else 0)
        if frame is not None:
            return _sweep(frame, tile, size, now)
        station.open[tile.stamp_ns] = _OpenSweep(
            tile, before.first_arrival if before is not None else now, size
        )
        return None

    def overdue(self, now: float) -> list[AgentSweep]:
        """Return the sweeps whose further tiles have been waited for long enough, with holes."""
        sweeps = []
        for station in self._stations.values():
            for stamp_ns, waiting in list(station.open.items()):
                if now - waiting.first_arrival < self._tile_timeout:
                    continue
                del station.open[stamp_ns]
                frame = station.assembler.take_partial(stamp_ns)
                if frame is not None:  # None where newer sweeps have pushed it out
                    self.partial += 1
                    sweeps.append(_sweep(frame, waiting.tile, waiting.payload_bytes, now))
        return sweeps

    def _station(self, station_id: int, now: float) -> _Station:
        station = self._stations.get(station_id)
        if station is None:
            for name in [n for n, s in self._stations.items() if now - s.heard > FORGET_AFTER]:
                del self._stations[name]
            others = len(self._stations.keys() - {self._own_station})
            if others >= MAX_STATIONS and station_id != self._own_station:
                raise ReceptionError(
                    f"station {station_id} is one more than the {MAX_STATIONS} listened to"
                )
            station = _Station(FrameAssembler(self._shape, self._background), now)
            self._stations[station_id] = station
        station.heard = now
        return station


def _sweep(frame: AssembledFrame, tile: Tile, payload_bytes: int, now: float) -> AgentSweep:
    return AgentSweep(
        station_id=tile.station_id,
        sequence=tile.sequence,
        stamp_ns=tile.stamp_ns,
        frame_id=tile.frame_id,
        pose=tile.pose,
        indices=frame.indices,
        received_rows=frame.received,
        payload_bytes=payload_bytes,
        arrived=now,
    )
