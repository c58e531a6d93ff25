# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of an evaluation, cut, coded, limited and put together as by the nodes.

The tiles are those that the encoder node sends, and what is lost is a tile.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from quantv2x_ros.core.transport.assembly import AssembledSweep
from quantv2x_ros.core.transport.concealment import SweepMemory
from quantv2x_ros.core.transport.link_simulation import assemble
from quantv2x_ros.core.transport.receivers import Receivers
from quantv2x_ros.core.transport.selection import BoolArray, both, cells_in_range
from quantv2x_ros.core.transport.sweep_sender import SentSweep, SweepSender
from quantv2x_ros.core.transport.tiles import IndexMapFormat
from quantv2x_ros.evaluation.frame_history import Sent
from quantv2x_ros.evaluation.settings import Sending
from quantv2x_ros.inference.protocol import AgentFeatures, Detector


class Radio:
    """Sends and receives; what many settings share is computed once."""

    def __init__(self, detector: Detector) -> None:
        """Set up for a detector's bundle."""
        bundle = detector.bundle
        book = bundle.codebook
        self._detector = detector
        self._grid = bundle.grid
        self._form = IndexMapFormat(
            bundle.entropy_model, book.levels, book.segments, *bundle.grid.shape
        )
        self._background = np.array(bundle.manifest.codebook.background, np.uint8)
        self._receivers = Receivers(bundle.grid, bundle.detection)
        self._senders: dict[Sending, SweepSender] = {}

    def send(self, sent: Sent, sending: Sending) -> SentSweep:
        """Return the tiles of an agent's sweep."""
        if sending not in sent.frames:
            if sending not in self._senders:
                sender = SweepSender(self._form, self._background, sending.settings)
                self._senders[sending] = sender
            wanted = self._wanted(sent, sending)
            sent.frames[sending] = self._senders[sending].send(
                sent.indices, sending.max_bytes or None, wanted
            )
        return sent.frames[sending]

    def _wanted(self, sent: Sent, sending: Sending) -> BoolArray | None:
        """Return the cells that are sent at most, (H, W); None for all."""
        limit = sending.interest_range
        near = cells_in_range(self._grid, limit) if limit else None
        if not sending.interest_of_receivers or not sent.listeners:
            return near
        return both(near, self._receivers.wanted_at(sent.pose, sent.listeners))

    def whole(self, sent: Sent, sending: Sending) -> AgentFeatures | None:
        """Return what a receiver makes of a sweep that arrives wholly; `None` of one not sent."""
        if sending.is_whole:
            return sent.agent_features
        if sending not in sent.arrived:
            frame = self.send(sent, sending)
            arrived = self.assembled(sent, sending, range(len(frame.tiles)))
            sent.arrived[sending] = (
                None
                if arrived is None
                else self._detector.extract(arrived.indices, arrived.received)
            )
        return sent.arrived[sending]

    def assembled(
        self, sent: Sent, sending: Sending, numbers: Iterable[int]
    ) -> AssembledSweep | None:
        """Return what some of a sweep's messages hold; see `assemble`."""
        return assemble(self.send(sent, sending), self._form, self._background, numbers)

    def memory(self, max_age: float) -> SweepMemory:
        """Return an empty memory of one station's sweeps."""
        return SweepMemory(self._grid, max_age)
