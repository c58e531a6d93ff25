# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Plays a playlist in time: one thread reads ahead, another one publishes."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from quantv2x_msgs.msg import DetectedObject3DArray
from quantv2x_ros.core.monitoring.byte_queue import ByteQueue
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.conversions import nanoseconds
from quantv2x_ros.nodes.replay.playlist import Event, Playlist

#: What belongs to a frame follows its ego's sweep within half the period of 10 Hz, nanoseconds.
_HALF_PERIOD_NS = 50_000_000


class ResultPace:
    """Holds a recording until the boxes of the ego's last sweep are out.

    The player's thread notes and asks; the node's takes the boxes.
    """

    def __init__(self, node: Node, timeout: float) -> None:
        """Subscribe to boxes.

        Args:
            node: node that subscribes to ``objects`` and logs.
            timeout: longest wait for a sweep's boxes, seconds; then the recording goes on.
        """
        self._node = node
        self._timeout = timeout
        self._awaited: tuple[int, int, float] | None = None  # stamp, played time, since
        self.missing = 0
        self._subscription = node.create_subscription(
            DetectedObject3DArray, "objects", self._on_objects, qos.output(), raw=True
        )

    @property
    def has_fusion(self) -> bool:
        """Tell whether a node publishes boxes."""
        return self._node.count_publishers(self._subscription.topic_name) > 0

    def note_sweep(self, message: Any, time_ns: int) -> None:
        """Note that a sweep of the ego was played.

        Args:
            message: the sweep or its indices, as a message or serialized.
            time_ns: played time, nanoseconds.
        """
        self._awaited = (stamp_of(message), time_ns, time.monotonic())

    def may_play(self, time_ns: int) -> bool:
        """Tell whether a message of this played time, nanoseconds, may be played now."""
        awaited = self._awaited
        if awaited is None or time_ns < awaited[1] + _HALF_PERIOD_NS:
            return True
        if time.monotonic() - awaited[2] < self._timeout:
            return False
        self.missing += 1
        self._awaited = None
        self._node.get_logger().warning(
            f"no boxes within {self._timeout:g} s for the ego's sweep of {awaited[0] / 1e9:.3f} s;"
            " playing on. The diagnostics of encoder and fusion say what became of it"
        )
        return True

    def _on_objects(self, content: bytes) -> None:
        awaited = self._awaited
        if awaited is not None and stamp_of(content) >= awaited[0]:
            self._awaited = None


def stamp_of(content: Any) -> int:
    """Return the stamp of a message that begins with its header, nanoseconds.

    Args:
        content: the message, or its CDR bytes with their four bytes of encapsulation.
    """
    if not isinstance(content, bytes):
        return nanoseconds(content.header.stamp)
    order = "<" if content[1] & 1 else ">"
    seconds, fraction = struct.unpack_from(order + "iI", content, 4)
    return int(seconds) * 1_000_000_000 + int(fraction)


#: Time between clock messages, seconds; each one wakes every node that goes by it.
_CLOCK_PERIOD = 0.04
#: A time after that of all messages, nanoseconds.
_AFTER_ALL_NS = 1 << 62
#: Time between two looks at whether playing may go on, seconds.
_POLL = 0.004
#: Time between two words about whom playing waits for, seconds.
_REMINDER = 10.0
#: After the last message its receivers get this long, seconds.
_LINGER = 1.0
#: A time without a message that is said even if it is waited for, seconds.
_LONG_GAP = 60.0
#: A message this late stops the played time instead of letting it run ahead, seconds.
_PATIENCE = 0.05


class Player:
    """Publishes events when their time has come.

    Attributes:
        late_seconds: time by which reading has delayed playing so far, seconds.
    """

    def __init__(
        self,
        playlist: Playlist,
        *,
        rate: float,
        loop: bool,
        wait: float,
        settle: float,
        read_ahead: int,
        max_gap: float,
        is_heard: Callable[[], bool],
        on_waiting: Callable[[float], None],
        on_unheard: Callable[[], None],
        on_gap: Callable[[int, int, bool], None],
        may_play: Callable[[int], bool],
        publish: Callable[[Event], None],
        publish_clock: Callable[[int], None],
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        """Start to play.

        Args:
            playlist: recording that is played.
            rate: speed against real time.
            loop: whether to begin again at the end.
            wait: longest wait for listeners, seconds; 0 for none, negative for any.
            settle: time after that for all nodes to find each other, seconds.
            read_ahead: memory of the messages that are read before their time, bytes.
            max_gap: longest played time without a message that is waited for, seconds; 0 for any.
            is_heard: tells whether the expected nodes listen.
            on_waiting: called now and then with the seconds waited so far.
            on_unheard: called after a wait in vain; its error ends playing.
            on_gap: called before a time without a message that is long or skipped: with its
                beginning and its end, nanoseconds, and whether it is skipped.
            may_play: tells whether a message of a played time, nanoseconds, may be played; the
                clock stands still until it may.
            publish: called with each event at its time.
            publish_clock: called with the played time, nanoseconds.
            on_end: called at the end, with the error if there was one; not after `stop`.
        """
        self._playlist = playlist
        self._rate = rate
        self._loop = loop
        self._wait = wait
        self._settle = settle
        self._is_heard = is_heard
        self._on_waiting = on_waiting
        self._on_unheard = on_unheard
        self._max_gap = max_gap
        self._on_gap = on_gap
        self._may_play = may_play
        self._publish = publish
        self._publish_clock = publish_clock
        self._on_end = on_end
        self._stopped = threading.Event()
        self._ahead: ByteQueue[Event | BaseException | None] = ByteQueue(read_ahead)
        self.late_seconds = 0.0
        self._threads = [
            threading.Thread(target=self._read, name="replay reader", daemon=True),
            threading.Thread(target=self._play, name="replay player", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop at once and wait for the threads."""
        self._stopped.set()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _read(self) -> None:
        """Fill the queue; None marks the end, an error the reason for an early one."""
        try:
            offset_ns = 0
            while not self._stopped.is_set():
                for event in self._playlist.events(offset_ns):
                    if not self._put(event):
                        return
                if not self._loop:
                    break
                offset_ns += self._playlist.period_ns
            self._put(None)
        except BaseException as error:  # reported by the player's thread
            self._put(error)

    def _put(self, item: Event | BaseException | None) -> bool:
        """Queue an item; False where playing was stopped meanwhile."""
        size = item.size if isinstance(item, Event) else 0
        while not self._stopped.is_set():
            if self._ahead.put(item, size, timeout=0.1):
                return True
        return False

    def _play(self) -> None:
        failure: BaseException | None = None
        try:
            self._wait_until_heard()
            first = self._announce()
            self._hold_clock(self._settle)
            self._play_events(first)
        except BaseException as error:
            failure = error
        if not self._stopped.is_set() or failure is not None:
            self._on_end(failure)

    def _wait_until_heard(self) -> None:
        """Let the clock stand at the beginning until there are listeners."""
        began = time.monotonic()
        reminded = 0.0
        while self._wait and not self._stopped.is_set() and not self._is_heard():
            waited = time.monotonic() - began
            if waited >= self._wait > 0:
                self._on_unheard()
                break
            if waited - reminded >= _REMINDER:
                reminded = waited
                self._on_waiting(waited)
            self._hold_clock(0.1)

    def _announce(self) -> Event | BaseException | None:
        """Publish what stays valid ahead of the rest; return the rest's first item.

        Nothing orders the messages of two topics on their way, so that nodes get the settling time
        to take it in.
        """
        latched = {track.topic for track in self._playlist.tracks if track.is_latched}
        item = self._next()
        while isinstance(item, Event) and item.topic in latched and not self._stopped.is_set():
            self._publish(item)
            item = self._next()
        return item

    def _next(self) -> Event | BaseException | None:
        """Return the queue's next item; None where playing was stopped meanwhile, too.

        While reading is slow the clock stands still.
        """
        while not self._stopped.is_set():
            try:
                return self._ahead.get(timeout=0.1)
            except TimeoutError:
                continue
        return None

    def _hold_clock(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._stopped.is_set():
            self._publish_clock(self._playlist.start_ns)
            self._stopped.wait(_CLOCK_PERIOD)

    def _play_events(self, item: Event | BaseException | None) -> None:
        """Publish the queue's events in time, beginning with one that was taken already."""
        began = time.monotonic()  # when played time was at its start
        last_ns = self._playlist.start_ns
        while not self._stopped.is_set():
            if item is None:
                self._hold_back(_AFTER_ALL_NS)
                self._stopped.wait(_LINGER)
                return
            if isinstance(item, BaseException):
                raise item
            began -= self._skipped(last_ns, item.time_ns)
            last_ns = item.time_ns
            due = began + (item.time_ns - self._playlist.start_ns) / 1e9 / self._rate
            lateness = time.monotonic() - due
            if lateness > _PATIENCE:
                began += lateness
                self.late_seconds += lateness
            self._wait_until(due, item.time_ns)
            began += self._hold_back(item.time_ns)
            if not self._stopped.is_set():
                self._publish(item)
            item = self._next()

    def _hold_back(self, time_ns: int) -> float:
        """Hold the clock until the next message may be played; return the time held, seconds."""
        start = time.monotonic()
        while not self._stopped.is_set() and not self._may_play(time_ns):
            self._stopped.wait(_POLL)
        return time.monotonic() - start

    def _skipped(self, last_ns: int, next_ns: int) -> float:
        """Return how much of the time between two events is left out, seconds of real time."""
        gap = (next_ns - last_ns) / 1e9
        is_skipped = 0.0 < self._max_gap < gap
        if is_skipped or gap > _LONG_GAP:
            self._on_gap(last_ns, next_ns, is_skipped)
        return gap / self._rate if is_skipped else 0.0

    def _wait_until(self, due: float, time_ns: int) -> None:
        """Let the clock run up to an event's time."""
        while (left := due - time.monotonic()) > 0 and not self._stopped.is_set():
            self._publish_clock(time_ns - round(left * self._rate * 1e9))
            self._stopped.wait(min(left, _CLOCK_PERIOD))
        self._publish_clock(time_ns)
