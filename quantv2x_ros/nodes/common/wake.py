# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Lets a node's own thread do what another thread asks for."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.node import Node


class Wake:
    """A call from any thread that runs a callback in the thread that spins a node.

    Several calls before it runs are one.
    """

    def __init__(self, node: Node, callback: Callable[[], object]) -> None:
        """Prepare it; it belongs to the node, which destroys it with its other entities.

        Args:
            node: whose thread.
            callback: what is run in it.
        """
        self._lock = threading.Lock()
        self._guard = node.create_guard_condition(callback)
        self._is_open = True

    def __call__(self) -> None:
        """Ask for it; after `close` nothing happens."""
        with self._lock:
            if self._is_open:
                self._guard.trigger()

    def close(self) -> None:
        """Let nobody ask any more: call this before the node destroys its entities."""
        with self._lock:
            self._is_open = False
