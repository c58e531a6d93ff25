# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Nodes as lifecycle nodes: by themselves, or by the services of a lifecycle manager."""

from __future__ import annotations

import gc
import threading
import urllib.error
import urllib.request
import weakref

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from rclpy.parameter import Parameter
from sensor_msgs.msg import PointCloud2

from quantv2x_msgs.msg import BevIndices, DetectedObject3DArray
from quantv2x_ros.graph.parameters.parameter import ParameterError
from quantv2x_ros.nodes.channel import ChannelNode
from quantv2x_ros.nodes.ego import create_ego
from quantv2x_ros.nodes.encoder.encoder import EncoderNode
from quantv2x_ros.nodes.fusion.fusion import FusionNode
from quantv2x_ros.nodes.replay.replay import ReplayNode
from quantv2x_ros.nodes.viewer import ViewerNode
from test.nodes.packet_messages import message_with, plain_packet

SECOND = 1_000_000_000
UNCONFIGURED, INACTIVE, ACTIVE, FINALIZED = (
    State.PRIMARY_STATE_UNCONFIGURED,
    State.PRIMARY_STATE_INACTIVE,
    State.PRIMARY_STATE_ACTIVE,
    State.PRIMARY_STATE_FINALIZED,
)


def waiting(kind, ros, overrides):
    return ros.add(kind(parameter_overrides=[*overrides, Parameter("autostart", value=False)]))


def test_an_encoder_goes_through_its_whole_life_by_the_services(ros, manage, sensors, parameters):
    node = waiting(EncoderNode, ros, parameters(station_id=7, max_payload_bytes=0))
    manager = manage(node)
    assert manager.state == UNCONFIGURED
    assert not manager.activate(), "without an engine"
    assert manager.configure()
    assert manager.state == INACTIVE
    assert sensors.clouds.get_subscription_count() == 0, "nobody is to begin to send"
    assert sensors.silent()
    assert manager.activate()
    sensors.connect()
    first = sensors.heard(10)
    engine = node._engine
    assert manager.deactivate()
    ros.spin_until(lambda: sensors.clouds.get_subscription_count() == 0)
    assert sensors.silent()
    assert manager.activate()
    sensors.connect()
    assert node._engine is engine, "the engine is kept"
    assert sensors.heard(11).payload == first.payload
    assert manager.deactivate()
    assert manager.cleanup()
    assert manager.state == UNCONFIGURED
    freed = weakref.ref(engine)
    del engine
    gc.collect()
    assert freed() is None, "the engine is freed"
    assert [p.topic_name for p in node.publishers if "v2x" in p.topic_name] == []
    assert manager.configure()
    assert manager.activate()
    sensors.connect()
    assert sensors.heard(12).payload == first.payload
    assert manager.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert manager.state == FINALIZED
    assert node.finished


def test_fusion_keeps_its_engines_when_deactivated_and_frees_them_on_cleanup(
    ros, manage, sensors, parameters
):
    # one message a sweep: of several a busy machine may bring one too late
    whole = parameters(station_id=1, max_payload_bytes=0)
    encoder = ros.add(EncoderNode(parameter_overrides=whole))
    fusion = waiting(FusionNode, ros, parameters(station_id=1, clock_tolerance=60.0))
    manager = manage(fusion)
    objects = ros.collect(DetectedObject3DArray, "objects")
    sensors.connect()
    threads = threading.active_count()

    def fused(second):
        before = len(objects)
        sensors.send(second)
        ros.spin_until(lambda: len(objects) > before)
        return [item.score for item in objects[-1].objects]

    assert manager.configure()
    sensors.heard(10)
    ros.spin_for(0.3)
    assert objects == []
    assert manager.activate()
    ros.spin_until(lambda: encoder.count_subscribers("/v2x/bev_indices") == 2)
    ros.spin_for(0.3)
    first = fused(11)
    worker, detector = weakref.ref(fusion._worker), weakref.ref(fusion._worker._detector)
    assert manager.deactivate()
    sensors.heard(12)
    ros.spin_for(0.5)
    assert len(objects) == 1
    assert manager.activate()
    ros.spin_for(0.5)
    assert fused(13) == first
    assert fusion._worker is worker()
    assert manager.deactivate()
    assert manager.cleanup()
    gc.collect()
    assert worker() is None
    assert detector() is None
    assert threading.active_count() == threads
    assert manager.configure()
    assert manager.activate()
    ros.spin_for(0.5)
    assert fused(14) == first


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"bundle": "/nowhere"}, "/nowhere"),
        ({"backend": "abacus"}, "abacus"),
        ({"levels": 9}, "levels"),
    ],
)
def test_a_configure_that_cannot_be_says_why_and_can_be_tried_again(
    ros, manage, parameters, capfd, values, text
):
    node = waiting(EncoderNode, ros, parameters(**values))
    manager = manage(node)
    assert not manager.configure()
    assert manager.state == UNCONFIGURED
    assert node.failure is None
    error = capfd.readouterr().err
    assert "cannot configure: " in error
    assert text in error
    assert not manager.configure(), "it fails again, and lives on"
    assert manager.state == UNCONFIGURED


def test_a_misspelt_parameter_fails_the_configuration_once_all_nodes_of_the_process_know_theirs(
    ros, manage, parameters, capfd
):
    node = waiting(EncoderNode, ros, parameters(pose_timeuot=0.2))
    node.companions = [node]
    manager = manage(node)
    assert not manager.configure()
    assert "no parameter pose_timeuot; did you mean pose_timeout" in capfd.readouterr().err


def test_by_itself_a_node_configures_and_activates(ros, manage, parameters):
    node = ros.add(EncoderNode(parameter_overrides=parameters()))
    assert manage(node).state == ACTIVE


def test_diagnostics_tell_the_state(ros, manage, parameters):
    node = waiting(EncoderNode, ros, parameters())
    manager = manage(node)
    heard = ros.collect(DiagnosticArray, "/diagnostics")

    def told(state):
        ros.spin_until(
            lambda: (
                heard and {v.key: v.value for v in heard[-1].status[0].values}["lifecycle"] == state
            )
        )
        return heard[-1].status[0]

    assert told("unconfigured").level == b"\0"
    manager.configure()
    assert told("inactive").level == b"\0", "silence is no fault of a node that is inactive"
    manager.activate()
    told("active")


def test_in_one_process_the_encoder_works_on_while_fusion_is_away(ros, manage, sensors, parameters):
    encoder, fusion = create_ego(parameter_overrides=parameters(clock_tolerance=60.0))
    ros.add(encoder), ros.add(fusion)
    manager = manage(fusion)
    objects = ros.collect(DetectedObject3DArray, "objects")
    sensors.connect()
    sensors.send(10)
    ros.spin_until(lambda: objects)
    assert manager.deactivate()
    sensors.heard(11)
    assert manager.cleanup()
    sensors.heard(12)
    ros.spin_for(0.3)
    assert len(objects) == 1
    assert manager.configure()
    assert manager.activate()
    sensors.send(13)
    ros.spin_until(lambda: len(objects) == 2)


def test_a_channel_lets_nothing_pass_while_it_is_inactive(ros, manage):
    node = ros.add(ChannelNode())
    manager = manage(node)
    sent = ros.node.create_publisher(BevIndices, "/v2x/bev_indices_sent", 10)
    heard = ros.collect(BevIndices, "/v2x/bev_indices")
    ros.connect(sent)
    sent.publish(message_with(plain_packet()))
    ros.spin_until(lambda: len(heard) == 1)
    assert manager.deactivate()
    ros.spin_until(lambda: sent.get_subscription_count() == 0)
    assert manager.activate()
    ros.connect(sent)
    sent.publish(message_with(plain_packet()))
    ros.spin_until(lambda: len(heard) == 2)


def test_a_viewer_frees_its_port_on_cleanup(ros, manage):
    node = waiting(ViewerNode, ros, [Parameter("port", value=0)])
    manager = manage(node)
    assert manager.configure()
    url = node.url
    assert urllib.request.urlopen(url, timeout=10).status == 200
    assert manager.activate()
    assert manager.deactivate()
    assert manager.cleanup()
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(url, timeout=2)


def test_a_replay_plays_from_the_beginning_each_time_it_is_activated(ros, manage, scenario_folder):
    values = {"path": str(scenario_folder), "agents": "1", "wait_for": "any", "settle": 0.0}
    values = {**values, "rate": 5.0, "exit_at_end": False}
    node = waiting(ReplayNode, ros, [Parameter(n, value=v) for n, v in values.items()])
    manager = manage(node)
    clouds = ros.collect(PointCloud2, "points")
    assert manager.configure()
    ros.spin_for(0.5)
    assert clouds == []
    for time in (1, 2):
        assert manager.activate()
        ros.spin_until(lambda wanted=6 * time: len(clouds) >= wanted)
        assert manager.deactivate()
    stamps = [
        message.header.stamp.sec * SECOND + message.header.stamp.nanosec for message in clouds
    ]
    assert stamps[:6] == sorted(stamps[:6])
    assert stamps[6:12] == stamps[:6]


@pytest.mark.parametrize("kind", [EncoderNode, FusionNode])
def test_a_node_that_cannot_start_leaves_nothing_of_itself(ros, parameters, kind):
    with pytest.raises(ParameterError, match="abacus"):
        kind(parameter_overrides=parameters(backend="abacus"))
    ros.spin_for(0.3)
    assert ros.node.get_node_names() == ["probe"]
