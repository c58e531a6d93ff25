# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A queue bounded by bytes: order, room, and waiting between two threads."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.monitoring.byte_queue import ByteQueue


@given(sizes=st.lists(st.integers(0, 100)), limit=st.integers(1, 150))
def test_items_come_in_order_and_never_take_more_than_the_limit(sizes, limit):
    queue: ByteQueue[int] = ByteQueue(limit)
    waiting: list[int] = []
    taken: list[int] = []
    for number, size in enumerate(sizes):
        while not queue.put(number, size, timeout=0.0):
            taken.append(queue.get(timeout=0.0))
            waiting.pop(0)
        waiting.append(size)
        assert sum(waiting) <= limit or len(waiting) == 1
    taken += [queue.get(timeout=0.0) for _ in range(len(queue))]
    assert taken == list(range(len(sizes)))


def test_an_item_above_the_limit_waits_until_the_queue_is_empty():
    queue: ByteQueue[str] = ByteQueue(10)
    assert queue.put("small", 1, timeout=0.0)
    assert not queue.put("large", 50, timeout=0.01)
    assert queue.get(timeout=0.0) == "small"
    assert queue.put("large", 50, timeout=0.0)


def test_a_reader_gets_what_comes_while_it_waits():
    queue: ByteQueue[str] = ByteQueue(10)
    writer = threading.Timer(0.05, queue.put, ("late", 1, 1.0))
    writer.start()
    assert queue.get(timeout=10.0) == "late"
    writer.join()


def test_a_writer_goes_on_as_soon_as_there_is_room():
    queue: ByteQueue[str] = ByteQueue(10)
    queue.put("first", 10, timeout=0.0)
    reader = threading.Timer(0.05, queue.get, (1.0,))
    reader.start()
    assert queue.put("second", 10, timeout=10.0)
    reader.join()
    assert queue.get(timeout=0.0) == "second"


def test_nothing_in_time_is_an_error_that_says_so():
    with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
        ByteQueue(10).get(timeout=0.01)


def test_a_queue_without_room_is_refused():
    with pytest.raises(ValueError, match="1 byte or more, got 0"):
        ByteQueue(0)
