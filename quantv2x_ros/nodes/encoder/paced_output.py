# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The publishing of a sweep's messages, one by one where the radio's law wants gaps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.channel.pacing import Pacer
from quantv2x_ros.core.channel.radio import radio_profile


class PacedOutput:
    """Publishes at once without a law; with one, from a thread, when the law allows.

    Publishing must not wait for the node's executor, which encodes the next sweep meanwhile.
    """

    def __init__(
        self,
        radio: str,
        publish: Callable[[BevIndices], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """Have nothing to publish yet.

        Args:
            radio: name of the radio, of `radio.PROFILES`.
            publish: publishes a message.
            on_failure: told what ended the thread.

        Raises:
            RadioError: for a radio that is not known.
        """
        self._pacer: Pacer[BevIndices] = Pacer(radio_profile(radio))
        self._limits = self._pacer.allowance.profile.limits
        self._publish = publish
        self._on_failure = on_failure
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    @property
    def has_law(self) -> bool:
        """Whether messages wait for their turn."""
        return self._limits

    def start(self) -> None:
        """Begin to publish."""
        self._stopping = False
        if self._limits:
            self._thread = threading.Thread(target=self._run, name="radio", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End publishing; what waits is forgotten."""
        with self._changed:
            self._stopping = True
            self._pacer.clear()
            self._changed.notify()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def budget(
        self, taken: float, unit: int, overhead: int, reserved: Sequence[int] = ()
    ) -> int | None:
        """Return how many bytes of packets the law gives the next sweep; None for any number.

        Args:
            taken: time of the sweep, seconds.
            unit: largest payload of a packet, bytes; 0 for any.
            overhead: bytes of a packet beside its payload.
            reserved: sizes of the packets with objects that will come with it, bytes.
        """
        with self._changed:
            return self._pacer.budget(taken, unit, overhead, reserved)

    def most_bytes(self) -> int | None:
        """Return how many bytes of packets the law gives a sweep in all; None for any number."""
        with self._changed:
            return self._pacer.most_bytes()

    def send(self, messages: Sequence[BevIndices]) -> None:
        """Publish a sweep's messages in their order; what waits of an older one makes way."""
        if not self._limits:
            for message in messages:
                self._publish(message)
            return
        with self._changed:
            self._pacer.offer([(message, len(message.packet)) for message in messages])
            self._changed.notify()

    def send_first(self, message: BevIndices, replaces: bool) -> None:
        """Publish a message before all that waits.

        Args:
            message: with objects.
            replaces: whether those with objects that still wait make way to it.
        """
        if not self._limits:
            self._publish(message)
            return
        with self._changed:
            self._pacer.offer_first([(message, len(message.packet))], replaces)
            self._changed.notify()

    def _run(self) -> None:
        try:
            while (due := self._next()) is not None:
                for message in due:
                    self._publish(message)
        except BaseException as error:  # whatever ends the thread must end the node, too
            self._on_failure(error)

    def _next(self) -> list[BevIndices] | None:
        """Wait for messages that may go; None once publishing ends."""
        with self._changed:
            while not self._stopping:
                now = time.monotonic()
                if due := self._pacer.due(now):
                    return due
                wait = self._pacer.next_time(now) - now
                self._changed.wait(None if wait == float("inf") else wait)
        return None

    def report(self) -> Mapping[str, str]:
        """Return how much of the law's allowance is used, for the diagnostics."""
        if not self._limits:
            return {}
        with self._changed:
            used = self._pacer.allowance.used(time.monotonic())
            replaced = self._pacer.replaced
        return {
            "radio": self._pacer.allowance.profile.name,
            "allowed airtime used": f"{100 * used:.0f} %",
            "messages that a newer sweep replaced": str(replaced),
        }
