# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the agents of an evaluation send: the tiles that the encoder node would."""

from __future__ import annotations

import numpy as np

from quantv2x_ros.core.transport.receivers import Receivers
from quantv2x_ros.core.transport.selection import BoolArray, both, cells_in_range
from quantv2x_ros.core.transport.sweep import Tile
from quantv2x_ros.core.transport.sweep_sender import SentSweep, SweepSender
from quantv2x_ros.core.transport.tiles import GEONETWORKING_UNIT
from quantv2x_ros.data.agent_names import station_id
from quantv2x_ros.data.scenario import FRAME_PERIOD
from quantv2x_ros.evaluation.frame_state import FrameState, Sent
from quantv2x_ros.evaluation.settings import Sending
from quantv2x_ros.inference.model.bundle import ModelBundle


class AirLoad:
    """Counts bytes and packets of all agents' sweeps, sent in one way."""

    def __init__(self) -> None:
        """Start without a sweep."""
        self._bytes: list[int] = []
        self._packets: list[int] = []

    def add(self, frame: SentSweep) -> None:
        """Count a sweep."""
        self._bytes.append(frame.payload_bytes)
        self._packets.append(len(frame.tiles) + len(frame.parity))

    def add_plain(self, size: int) -> None:
        """Count a sweep that is no coded index map, by its number of bytes."""
        self._bytes.append(size)
        self._packets.append(-(-size // GEONETWORKING_UNIT))

    def compute(self) -> dict[str, float]:
        """Return means and medians.

        Returns:
            `bytes_per_frame` (mean), `median_packets`, `most_packets` of a sweep, parity included,
            and `mbit_per_second` of an agent with a sweep each `FRAME_PERIOD`, payloads alone.
        """
        mean = float(np.mean(self._bytes))
        return {
            "bytes_per_frame": mean,
            "median_packets": float(np.median(self._packets)),
            "most_packets": float(max(self._packets)),
            "mbit_per_second": 8e-6 * mean / FRAME_PERIOD,
        }


class Senders:
    """Cuts, codes and limits sweeps; what many settings share is computed once."""

    def __init__(self, bundle: ModelBundle) -> None:
        """Set up for a bundle."""
        self._grid = bundle.grid
        self._form = bundle.index_map_format
        self._background = bundle.background
        self._receivers = Receivers(bundle.grid, bundle.detection)
        self._senders: dict[Sending, SweepSender] = {}

    def send(self, sent: Sent, sending: Sending) -> SentSweep:
        """Return what an agent sends of its sweep.

        Raises:
            MessageError: Where the detector sends features as they are.
        """
        if sending not in sent.frames:
            if sending not in self._senders:
                sender = SweepSender(self._form, self._background, sending.settings)
                self._senders[sending] = sender
            wanted = self._wanted(sent, sending)
            sent.frames[sending] = self._senders[sending].send(
                sent.indices, sending.max_bytes or None, wanted
            )
        return sent.frames[sending]

    def tiles(self, state: FrameState, name: str, sending: Sending) -> tuple[Tile, ...]:
        """Return the tiles of an agent's sweep as a receiver decodes them; parity's come last."""
        sent = state.sent[name]
        if sending not in sent.tiles:
            frame = self.send(sent, sending)
            parts = [
                *(
                    (tile.payload, tile.place, self._form.decode(tile.place, tile.payload))
                    for tile in frame.tiles
                ),
                *((payload, None, None) for payload in frame.parity),
            ]
            sent.tiles[sending] = tuple(
                Tile(
                    station_id=station_id(name),
                    sequence=state.number,
                    stamp_ns=state.stamp_ns,
                    frame_id=name,
                    pose=sent.pose,
                    tile_index=number,
                    tile_count=len(frame.tiles),
                    parity_count=len(frame.parity),
                    payload=payload,
                    place=place,
                    indices=indices,
                )
                for number, (payload, place, indices) in enumerate(parts)
            )
        return sent.tiles[sending]

    def _wanted(self, sent: Sent, sending: Sending) -> BoolArray | None:
        """Return the cells that are sent at most, (H, W); None for all."""
        limit = sending.interest_range
        near = cells_in_range(self._grid, limit) if limit else None
        if not sending.interest_of_receivers or not sent.listeners:
            return near
        return both(near, self._receivers.wanted_at(sent.pose, sent.listeners))
