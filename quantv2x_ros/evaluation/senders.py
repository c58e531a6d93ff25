# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the agents of an evaluation send: the tiles that the encoder node would."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantv2x_ros.core.channel.radio import radio_profile
from quantv2x_ros.core.transport.packet_sizes import FIELD_BYTES, GEONETWORKING_UNIT
from quantv2x_ros.core.transport.receivers import Receivers
from quantv2x_ros.core.transport.selection import BoolArray, both, cells_in_range
from quantv2x_ros.core.transport.sweep import Tile
from quantv2x_ros.core.transport.sweep_sender import SentSweep, SweepSender
from quantv2x_ros.data.agent_names import station_id
from quantv2x_ros.data.scenario import FRAME_PERIOD
from quantv2x_ros.evaluation.frame_state import FrameState, Sent
from quantv2x_ros.evaluation.settings import Sending
from quantv2x_ros.inference.model.bundle import ModelBundle

_ITS_G5 = radio_profile("its_g5_6")


class AirLoad:
    """Counts bytes and packets of all agents' sweeps, sent in one way."""

    def __init__(self) -> None:
        """Start without a sweep."""
        self._bytes: list[int] = []
        self._packets: list[int] = []
        self._airtime: list[float] = []

    def add_plain(self, size: int) -> None:
        """Count a sweep that is no coded index map, by its number of bytes."""
        whole, rest = divmod(size, GEONETWORKING_UNIT - FIELD_BYTES)
        self.add([GEONETWORKING_UNIT] * whole + [rest + FIELD_BYTES] * bool(rest))

    def add(self, packets: Sequence[int]) -> None:
        """Count a sweep by the bytes of its packets."""
        self._bytes.append(sum(packets))
        self._packets.append(len(packets))
        self._airtime.append(sum(_ITS_G5.airtime(size) for size in packets))

    def compute(self) -> dict[str, float]:
        """Return means and medians.

        Returns:
            `bytes_per_frame` (mean), `median_packets`, `most_packets` of a sweep, parity included,
            and of an agent with a sweep each `FRAME_PERIOD` `mbit_per_second` and
            `airtime_its_g5_6`, the share of time that its packets are on the air of ITS-G5 at 6
            Mbit/s (0.03 is allowed). All count whole packets, with header and signature.
        """
        mean = float(np.mean(self._bytes))
        return {
            "bytes_per_frame": mean,
            "median_packets": float(np.median(self._packets)),
            "most_packets": float(max(self._packets)),
            "mbit_per_second": 8e-6 * mean / FRAME_PERIOD,
            "airtime_its_g5_6": float(np.mean(self._airtime)) / FRAME_PERIOD,
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

    def send(self, sent: Sent, sending: Sending, reserved: Sequence[int] = ()) -> SentSweep:
        """Return what an agent sends of its sweep.

        Args:
            sent: Its sweep.
            sending: How it is sent.
            reserved: Sizes of what else it sends within its budget, bytes.

        Raises:
            MessageError: Where the detector sends features as they are.
        """
        budget = sending.budget_beside(reserved)
        key = sending, budget
        if key not in sent.frames:
            if sending not in self._senders:
                sender = SweepSender(self._form, self._background, sending.settings)
                self._senders[sending] = sender
            wanted = self._wanted(sent, sending)
            sent.frames[key] = self._senders[sending].send(sent.indices, budget, wanted)
        return sent.frames[key]

    def tiles(
        self, state: FrameState, name: str, sending: Sending, reserved: Sequence[int] = ()
    ) -> tuple[Tile, ...]:
        """Return the tiles of an agent's sweep as a receiver decodes them; parity's come last.

        Args:
            state: What the agents see.
            name: The agent.
            sending: How its sweep is sent.
            reserved: Sizes of what else it sends within its budget, bytes.
        """
        sent = state.sent[name]
        key = sending, sending.budget_beside(reserved)
        if key not in sent.tiles:
            frame = self.send(sent, sending, reserved)
            parts = [
                *(
                    (tile.payload, tile.place, self._form.decode(tile.place, tile.payload))
                    for tile in frame.tiles
                ),
                *((payload, None, None) for payload in frame.parity),
            ]
            sent.tiles[key] = tuple(
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
        return sent.tiles[key]

    def _wanted(self, sent: Sent, sending: Sending) -> BoolArray | None:
        """Return the cells that are sent at most, (H, W); None for all."""
        limit = sending.interest_range
        near = cells_in_range(self._grid, limit) if limit else None
        if not sending.interest_of_receivers or not sent.listeners:
            return near
        return both(near, self._receivers.wanted_at(sent.pose, sent.listeners))
