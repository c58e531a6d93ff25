# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The air of one scenario: which messages of which sweep are in, and when."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from quantv2x_ros.core.channel.channel_model import ChannelModel
from quantv2x_ros.core.transport.sweep_sender import SentSweep
from quantv2x_ros.data.scenario import FRAME_PERIOD
from quantv2x_ros.evaluation.frame_state import FrameState
from quantv2x_ros.evaluation.senders import Senders
from quantv2x_ros.evaluation.settings import Link

#: When each message of a sweep is in, seconds after the sweep; those that are lost are missing.
Arrivals = dict[int, float]


class Air(Protocol):
    """Carries what is sent."""

    def carry(
        self, state: FrameState, draws: dict[str, np.random.Generator]
    ) -> dict[str, Arrivals]:
        """Send a frame's sweeps; must be called in their order.

        Args:
            state: the frame that is sent.
            draws: by name the peers that are listened to, and random numbers for each.

        Returns:
            By peer, when its messages arrive.
        """


class IndependentLoss:
    """Loses each message for itself, and takes no time."""

    def __init__(self, senders: Senders, link: Link) -> None:
        """Set up."""
        self._senders = senders
        self._link = link

    def carry(
        self, state: FrameState, draws: dict[str, np.random.Generator]
    ) -> dict[str, Arrivals]:
        """See `Air`."""
        arrivals = {}
        for name, rng in draws.items():
            count = _messages(self._senders.send(state.sent[name], self._link.sending))
            kept = np.flatnonzero(rng.random(count) >= self._link.loss)
            arrivals[name] = dict.fromkeys(kept.tolist(), 0.0)
        return arrivals


class SharedChannel:
    """A `ChannelModel` on which all agents of a scenario send, the ego among them."""

    def __init__(self, senders: Senders, link: Link, scenario: int) -> None:
        """Set up.

        Args:
            senders: makes the messages.
            link: holds the channel's settings.
            scenario: number of the scenario, for the draws.

        Raises:
            ValueError: for a link without a channel.
        """
        if link.channel is None:
            raise ValueError("the link has no channel")
        self._senders = senders
        self._link = link
        seed = np.random.SeedSequence([link.seed, scenario]).generate_state(1)[0]
        self._channel = ChannelModel(link.channel, int(seed))

    def carry(
        self, state: FrameState, draws: dict[str, np.random.Generator]
    ) -> dict[str, Arrivals]:
        """See `Air`; the channel has draws of its own.

        All sweeps are taken at the same time here, so agents take turns with their messages, as
        stations that contend for the air do.
        """
        start = state.number * FRAME_PERIOD
        frames = {
            name: self._senders.send(sent, self._link.sending) for name, sent in state.sent.items()
        }
        arrivals: dict[str, Arrivals] = {name: {} for name in draws}
        for number in range(max(map(_messages, frames.values()))):
            for sender, (name, frame) in enumerate(frames.items()):
                if number >= _messages(frame):
                    continue
                for delivery in self._channel.send(sender, _size(frame, number), start):
                    if name in arrivals and not delivery.flipped_bits:  # the checksum sees those
                        after = delivery.time - start
                        known = arrivals[name].get(number, after)
                        arrivals[name][number] = min(after, known)
        return arrivals


def make_air(senders: Senders, link: Link, scenario: int) -> Air:
    """Return what carries messages over a link."""
    if link.channel is None:
        return IndependentLoss(senders, link)
    return SharedChannel(senders, link, scenario)


def _messages(frame: SentSweep) -> int:
    return len(frame.tiles) + len(frame.parity)


def _size(frame: SentSweep, number: int) -> int:
    tiles = len(frame.tiles)
    return len(frame.tiles[number].payload if number < tiles else frame.parity[number - tiles])
