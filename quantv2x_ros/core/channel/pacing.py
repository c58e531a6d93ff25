# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lets a sender's packets go one by one, as its radio's law allows."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

from quantv2x_ros.core.channel.radio import RadioAllowance, RadioProfile
from quantv2x_ros.core.transport.packet_sizes import FIELD_BYTES

#: Time since the last sweep that counts at most for the next one's share, seconds.
LONGEST_PERIOD = 0.3
#: Time from one sweep to the next that is assumed of the first, seconds.
FIRST_PERIOD = 0.1
#: A packet with less room for its payload is not begun, bytes.
LEAST_PAYLOAD = 100

Packet = TypeVar("Packet")


def sweep_budget(
    profile: RadioProfile,
    period: float,
    unit: int,
    overhead: int = FIELD_BYTES,
    reserved: Sequence[int] = (),
) -> int | None:
    """Return how many bytes all packets of a sweep may have; None for any number.

    Each sweep has the time on the air that the law gives for its period, so that all get alike.

    Args:
        profile: the radio.
        period: time from one sweep to the next, seconds.
        unit: largest payload of a packet, bytes; 0 for any.
        overhead: bytes of a packet beside its payload.
        reserved: sizes of further packets in that time, bytes, which do not count to the result.
    """
    if not profile.limits:
        return None
    others = sum(profile.airtime(size) for size in reserved)
    left, total = profile.most_share * period - others, 0
    period -= others + profile.least_gap * len(reserved)
    if left <= 0:
        return 0
    longest = profile.longest_frame if math.isfinite(profile.longest_frame) else left
    full = profile.most_payload(longest)
    full = min(unit + overhead, full) if unit else full
    if full < LEAST_PAYLOAD + overhead:
        return 0
    packets = math.floor(period / (profile.least_gap + profile.airtime(full)))
    for _ in range(packets if reserved else max(1, packets)):
        size = min(full, profile.most_payload(left))
        if size < LEAST_PAYLOAD + overhead:
            break
        total += size
        left -= profile.airtime(size)
    return total


class Pacer(Generic[Packet]):
    """Holds a sweep's packets until they may go; a newer sweep takes the place of what is left.

    Packets with objects go before all that waits, and make way to newer ones alone.

    Times are seconds of one clock.

    Attributes:
        allowance: what has been sent.
        replaced: packets that a newer sweep has taken the place of.
    """

    def __init__(self, profile: RadioProfile) -> None:
        """Hold nothing yet."""
        self.allowance = RadioAllowance(profile)
        self.replaced = 0
        self._queue: deque[tuple[Packet, int]] = deque()
        self._first: deque[tuple[Packet, int]] = deque()
        self._asked = -math.inf
        self._period = FIRST_PERIOD
        self._unit, self._overhead = 0, FIELD_BYTES

    def budget(
        self,
        taken: float,
        unit: int,
        overhead: int = FIELD_BYTES,
        reserved: Sequence[int] = (),
    ) -> int | None:
        """Return the next sweep's budget; see `sweep_budget`.

        Args:
            taken: when the sweep was taken, by its own clock: what is sent of it does not depend on
                how long the computer took. Where that has run back, it is the first one.
            unit: largest payload of a packet, bytes; 0 for any.
            overhead: bytes of a packet beside its payload.
            reserved: sizes of the packets with objects that come with each sweep, bytes.
        """
        past = taken - self._asked
        self._asked = taken
        follows = 0.0 <= past < math.inf
        self._period = min(past, LONGEST_PERIOD) if follows else FIRST_PERIOD
        self._unit, self._overhead = unit, overhead
        return sweep_budget(self.allowance.profile, self._period, unit, overhead, reserved)

    def most_bytes(self) -> int | None:
        """Return what `budget` would have given the newest sweep with nothing reserved."""
        law = self.allowance.profile
        return sweep_budget(law, self._period, self._unit, self._overhead)

    def offer(self, packets: Sequence[tuple[Packet, int]]) -> None:
        """Take a sweep's packets, the most important first, each with its number of bytes."""
        self.replaced += len(self._queue)
        self._queue = deque(packets)

    def offer_first(self, packets: Sequence[tuple[Packet, int]], replaces: bool = True) -> None:
        """Take packets that go before all others, each with its number of bytes.

        Args:
            packets: in their order.
            replaces: whether such packets that still wait make way.
        """
        if replaces:
            self.replaced += len(self._first)
            self._first.clear()
        self._first.extend(packets)

    def clear(self) -> None:
        """Forget what waits."""
        self._queue.clear()
        self._first.clear()

    def due(self, now: float) -> list[Packet]:
        """Return the packets that go now, in order, and book them.

        Raises:
            RadioError: for a packet that no frame of the radio holds.
        """
        gone = []
        while self.next_time(now) <= now:
            packet, size = (self._first or self._queue).popleft()
            self.allowance.spend(size, now)
            gone.append(packet)
        return gone

    def next_time(self, now: float) -> float:
        """Return when the next packet may go, ``now`` or later; infinity where none waits."""
        waiting = self._first or self._queue
        return self.allowance.earliest(waiting[0][1], now) if waiting else math.inf
