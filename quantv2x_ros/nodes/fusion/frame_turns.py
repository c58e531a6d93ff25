# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One frame is in work at a time: what is for later ones waits outside, unread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from quantv2x_ros.core.peers.registry import PeerRegistry
from quantv2x_ros.core.transport.waiting_messages import WaitingMessage, WaitingMessages

#: A message of a time further ahead than this is for no frame that will be: it is read at once, so
#: that it is refused and told, nanoseconds.
_HORIZON_NS = 2_000_000_000
#: Half the time between two sweeps of a sensor whose period is not known, nanoseconds.
_HALF_PERIOD_NS = 50_000_000


class FrameTurns:
    """Decides which messages are read now, and which wait for the next frame.

    Any thread may call it.
    """

    def __init__(self, is_idle: Callable[[], bool], registry: PeerRegistry) -> None:
        """No frame is in work.

        Args:
            is_idle: whether no frame is in work.
            registry: of the stations; their messages wait in it.
        """
        self._is_idle = is_idle
        self._lock = threading.Lock()
        self._frame_ns: int | None = None
        self._reach_ns = _HALF_PERIOD_NS
        self._waiting = WaitingMessages(registry)

    @property
    def unread(self) -> int:
        """Messages that no frame needed, and that nobody read."""
        with self._lock:
            return self._waiting.unread

    def begin(self, stamp_ns: int, period_ns: int | None = None) -> None:
        """Note that a frame begins, or more about the frame in work.

        Args:
            stamp_ns: time of the ego's sweep, nanoseconds.
            period_ns: period of the ego's sensor, nanoseconds; None: as before.
        """
        with self._lock:
            self._frame_ns = stamp_ns
            self._reach_ns = self._reach_ns if period_ns is None else period_ns // 2

    def postpone(self, station: int, stamp_ns: int, content: bytes) -> bool:
        """Keep a message of a later frame than the one in work; return False for one of this frame.

        Args:
            station: id of its sender.
            stamp_ns: time of its sweep, nanoseconds.
            content: serialized message.
        """
        if self._is_idle():
            return False
        with self._lock:
            if self._frame_ns is None:
                return False
            if not self._reach_ns < stamp_ns - self._frame_ns < _HORIZON_NS:
                return False
            message = WaitingMessage(stamp_ns, content)
            self._waiting.keep(station, message, time.monotonic())
        return True

    def has_waiting(self) -> bool:
        """Tell whether a message waits."""
        with self._lock:
            return len(self._waiting) > 0

    def due(self, own_station: int | None) -> list[bytes]:
        """Return the messages that waited for the frame in work, to be read now.

        Where none is in work, those are the own newest sweep's and what is near it, or, where the
        own sweeps do not come as messages, the newest of each station: they will be near the next.

        Args:
            own_station: id of the own station; None where its sweeps do not come as messages.
        """
        is_idle = self._is_idle()
        with self._lock:
            frame_ns = self._frame_ns
            if is_idle:
                frame_ns = None
                if own_station is not None:
                    frame_ns = self._waiting.newest_stamp(own_station)
            taken = self._waiting.take(frame_ns, self._reach_ns)
        return [message.content for message in taken]

    def reset(self) -> None:
        """Forget the frame, as after a jump in time; what waits is forgotten by the registry."""
        with self._lock:
            self._frame_ns = None
