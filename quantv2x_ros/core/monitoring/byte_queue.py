# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A queue between two threads that is bounded by the memory of what waits in it."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class ByteQueue(Generic[Item]):
    """First in, first out; a writer waits while what is queued takes too much memory.

    An item that is larger than the limit passes alone, when the queue is empty.
    """

    def __init__(self, limit: int) -> None:
        """Make an empty queue.

        Args:
            limit: most bytes that wait together.

        Raises:
            ValueError: for a limit below one byte.
        """
        if limit < 1:
            raise ValueError(f"limit of a queue must be 1 byte or more, got {limit}")
        self._limit = limit
        self._items: deque[tuple[Item, int]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """Return how many items wait."""
        return len(self._items)

    def put(self, item: Item, size: int, timeout: float) -> bool:
        """Append an item; False where there was no room for it in time.

        Args:
            item: what is queued.
            size: size of the item, bytes.
            timeout: longest wait, seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_room(size), timeout):
                return False
            self._items.append((item, size))
            self._bytes += size
            self._changed.notify_all()
        return True

    def get(self, timeout: float) -> Item:
        """Take the oldest item.

        Args:
            timeout: longest wait, seconds.

        Raises:
            TimeoutError: where there was none in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._items), timeout):
                raise TimeoutError(f"nothing was queued within {timeout} s")
            item, size = self._items.popleft()
            self._bytes -= size
            self._changed.notify_all()
        return item

    def _has_room(self, size: int) -> bool:
        return not self._items or self._bytes + size <= self._limit
