# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters that are changed while a node works: checked, and applied to the next sweep."""

from __future__ import annotations

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter

from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.encoder.encoder import EncoderNode
from quantv2x_ros.nodes.fusion.fusion import FusionNode


class Remote:
    """Sets a node's parameters by its service, as `ros2 param set` does."""

    def __init__(self, ros, node):
        self.ros = ros
        name = f"{node.get_fully_qualified_name()}/set_parameters_atomically"
        self._client = ros.node.create_client(SetParametersAtomically, name)
        ros.spin_until(self._client.service_is_ready)

    def set(self, **values):
        """Set all, or none; returns why not."""
        request = SetParametersAtomically.Request(
            parameters=[Parameter(n, value=v).to_parameter_msg() for n, v in values.items()]
        )
        future = self._client.call_async(request)
        self.ros.spin_until(future.done)
        result = future.result().result
        assert result.successful == (not result.reason)
        return result.reason


def test_the_score_threshold_is_the_bundles_until_it_is_set(ros, parameters, bundle_folder):
    fusion = ros.add(FusionNode(parameter_overrides=parameters()))
    remote, detector = Remote(ros, fusion), fusion._worker._detector
    bundle = ModelBundle.load(bundle_folder)
    assert detector.detection == bundle.detection
    assert remote.set(score_threshold=0.6) == ""
    assert detector.detection == bundle.with_score_threshold(0.6).detection
    assert "score_threshold" in remote.set(score_threshold=1.5)
    assert detector.detection.score_threshold == 0.6
    assert remote.set(score_threshold=-1.0) == ""
    assert detector.detection == bundle.detection, "of each class"


def test_timeouts_of_fusion_are_applied_and_checked(ros, parameters):
    fusion = ros.add(FusionNode(parameter_overrides=parameters()))
    remote = Remote(ros, fusion)
    assert remote.set(peer_timeout=0.7, peer_wait=0.2, tile_timeout=0.3) == ""
    collector = fusion._worker._receiver.collector
    assert (collector.peer_timeout, collector.peer_wait) == (0.7, 0.2)
    assert fusion._input.reception.tile_timeout == 0.3
    assert "peer_wait" in remote.set(peer_timeout=0.5, peer_wait=61.0)
    assert collector.peer_timeout == 0.7, "all or nothing"
    assert "read-only" in remote.set(max_peers=3)


def test_a_smaller_budget_makes_the_next_sweep_smaller(ros, sensors, parameters):
    node = ros.add(EncoderNode(parameter_overrides=parameters(max_payload_bytes=0)))
    remote = Remote(ros, node)
    sensors.connect()
    whole = len(sensors.heard(10).data)
    assert remote.set(max_bytes_per_frame=whole // 2) == ""
    assert 0 < len(sensors.heard(11).data) <= whole // 2
    assert remote.set(max_bytes_per_frame=0) == ""
    assert len(sensors.heard(12).data) == whole
    assert "max_bytes_per_frame" in remote.set(max_bytes_per_frame=-1)


def test_a_longer_wait_for_poses_holds_for_the_next_sweep(ros, sensors, parameters):
    node = ros.add(EncoderNode(parameter_overrides=parameters(pose_timeout=0.05)))
    remote = Remote(ros, node)
    sensors.connect()
    assert remote.set(pose_timeout=10.0) == ""
    sensors.send_cloud(10)
    ros.spin_for(0.5)
    sensors.send_pose(10)
    ros.spin_until(lambda: sensors.indices)
