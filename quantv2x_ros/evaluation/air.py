# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The air of one scenario: which messages of which sweep are in, and when."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from quantv2x_ros.core.channel.channel_model import ChannelModel
from quantv2x_ros.core.channel.pacing import Pacer
from quantv2x_ros.core.channel.radio import radio_profile
from quantv2x_ros.data.scenario import FRAME_PERIOD
from quantv2x_ros.evaluation.frame_state import FrameState
from quantv2x_ros.evaluation.settings import Link


@dataclass(frozen=True)
class Outgoing:
    """A packet that an agent sends.

    Attributes:
        size: Its bytes.
        delay: Of a packet with objects: from the sweep's features until it is there, seconds; then
            it goes before those that still wait.
    """

    size: int
    delay: float | None = None


#: The packets that an agent sends of a frame, in their order.
Sizes = Callable[[FrameState, str], Sequence[Outgoing]]
#: When each message of a sweep is in, seconds after the sweep; those that are lost are missing.
Arrivals = dict[int, float]


class Air(Protocol):
    """Carries what is sent."""

    @property
    def counts(self) -> Counter[str]:
        """What became of the messages, see `ChannelModel`; empty without a channel."""

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


class Departures:
    """When each agent's messages go, by the law of its radio."""

    def __init__(self, radio: str) -> None:
        """Set up for a radio of `core.channel.radio.PROFILES`."""
        self._profile = radio_profile(radio)
        self._pacers: dict[str, Pacer[int]] = {}

    def times(self, name: str, packets: Sequence[Outgoing], start: float) -> dict[int, float]:
        """Return when an agent's packets of a sweep go, by number.

        Args:
            name: The agent.
            packets: What it sends; packets that have not gone by its next sweep never go.
            start: When it has the sweep, seconds; must not run back.
        """
        pacer = self._pacers.setdefault(name, Pacer(self._profile))
        numbered = list(enumerate(packets))
        pacer.offer([(number, each.size) for number, each in numbered if each.delay is None])
        pacer.offer_first([])
        gone: dict[int, float] = {}
        now = start
        end = start + FRAME_PERIOD
        for delay in sorted({each.delay for each in packets if each.delay is not None}):
            ready = min(start + delay, end)
            self._let_go(pacer, gone, now, ready)
            now = ready
            pacer.offer_first(
                [(number, each.size) for number, each in numbered if each.delay == delay]
            )
        self._let_go(pacer, gone, now, end)
        return gone

    @staticmethod
    def _let_go(pacer: Pacer[int], gone: dict[int, float], now: float, end: float) -> None:
        """Note when the packets go that may before a time."""
        while now < end:
            gone.update(dict.fromkeys(pacer.due(now), now))
            now = max(pacer.next_time(now), math.nextafter(now, math.inf))


class IndependentLoss:
    """Loses each message for itself, and takes no time but that of waiting for its turn."""

    def __init__(self, sizes: Sizes, link: Link) -> None:
        """Set up."""
        self._sizes = sizes
        self._link = link
        self._departures = Departures(link.sending.radio)
        self.counts: Counter[str] = Counter()

    def carry(
        self, state: FrameState, draws: dict[str, np.random.Generator]
    ) -> dict[str, Arrivals]:
        """See `Air`."""
        arrivals = {}
        for name, rng in draws.items():
            sizes = self._sizes(state, name)
            kept = rng.random(len(sizes)) >= self._link.loss
            start = state.number * FRAME_PERIOD
            gone = self._departures.times(name, sizes, start)
            arrivals[name] = {number: at - start for number, at in gone.items() if kept[number]}
        return arrivals


class SharedChannel:
    """A `ChannelModel` on which all agents of a scenario send, the ego among them."""

    def __init__(self, sizes: Sizes, link: Link, scenario: int) -> None:
        """Set up.

        Args:
            sizes: of the messages.
            link: holds the channel's settings.
            scenario: number of the scenario, for the draws.

        Raises:
            ValueError: for a link without a channel.
        """
        if link.channel is None:
            raise ValueError("the link has no channel")
        self._sizes = sizes
        self._link = link
        seed = np.random.SeedSequence([link.seed, scenario]).generate_state(1)[0]
        self._channel = ChannelModel(link.channel, int(seed))
        self._departures = Departures(link.sending.radio)

    @property
    def counts(self) -> Counter[str]:
        """See `Air`."""
        return self._channel.counts

    def carry(
        self, state: FrameState, draws: dict[str, np.random.Generator]
    ) -> dict[str, Arrivals]:
        """See `Air`; the channel has draws of its own.

        All sweeps are taken at the same time here, so agents take turns with their messages, as
        stations that contend for the air do.
        """
        start = state.number * FRAME_PERIOD
        sizes = {name: self._sizes(state, name) for name in state.sent}
        departures = sorted(
            (at, number, sender, name)
            for sender, name in enumerate(sizes)
            for number, at in self._departures.times(name, sizes[name], start).items()
        )
        arrivals: dict[str, Arrivals] = {name: {} for name in draws}
        for at, number, sender, name in departures:
            for delivery in self._channel.send(sender, sizes[name][number].size, at):
                if name in arrivals and not delivery.flipped_bits:  # the checksum sees those
                    after = delivery.time - start
                    known = arrivals[name].get(number, after)
                    arrivals[name][number] = min(after, known)
        return arrivals


def make_air(sizes: Sizes, link: Link, scenario: int) -> Air:
    """Return what carries messages over a link."""
    if link.channel is None:
        return IndependentLoss(sizes, link)
    return SharedChannel(sizes, link, scenario)
