# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A model bundle with real engines, and real nodes that are spun until something happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Compiled engines of tests stay out of the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


class Ros:
    """Nodes in one executor, which is spun by hand."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        rclpy.init(args=["test"])
        self.executor = SingleThreadedExecutor()
        self.nodes: list[Any] = []
        self.node = self.add(rclpy.create_node("probe"))

    def add(self, node: Any) -> Any:
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def remove(self, node: Any) -> None:
        self.nodes.remove(node)
        self.executor.remove_node(node)
        node.destroy_node()

    def collect(self, message_type: Any, topic: str, qos: Any = 10) -> list[Any]:
        """A list that grows with every message of a topic."""
        messages: list[Any] = []
        self.node.create_subscription(message_type, topic, messages.append, qos)
        return messages

    def spin_until(self, condition: Callable[[], Any], timeout: float = 30.0) -> None:
        """Spin until a condition holds; fail the test when that takes too long."""
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"not within {timeout} s"
            self.executor.spin_once(timeout_sec=0.02)

    def spin_for(self, seconds: float) -> None:
        """Spin for some time, to see that something does not happen."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def connect(self, *publishers: Any) -> None:
        """Wait until every publisher has a subscriber."""
        self.spin_until(lambda: all(item.get_subscription_count() for item in publishers))
        self.spin_for(0.2)

    def close(self) -> None:
        import rclpy

        for node in self.nodes:
            node.destroy_node()
        self.executor.shutdown()
        rclpy.try_shutdown()


@pytest.fixture
def ros() -> Iterator[Ros]:
    """Fresh nodes for a test."""
    system = Ros()
    yield system
    system.close()


@pytest.fixture
def parameters(bundle_folder: Path) -> Callable[..., list[Any]]:
    """Makes parameter overrides for a node with the test's bundle."""
    from rclpy.parameter import Parameter

    def make(**values: Any) -> list[Any]:
        merged = {"bundle": str(bundle_folder), "threads": 1, "diagnostics_period": 0.1, **values}
        return [Parameter(name, value=value) for name, value in merged.items()]

    return make
