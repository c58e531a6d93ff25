# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs nodes until they finish or are asked to stop, and ends cleanly."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quantv2x_ros.nodes.base import BaseNode

#: Longest time until a signal is noticed, seconds.
_POLL = 0.1


class _StopRequest(BaseException):
    """Ends the start-up; not an Exception, so that nothing on the way swallows it."""


class _Signals:
    """SIGINT and SIGTERM: during start-up they raise, afterwards they set a flag.

    rclpy's own handlers would raise KeyboardInterrupt anywhere, also in the middle of a publish.
    """

    def __init__(self) -> None:
        self.requested = False
        self.starting = True
        self.initialised = False  # rclpy: before that there is nothing to shut down
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first, self.requested = not self.requested, True
        if self.starting and first:
            raise _StopRequest


def run(create: Callable[[], Sequence[BaseNode]], args: Sequence[str] | None = None) -> int:
    """Create nodes and spin them in one thread.

    Args:
        create: makes the nodes; called once rclpy is initialised.
        args: command line with ROS arguments; None for the program's own.

    Returns:
        Exit code: 0 after SIGINT, SIGTERM, a shutdown of the context or when a node says that it
        has finished; 1 where a node cannot start because of its input, which is then logged.

    Raises:
        Exception: what a node's worker or callback failed with; that is a fault, not input.
    """
    signals = _Signals()
    nodes: list[BaseNode] = []
    with contextlib.suppress(_StopRequest):
        return _run(create, args, signals, nodes)
    if signals.initialised:
        _shut_down(nodes)
    return 0


def _run(
    create: Callable[[], Sequence[BaseNode]],
    args: Sequence[str] | None,
    signals: _Signals,
    nodes: list[BaseNode],
) -> int:
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    from quantv2x_ros.inference.engine import EngineError

    signals.initialised = True
    rclpy.init(
        args=sys.argv if args is None else list(args),
        signal_handler_options=SignalHandlerOptions.NO,
    )
    try:
        nodes.extend(create())
    except (ValueError, OSError, EngineError) as error:
        rclpy.logging.get_logger("quantv2x_ros").fatal(f"cannot start: {error}")
        _shut_down(nodes)
        return 1
    signals.starting = False
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)
    try:
        while not signals.requested and not any(node.finished for node in nodes):
            executor.spin_once(timeout_sec=_POLL)
            for node in nodes:
                if node.failure is not None:
                    raise node.failure
    except ExternalShutdownException:
        pass  # somebody else shut the context down: the same as being asked to stop
    finally:
        executor.shutdown(timeout_sec=1.0)
        _shut_down(nodes)
    return 0


def _shut_down(nodes: Sequence[BaseNode]) -> None:
    """Destroy the nodes and end rclpy, undisturbed by further signals."""
    import rclpy

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()
