# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Two vehicles with DDS domains of their own, between which only the air is bridged.

By the package domain_bridge, with what `config/v2x_bridge.yaml` tells it, played here; or by the
radios of both, as datagrams.
"""

from __future__ import annotations

import importlib
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest
import yaml

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2

from quantv2x_msgs.msg import DetectedObject3DArray
from quantv2x_ros.graph.graph import cooperative_graph, with_radio
from quantv2x_ros.graph.processes import ProcessGraph
from quantv2x_ros.graph.replay_source import ReplaySource
from quantv2x_ros.graph.settings import GraphSettings

#: The two replays do not start at the same moment.
PATIENT = """
/**/fusion:
  ros__parameters: {peer_timeout: 3.0, clock_tolerance: 10.0}
"""


class Domain:
    """A participant in a domain, spun by a thread of its own."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._context = Context()
        rclpy.init(args=["test"], context=self._context, domain_id=number)
        self.node = Node(f"bridge_{number}", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _spin(self) -> None:
        while not self._ending.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()


def profile(written: dict[str, object]) -> QoSProfile:
    return QoSProfile(
        reliability=ReliabilityPolicy[str(written["reliability"]).upper()],
        durability=DurabilityPolicy[str(written["durability"]).upper()],
        history=HistoryPolicy[str(written["history"]).upper()],
        depth=written["depth"],
    )


def bridge(topic: str, settings: dict[str, object], one: Domain, other: Domain) -> None:
    """Pass a topic's messages both ways, but not back."""
    package, _, name = str(settings["type"]).split("/")
    kind = getattr(importlib.import_module(f"{package}.msg"), name)
    assert settings["bidirectional"] is True
    policies = profile(settings["qos"])
    passed: set[bytes] = set()

    def relay(publisher, data: bytes) -> None:
        if data not in passed:
            passed.add(data)
            publisher.publish(data)

    for source, sink in ((one, other), (other, one)):
        publisher = sink.node.create_publisher(kind, f"/{topic}", policies)
        source.node.create_subscription(
            kind, f"/{topic}", partial(relay, publisher), policies, raw=True
        )


@pytest.fixture
def domains() -> Iterator[tuple[Domain, Domain]]:
    """Two domains that no other test uses at the same time."""
    first = 1 + (int(os.environ["ROS_DOMAIN_ID"]) + 10) % 100
    both = Domain(first), Domain(first + 1)
    yield both
    for domain in both:
        domain.close()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        return int(any_socket.getsockname()[1])


@pytest.mark.parametrize("link", ["domain_bridge", "radio"])
def test_vehicles_in_two_domains_fuse_each_other_and_share_nothing_but_the_air(
    domains, repository, bundle_folder, scenario_folder, tmp_path, wait_until, link
):
    if link == "domain_bridge":
        config = yaml.safe_load((repository / "config" / "v2x_bridge.yaml").read_text("utf-8"))
        for topic, settings in config["topics"].items():
            bridge(topic, settings, *domains)
    (tmp_path / "patient.yaml").write_text(PATIENT)
    ports = [free_port(), free_port()]
    fused: list[list[tuple[int, ...]]] = [[], []]
    clouds: list[set[str]] = [set(), set()]
    with ExitStack() as stack:
        for number, (domain, agent) in enumerate(zip(domains, ("1", "2"), strict=True)):
            domain.node.create_subscription(
                DetectedObject3DArray,
                "/objects",
                lambda m, n=number: fused[n].append(tuple(m.contributing_stations)),
                50,
            )
            domain.node.create_subscription(
                PointCloud2, "/points", lambda m, n=number: clouds[n].add(m.header.frame_id), 5
            )
            domain.start()
            settings = GraphSettings(
                bundle=str(bundle_folder),
                replay=str(scenario_folder),
                agents=f"{agent},",
                rate=0.3,
                loop=True,
                threads=1,
            )
            nodes = cooperative_graph(settings, ReplaySource.find(settings.replay, settings.agents))
            if link == "radio":
                there = f"127.0.0.1:{ports[1 - number]}"
                here = {"address": "127.0.0.1", "port": ports[number], "send_to": there}
                nodes = with_radio(nodes, here)
            graph = ProcessGraph(
                nodes,
                params_files=[str(tmp_path / "patient.yaml")],
                environment={**os.environ, "ROS_DOMAIN_ID": str(domain.number)},
                log_file=tmp_path / f"{agent}.log",
            )
            stack.enter_context(graph)
        wait_until(lambda: (1, 2) in fused[0] and (2, 1) in fused[1])
        for domain in domains:
            names = [name for name, _ in domain.node.get_node_names_and_namespaces()]
            radios = ["radio"] if link == "radio" else []
            own = ["encoder", "fusion", "replay", domain.node.get_name()]
            assert sorted(names) == sorted([*own, *radios])
            assert len(domain.node.get_publishers_info_by_topic("/points")) == 1
    assert clouds == [{"agent_1/lidar"}, {"agent_2/lidar"}]
