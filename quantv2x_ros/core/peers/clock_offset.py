# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How far a peer's clock is off, from messages that travel one way."""

from __future__ import annotations

from collections import deque


class LagMinimum:
    """The shortest time between a station's stamps and their arrival, over a sliding window.

    One thread adds; others may ask.

    A lag is the time from the sweep to the message's arrival by the receiver's clock: processing
    and transmission, which are never negative, plus the offset of the clocks. The shortest of many
    has met an idle sender and a free channel, so that it holds little but the offset.
    """

    def __init__(self, window: float = 30.0) -> None:
        """Create an empty window.

        Args:
            window: seconds to look back.

        Raises:
            ValueError: for a window that is not positive.
        """
        if not window > 0:
            raise ValueError(f"window: got {window} s, expected a positive time")
        self._window = window
        # lags ascend from left to right: whoever is older and not shorter never counts again
        self._lags: deque[tuple[float, float]] = deque()

    def add(self, lag: float, now: float) -> None:
        """Note a message.

        Args:
            lag: arrival by the receiver's clock minus stamp, seconds; negative where the sender's
                clock is ahead by more than the message took.
            now: seconds of a steady clock.
        """
        while self._lags and self._lags[-1][1] >= lag:
            self._lags.pop()
        self._lags.append((now, lag))
        while now - self._lags[0][0] > self._window:
            self._lags.popleft()

    def value(self, now: float) -> float | None:
        """Return the shortest lag in the window, seconds; None where it is empty."""
        lags = self._lags.copy()
        return next((lag for heard, lag in lags if now - heard <= self._window), None)


def clock_offset(peer_lag: float, own_lag: float) -> float:
    """Return by how much a peer's clock is behind (positive) or ahead (negative), seconds.

    A one-way link cannot tell offset from latency; it is assumed that the peer's sweeps need as
    long as the own ones when nothing delays them. The error is the difference of both.

    Args:
        peer_lag: the peer's shortest lag.
        own_lag: the shortest lag of the own sweeps, by the same clock.
    """
    return peer_lag - own_lag
