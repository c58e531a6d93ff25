# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A model bundle with real engines, and real nodes that are spun until something happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest


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

    def collect_packets(self, topic: str = "/v2x/bev_indices", qos: Any = 10) -> list[Any]:
        """A list that grows with every packet of a topic; see `packet_messages.Heard`."""
        from quantv2x_msgs.msg import BevIndices
        from test.nodes.packet_messages import heard

        packets: list[Any] = []
        self.node.create_subscription(
            BevIndices, topic, lambda message: packets.append(heard(message)), qos
        )
        return packets

    def spin_until(self, condition: Callable[[], Any], timeout: float = 90.0) -> None:
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


@pytest.fixture(scope="session")
def make_ros() -> type[Ros]:
    """Makes what `ros` is, for fixtures that serve several tests; to be closed before the next."""
    return Ros


@pytest.fixture
def ros() -> Iterator[Ros]:
    """Fresh nodes for a test."""
    system = Ros()
    yield system
    system.close()


class Manager:
    """Drives the node of a name by its lifecycle services, as a lifecycle manager does."""

    def __init__(self, ros: Ros, name: str) -> None:
        from lifecycle_msgs.srv import ChangeState, GetState

        self._ros = ros
        self._change = ros.node.create_client(ChangeState, f"{name}/change_state")
        self._get = ros.node.create_client(GetState, f"{name}/get_state")
        services = (self._change, self._get)
        ros.spin_until(lambda: all(service.service_is_ready() for service in services))

    def _call(self, client: Any, request: Any) -> Any:
        future = client.call_async(request)
        self._ros.spin_until(future.done, timeout=300.0)
        return future.result()

    def change(self, transition: int) -> bool:
        """Whether a transition (lifecycle_msgs/Transition) has succeeded."""
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        request = ChangeState.Request(transition=Transition(id=transition))
        return bool(self._call(self._change, request).success)

    @property
    def state(self) -> int:
        """The state that the node says it is in (lifecycle_msgs/State)."""
        from lifecycle_msgs.srv import GetState

        return int(self._call(self._get, GetState.Request()).current_state.id)

    def configure(self) -> bool:
        return self.change(1)

    def cleanup(self) -> bool:
        return self.change(2)

    def activate(self) -> bool:
        return self.change(3)

    def deactivate(self) -> bool:
        return self.change(4)


@pytest.fixture
def manage(ros: Ros) -> Callable[[Any], Manager]:
    """Makes the manager of a node, or of the node with a full name in another process."""

    def make(node: Any) -> Manager:
        return Manager(ros, node if isinstance(node, str) else node.get_fully_qualified_name())

    return make


class Sensors:
    """Clouds and poses for an encoder, and what it sends."""

    def __init__(self, ros: Ros) -> None:
        from geometry_msgs.msg import PoseWithCovarianceStamped
        from sensor_msgs.msg import PointCloud2

        from quantv2x_msgs.msg import BevIndices

        self._ros = ros
        random = np.random.default_rng(5).uniform((-20, -20, -2, 0), (20, 20, 1, 1), (3000, 4))
        self._points = random.astype(np.float32)
        self.clouds = ros.node.create_publisher(PointCloud2, "points", 10)
        self.poses = ros.node.create_publisher(PoseWithCovarianceStamped, "pose", 10)
        self.indices = ros.collect_packets()
        self.air = ros.node.create_publisher(BevIndices, "/v2x/bev_indices", 100)

    def send(self, second: int) -> None:
        self.send_pose(second)
        self.send_cloud(second)

    def send_pose(self, second: int) -> None:
        from geometry_msgs.msg import PoseWithCovarianceStamped

        message = PoseWithCovarianceStamped(header=self._header(second, "map"))
        message.pose.pose.orientation.w = 1.0
        self.poses.publish(message)

    def send_cloud(self, second: int) -> None:
        from quantv2x_ros.nodes.common.point_cloud import message_from_points

        self.clouds.publish(message_from_points(self._points, self._header(second, "lidar")))

    def connect(self) -> None:
        """Wait until somebody listens."""
        self._ros.connect(self.clouds, self.poses)

    def silent(self) -> bool:
        """Whether nothing comes of a sweep."""
        before = len(self.indices)
        self.send(50)
        self._ros.spin_for(0.5)
        return len(self.indices) == before

    def heard(self, second: int) -> Any:
        """Send a sweep and return what comes of it."""
        before = len(self.indices)
        self.send(second)
        self._ros.spin_until(lambda: len(self.indices) > before)
        return self.indices[-1]

    @staticmethod
    def _header(second: int, frame: str) -> Any:
        from builtin_interfaces.msg import Time
        from std_msgs.msg import Header

        return Header(stamp=Time(sec=second), frame_id=frame)


@pytest.fixture
def sensors(ros: Ros) -> Sensors:
    """A LiDAR and a localization."""
    return Sensors(ros)


@pytest.fixture
def parameters(bundle_folder: Path) -> Callable[..., list[Any]]:
    """Makes parameter overrides for a node with the test's bundle.

    Encoders keep no law of a radio unless a test asks for it: tests send as fast as they can.
    """
    from rclpy.parameter import Parameter

    def make(**values: Any) -> list[Any]:
        fixed = {"bundle": str(bundle_folder), "threads": 1, "diagnostics_period": 0.1}
        merged = {**fixed, "radio": "none", **values}
        return [Parameter(name, value=value) for name, value in merged.items()]

    return make


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Waits for what other threads or processes do; fails the test when that takes too long."""

    def wait(condition: Callable[[], Any], timeout: float = 120.0) -> None:
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"not within {timeout} s"
            time.sleep(0.05)

    return wait
