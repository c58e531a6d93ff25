# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a radio channel does to messages: delay, loss, reordering, doubles, damage, congestion.

Decisions about a message depend on the seed, its sender and its number among the sender's messages
alone, not on what others send in between or on the machine's speed; only the time that it waits for
the air depends on when it is sent.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantv2x_ros.core.channel.medium import Background, Medium
from quantv2x_ros.core.channel.radio import RadioAllowance, RadioError, radio_profile
from quantv2x_ros.core.transport.packet_sizes import GEONETWORKING_UNIT

DELAY_DISTRIBUTIONS = ("constant", "uniform", "normal", "gamma")
#: Bytes of one frame on the air: the GeoNetworking unit.
UNIT_BYTES = GEONETWORKING_UNIT
PROBABILITIES = (
    "loss",
    "burst_start",
    "burst_end",
    "burst_loss",
    "reorder",
    "duplicate",
    "corrupt",
)


class ChannelError(ValueError):
    """Settings that no channel has."""


@dataclass(frozen=True)
class ChannelSettings:
    """State of a channel. The defaults change nothing.

    Probabilities are those of one packet of `UNIT_BYTES`: a longer message travels as several, and
    is lost with any of them.

    Attributes:
        delay_ms: mean delay, milliseconds.
        jitter_ms: its standard deviation, milliseconds.
        delay_distribution: constant, uniform, normal (cut off at 0) or gamma.
        loss: probability of loss, independent of everything.
        burst_start: Gilbert-Elliott: probability that a good channel turns bad, each packet.
        burst_end: probability that a bad one turns good, each packet.
        burst_loss: probability of loss while it is bad.
        reorder: probability that a message is held back.
        reorder_ms: for how long, milliseconds.
        duplicate: probability that a message arrives twice.
        corrupt: probability that a bit flips in a packet.
        bit_rate_mbps: rate of the shared channel, 6 or 27 Mbit/s for example; 0: no limit.
        longest_wait_ms: a packet that would wait longer for the air is given up, milliseconds.
        other_stations: further stations on the channel, each with 10 frames of 400 bytes a second.
        radio: whose law holds for every sender, of `radio.PROFILES`: a message that breaks it is
            not sent.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    delay_distribution: str = "gamma"
    loss: float = 0.0
    burst_start: float = 0.0
    burst_end: float = 1.0
    burst_loss: float = 1.0
    reorder: float = 0.0
    reorder_ms: float = 50.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    bit_rate_mbps: float = 0.0
    longest_wait_ms: float = 100.0
    other_stations: int = 0
    radio: str = "none"

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ChannelError: naming the setting, its value and what is allowed.
        """
        for name in PROBABILITIES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ChannelError(f"{name}: got {getattr(self, name)}, allowed are 0 to 1")
        for name in ("delay_ms", "jitter_ms", "reorder_ms", "bit_rate_mbps"):
            if not 0.0 <= getattr(self, name) < math.inf:
                raise ChannelError(f"{name}: got {getattr(self, name)}, allowed are 0 or more")
        if not 0.0 < self.longest_wait_ms < math.inf:
            raise ChannelError(
                f"longest_wait_ms: got {self.longest_wait_ms}, expected a positive time"
            )
        if self.delay_distribution not in DELAY_DISTRIBUTIONS:
            raise ChannelError(
                f"delay_distribution: got {self.delay_distribution!r}, allowed are "
                f"{', '.join(DELAY_DISTRIBUTIONS)}"
            )
        if self.burst_start > 0 and self.burst_end == 0:
            raise ChannelError("burst_end: 0 would make the first burst last for ever")
        if not 0 <= self.other_stations <= 1000:
            raise ChannelError(f"other_stations: got {self.other_stations}, allowed are 0 to 1000")
        try:
            radio_profile(self.radio)
        except RadioError as error:
            raise ChannelError(str(error)) from None

    @property
    def mean_burst_loss(self) -> float:
        """Long-run share of packets lost in bursts: the bad state's share times its loss."""
        if self.burst_start == 0.0:
            return 0.0
        return self.burst_loss * self.burst_start / (self.burst_start + self.burst_end)


#: Senders whose burst state is kept.
MAX_SENDERS = 1024
#: How much too early a message may come for its radio's law, seconds: on its way to the channel it
#: has met with delays that differ.
PUNCTUALITY = 0.01


@dataclass(frozen=True)
class Delivery:
    """One arrival of a message.

    Attributes:
        time: when it is complete, seconds of the sender's clock.
        flipped_bits: places of flipped bits, counted from the message's first.
    """

    time: float
    flipped_bits: tuple[int, ...] = ()


@dataclass
class _Sender:
    allowance: RadioAllowance
    messages: int = 0
    is_bad: bool = False


class ChannelModel:
    """Decides message by message.

    Attributes:
        counts: messages ``sent``, ``delivered``, ``unlawful``, ``lost``, ``lost_in_burst``,
            ``collided``, ``congested``, ``reordered``, ``duplicated``, ``corrupted``.
    """

    def __init__(self, settings: ChannelSettings, seed: int) -> None:
        """Start with a good and free channel.

        Args:
            settings: its state.
            seed: seed of all random decisions, 0 or more.
        """
        self.settings = settings
        self.counts: Counter[str] = Counter()
        self._seed = seed
        self._senders: OrderedDict[int, _Sender] = OrderedDict()
        self._medium = (
            Medium(
                1e6 * settings.bit_rate_mbps,
                settings.longest_wait_ms / 1e3,
                Background(settings.other_stations),
                seed,
            )
            if settings.bit_rate_mbps
            else None
        )

    def send(self, sender: int, size: int, now: float) -> tuple[Delivery, ...]:
        """Send a message.

        Args:
            sender: number of its sender, 0 or more.
            size: bytes.
            now: when it is sent, seconds; must not run back.

        Returns:
            Its arrivals: none where it is lost, two where it is doubled.
        """
        state = self._senders.get(sender)
        if state is None:
            profile = radio_profile(self.settings.radio)
            state = self._senders[sender] = _Sender(RadioAllowance(profile))
        self._senders.move_to_end(sender)
        if len(self._senders) > MAX_SENDERS:
            self._senders.popitem(last=False)
        random = np.random.default_rng([self._seed, sender, state.messages])
        state.messages += 1
        self.counts["sent"] += 1
        if not _is_lawful(state.allowance, size, now):
            self.counts["unlawful"] += 1
            return ()
        packets = max(1, math.ceil(size / UNIT_BYTES))
        fate = self._fate(state, packets, random)
        time, on_air = self._transmit(sender, size, packets, now, random)
        fate = fate or on_air
        if fate:
            self.counts[fate] += 1
            return ()
        return self._deliveries(size, packets, time, random)

    def _fate(self, state: _Sender, packets: int, random: np.random.Generator) -> str:
        """Return how the noise destroys a message; empty where it does not."""
        settings = self.settings
        draws = random.random((packets, 3))
        fate = ""
        for turn, in_burst, alone in draws:
            change = settings.burst_end if state.is_bad else settings.burst_start
            state.is_bad ^= bool(turn < change)
            if state.is_bad and in_burst < settings.burst_loss:
                fate = fate or "lost_in_burst"
            elif alone < settings.loss:
                fate = fate or "lost"
        return fate

    def _transmit(
        self, sender: int, size: int, packets: int, now: float, random: np.random.Generator
    ) -> tuple[float, str]:
        """Return when a message is out, and how the air destroys it (empty where not)."""
        draws = random.random(packets)
        time, fate = now, ""
        if self._medium is None:
            return time, fate
        for number, draw in enumerate(draws):
            unit = min(UNIT_BYTES, size - number * UNIT_BYTES)
            sent = self._medium.send(sender, max(unit, 1), now, float(draw))
            if sent is None:
                return time, fate or "congested"
            time = sent[0]
            if sent[1]:
                fate = fate or "collided"
        return time, fate

    def _deliveries(
        self, size: int, packets: int, time: float, random: np.random.Generator
    ) -> tuple[Delivery, ...]:
        settings = self.settings
        arrival = time + self._delay(random) / 1e3
        held, doubled = random.random(2)
        if held < settings.reorder:
            arrival += settings.reorder_ms / 1e3
            self.counts["reordered"] += 1
        damage = random.random((packets, 2))
        flipped = tuple(
            8 * UNIT_BYTES * number + int(place * 8 * min(UNIT_BYTES, size - number * UNIT_BYTES))
            for number, (hit, place) in enumerate(damage)
            if hit < settings.corrupt and size > number * UNIT_BYTES
        )
        self.counts["corrupted"] += bool(flipped)
        self.counts["delivered"] += 1
        first = Delivery(arrival, flipped)
        if doubled >= settings.duplicate:
            return (first,)
        self.counts["duplicated"] += 1
        return (first, Delivery(time + self._delay(random) / 1e3, flipped))

    def _delay(self, random: np.random.Generator) -> float:
        """Draw a delay, milliseconds."""
        mean, spread = self.settings.delay_ms, self.settings.jitter_ms
        kind = self.settings.delay_distribution
        if kind == "constant" or spread == 0.0:
            return mean
        if kind == "uniform":
            half = math.sqrt(3.0) * spread
            return max(0.0, float(random.uniform(mean - half, mean + half)))
        if kind == "normal":
            return max(0.0, float(random.normal(mean, spread)))
        if mean == 0.0:
            return 0.0
        return float(random.gamma((mean / spread) ** 2, spread**2 / mean))


def _is_lawful(allowance: RadioAllowance, size: int, now: float) -> bool:
    """Tell whether a message may be sent now, and book it if so."""
    law = allowance.profile
    if law.airtime(size) > law.longest_frame:
        return False
    start = allowance.earliest(size, now)
    if start > now + PUNCTUALITY:
        return False
    allowance.spend(size, start)
    return True


def arrived_in_time(
    channel: ChannelModel, sender: int, sizes: Sequence[int], sent: float, deadline: float
) -> list[int]:
    """Send the tiles of a sweep at once and return those that arrive intact, in that order.

    Args:
        channel: what they pass.
        sender: who sends.
        sizes: bytes of each tile.
        sent: when, seconds.
        deadline: what arrives later does not count, seconds.

    Returns:
        Numbers of the tiles by arrival; damaged ones are left out, as a receiver does by their
        checksum, and doubles are named once.
    """
    arrivals: dict[int, float] = {}
    for number, size in enumerate(sizes):
        for delivery in channel.send(sender, size, sent):
            if delivery.time <= deadline and not delivery.flipped_bits:
                arrivals[number] = min(delivery.time, arrivals.get(number, math.inf))
    return sorted(arrivals, key=lambda number: (arrivals[number], number))


def flip_bits(content: bytes, places: Sequence[int]) -> bytes:
    """Return a copy with some bits flipped; the first bit is the lowest of the first byte."""
    damaged = bytearray(content)
    for place in places:
        damaged[place // 8] ^= 1 << place % 8
    return bytes(damaged)
