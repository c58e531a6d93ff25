# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C in a command that listens: it ends quietly, and never in the middle of a message."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Interrupted(BaseException):
    """SIGINT or SIGTERM came."""


@contextlib.contextmanager
def until_interrupted() -> Iterator[None]:
    """End the body on SIGINT and SIGTERM, quietly: the clean-up inside is done."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for known in _SIGNALS:
            signal.signal(known, signal.SIG_IGN)  # the clean-up is not to be disturbed
        raise _Interrupted

    for number in _SIGNALS:
        signal.signal(number, interrupt)
    with contextlib.suppress(_Interrupted):
        yield


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Let SIGINT and SIGTERM act only after the body.

    rclpy makes messages in C++, where what a handler raises becomes an error of the conversion
    that says nothing of the signal. To be used in the main thread, for a body that ends soon.
    """
    came: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        came.append(number)

    handlers = {number: signal.signal(number, remember) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])
