# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs nodes until they finish or are asked to stop, and ends cleanly."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING

from quantv2x_ros.environment.companions import explain_missing

if TYPE_CHECKING:
    from quantv2x_ros.nodes.common.base import BaseNode

#: Time between looks at whether to end, seconds; a signal interrupts it.
_POLL = 0.05
#: Longest time until a spinning thread looks whether to end, seconds.
_WAKE = 0.2

#: Where in its sources rcl has found an error.
_PLACE = re.compile(r",? at \S+:\d+")
#: Words of rcl, and what to do about it.
_REMEDIES = (
    (
        "failed to initialize logging",
        "set ROS_LOG_DIR to a folder that can be written, or give "
        "`--ros-args --disable-external-lib-logs`, which writes no log files",
    ),
    (
        "Couldn't parse params file",
        "correct the file: the name of a node or /**, below it ros__parameters, below that names "
        "and values (config/ has examples)",
    ),
)


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
    """Create nodes and spin each in a thread of its own.

    Args:
        create: function that makes the nodes; called once rclpy is initialised.
        args: command line with ROS arguments; None for that of the program.

    Returns:
        Exit code: 0 after SIGINT, SIGTERM, a shutdown of the context or when all nodes say that
        they have finished; 1 where a node cannot start because of its input, or gives up for what
        is no fault of it (`NodeError`), which is then logged.

    Raises:
        Exception: what a node's worker or callback failed with; that is a fault, not input.
    """
    # NumPy's BLAS would keep a thread a core spinning between its small products, and take a third
    # of the time away from the engines. It reads this when NumPy is imported, which is later.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    signals = _Signals()
    nodes: list[BaseNode] = []
    try:
        return _run(create, args, signals, nodes)
    except _StopRequest:
        pass
    except Exception:  # a C extension that is interrupted in its import makes an ImportError of it
        if not (signals.requested and signals.starting):
            raise
    if signals.initialised:
        # A node that was interrupted while it was made cannot always be taken apart in order; the
        # process ends, and with it all that the node has.
        with contextlib.suppress(Exception):
            _shut_down(nodes)
    return 0


def _run(
    create: Callable[[], Sequence[BaseNode]],
    args: Sequence[str] | None,
    signals: _Signals,
    nodes: list[BaseNode],
) -> int:
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from quantv2x_ros.nodes.common.managed import NodeError
    from quantv2x_ros.nodes.common.parameter_origin import given_to_all
    from quantv2x_ros.nodes.common.unknown_parameters import refuse_unknown

    signals.initialised = True
    words = sys.argv if args is None else list(args)
    try:
        rclpy.init(args=words, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # of rcl: arguments, parameter files, the log folder
        print(f"cannot start: {explain(error)}", file=sys.stderr)
        return 1
    try:
        nodes.extend(create())
        for node in nodes:
            node.companions = nodes
            node.given_to_all = given_to_all(words, node.get_fully_qualified_name())
        if all(node.is_active for node in nodes):  # else they check it when they are
            refuse_unknown(nodes)
    except Exception as error:
        if not (text := _in_words(error)):
            raise
        rclpy.logging.get_logger("quantv2x_ros").fatal(f"cannot start: {text}")
        _shut_down(nodes)
        return 1
    signals.starting = False
    # What exists now stays. The garbage collector would go through all modules and models again and
    # again, and no thread runs Python meanwhile.
    gc.collect()
    gc.freeze()
    spinners = [_Spinner(node) for node in nodes]
    try:
        while not signals.requested:
            has_ended = [spinner.is_over() for spinner in spinners]
            if any(has_ended) or all(node.finished for node in nodes):
                break
            time.sleep(_POLL)
    except NodeError as error:
        rclpy.logging.get_logger("quantv2x_ros").fatal(f"ended: {error}")
        return 1
    finally:
        for spinner in spinners:
            spinner.stop()
        _shut_down(nodes)
    return 0


def _in_words(error: Exception) -> str:
    """Word what keeps a node from starting; empty for a fault, whose traceback says more."""
    from quantv2x_ros.inference.engine.engine import EngineError

    if isinstance(error, ImportError):
        return explain_missing(error)
    return str(error) if isinstance(error, (ValueError, OSError, EngineError)) else ""


def explain(error: RuntimeError) -> str:
    """Word as one sentence why rcl cannot be initialised, with what to do where it is known.

    Args:
        error: error that `rclpy.init` raised.
    """
    text = " ".join(_PLACE.sub("", str(error)).split())
    if type(error).__name__ == "UnknownROSArgsError":
        text = f"unknown ROS arguments {text}; --ros-args takes -p, -r, --params-file, --log-level"
    remedy = next((remedy for words, remedy in _REMEDIES if words in text), "")
    return text + (f"; {remedy}" if remedy else "")


class _Spinner:
    """Spins one node in a thread of its own: a sweep being encoded holds up no reception."""

    def __init__(self, node: BaseNode) -> None:
        from rclpy.executors import SingleThreadedExecutor

        self._node = node
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)
        self._stopping = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._spin, name=node.get_name(), daemon=True)
        self._thread.start()

    def is_over(self) -> bool:
        """Tell whether the thread has ended.

        Raises:
            BaseException: what the node or a thread of it failed with.
        """
        error = self._error or self._node.failure
        if error is not None:
            raise error
        return not self._thread.is_alive()

    def stop(self) -> None:
        """End the thread after the callback that it is in."""
        self._stopping = True
        self._executor.wake()
        self._thread.join()
        self._executor.shutdown(timeout_sec=1.0)

    def _spin(self) -> None:
        from rclpy.executors import ExternalShutdownException

        try:
            while not self._stopping:
                self._executor.spin_once(timeout_sec=_WAKE)
        except ExternalShutdownException:
            pass  # somebody else shut the context down: the same as being asked to stop
        except BaseException as error:  # raised again where the process can end by it
            self._error = error


def _shut_down(nodes: Sequence[BaseNode]) -> None:
    """Destroy the nodes and end rclpy, undisturbed by further signals."""
    import rclpy

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()
