# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service: every topic's can be overridden, and what does not fit is said in words."""

from __future__ import annotations

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import State
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.nodes.encoder.encoder import EncoderNode
from quantv2x_ros.nodes.fusion.fusion import FusionNode

WANTED = "qos_overrides./points.subscription.reliability"
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
SENTENCE = "incompatible QoS on /points: nothing of /car/driver is heard: Best effort publisher"


@pytest.fixture
def driver(ros):
    """A node that offers its clouds best effort."""
    node = ros.add(rclpy.create_node("driver", namespace="car"))
    node.create_publisher(PointCloud2, "/points", BEST_EFFORT)
    return node


def statuses_of(ros, name):
    messages = ros.collect(DiagnosticArray, "/diagnostics")

    def latest():
        found = [s for m in messages for s in m.status if s.name == name]
        return found[-1] if found else None

    return latest


def test_a_publisher_that_cannot_be_heard_is_named_with_topic_and_policy(
    ros, parameters, driver, capfd
):
    overrides = [*parameters(min_rate=0.0), Parameter(WANTED, value="reliable")]
    ros.add(EncoderNode(parameter_overrides=overrides))
    status = statuses_of(ros, "/encoder")
    ros.spin_until(lambda: status() and SENTENCE in status().message)
    assert status().level == DiagnosticStatus.WARN
    ros.spin_for(0.5)
    lines = [line for line in capfd.readouterr().err.splitlines() if "[encoder]" in line]
    lines = [line for line in lines if "incompatible QoS" in line]
    assert len(lines) == 1, "it is said once"
    assert SENTENCE in lines[0]
    ros.remove(driver)
    ros.spin_until(lambda: status().level == DiagnosticStatus.OK)


def test_a_subscriber_that_cannot_hear_is_named(ros, parameters):
    reliability = "qos_overrides./v2x/bev_indices.publisher.reliability"
    overrides = [*parameters(min_rate=0.0), Parameter(reliability, value="best_effort")]
    ros.add(EncoderNode(parameter_overrides=overrides))
    ros.node.create_subscription(BevIndices, "/v2x/bev_indices", lambda _: None, 10)
    status = statuses_of(ros, "/encoder")
    text = "incompatible QoS on /v2x/bev_indices: /probe hears nothing: Best effort publisher"
    ros.spin_until(lambda: status() and text in status().message)


@pytest.mark.parametrize("topic", ["/objects", "/markers", "/diagnostics", "/v2x/codebook"])
def test_the_policies_of_every_topic_can_be_overridden(ros, parameters, topic):
    codebook = topic == "/v2x/codebook"
    side, kind = ("subscription", "subscriptions") if codebook else ("publisher", "publishers")
    override = Parameter(f"qos_overrides.{topic}.{side}.reliability", value="best_effort")
    node = ros.add(FusionNode(parameter_overrides=[*parameters(), override]))
    (info,) = getattr(node, f"get_{kind}_info_by_topic")(topic)
    assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT


def test_overrides_hold_where_a_manager_starts_the_node_and_misspelt_ones_are_refused(
    ros, parameters, manage
):
    override = Parameter(WANTED, value="reliable")
    values = parameters(autostart=False)
    node = ros.add(EncoderNode(parameter_overrides=[*values, override]))
    node.companions = [node]
    manager = manage(node)
    assert manager.configure()
    assert manager.activate()
    (info,) = node.get_subscriptions_info_by_topic("/points")
    assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    ros.remove(node)
    override = Parameter("qos_overrides./pionts.subscription.reliability", value="reliable")
    node = ros.add(EncoderNode(parameter_overrides=[*values, override]))
    node.companions = [node]
    manager = manage(node)
    assert manager.configure()
    assert not manager.activate()
    assert manager.state == State.PRIMARY_STATE_INACTIVE


def test_policies_that_fit_are_not_spoken_of(ros, parameters, capfd):
    ros.add(EncoderNode(parameter_overrides=parameters()))
    publisher = ros.node.create_publisher(PointCloud2, "points", 1)
    heard = ros.collect(DiagnosticArray, "/diagnostics")
    ros.connect(publisher)
    ros.spin_until(lambda: heard)
    assert "incompatible" not in capfd.readouterr().err
