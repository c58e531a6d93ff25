# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A call from another thread that a node's own thread answers."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.node import Node


class Wake:
    """A call from any thread that runs a callback in the thread that spins a node.

    Several calls before it runs are one.
    """

    def __init__(self, node: Node, callback: Callable[[], object]) -> None:
        """Create the guard condition; the node destroys it with its other entities.

        Args:
            node: node whose thread runs the callback.
            callback: function that is run in it.
        """
        self._lock = threading.Lock()
        self._guard = node.create_guard_condition(callback)
        self._is_open = True

    def __call__(self) -> None:
        """Request the callback; after `close` nothing happens."""
        with self._lock:
            if self._is_open:
                self._guard.trigger()

    def close(self) -> None:
        """Refuse further requests; to be called before the node destroys its entities."""
        with self._lock:
            self._is_open = False
