# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of an evaluation on the air: cut, coded, limited, lost and put together as by the nodes.

The tiles are those that the encoder node sends, and what is lost is a tile.
"""

from __future__ import annotations

import numpy as np

from quantv2x_ros.core.frame_sender import FrameSender, SentFrame
from quantv2x_ros.core.link_simulation import receive_frame
from quantv2x_ros.core.tiles import FrameFormat
from quantv2x_ros.offline.detector import Detector, Percept
from quantv2x_ros.offline.moments import Sent
from quantv2x_ros.offline.settings import Link, Sending


class Radio:
    """Sends and receives; what many settings share is computed once."""

    def __init__(self, detector: Detector) -> None:
        """Set up for a detector's bundle."""
        bundle = detector.bundle
        book = bundle.codebook
        self._detector = detector
        self._form = FrameFormat(bundle.prior, book.levels, book.segments, *bundle.grid.shape)
        self._background = np.array(bundle.manifest.codebook.background, np.uint8)
        self._senders: dict[Sending, FrameSender] = {}

    def send(self, sent: Sent, sending: Sending) -> SentFrame:
        """Return the tiles of an agent's sweep."""
        if sending not in sent.frames:
            if sending not in self._senders:
                sender = FrameSender(self._form, self._background, sending.settings)
                self._senders[sending] = sender
            budget = sending.max_bytes or None
            sent.frames[sending] = self._senders[sending].send(sent.indices, budget)
        return sent.frames[sending]

    def receive(self, sent: Sent, link: Link, rng: np.random.Generator) -> Percept | None:
        """Return what a receiver makes of what arrives; `None` if that is nothing.

        Args:
            sent: What was sent.
            link: How.
            rng: Draws once for each tile.
        """
        sending = link.sending
        if link.loss == 0.0:
            if sending.is_whole:
                return sent.percept
            if sending not in sent.arrived:
                sent.arrived[sending] = self._perceive(sent, link, rng)
            return sent.arrived[sending]
        return self._perceive(sent, link, rng)

    def _perceive(self, sent: Sent, link: Link, rng: np.random.Generator) -> Percept | None:
        frame = self.send(sent, link.sending)
        arrived = receive_frame(frame, self._form, self._background, link.loss, rng)
        if arrived is None:
            return None
        if arrived.complete and link.sending.is_whole:
            return sent.percept
        return self._detector.perceive(arrived.indices, arrived.received)
