# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An encoder says itself what receivers refuse of it."""

from __future__ import annotations

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped

from quantv2x_ros.nodes.encoder.encoder import EncoderNode


@pytest.fixture
def status(ros, parameters, sensors):
    """A running encoder; returns what gives its newest status."""
    values = {"crop_ego_body": False, "min_rate": 0.0, "stage_limits": ""}
    ros.add(EncoderNode(parameter_overrides=parameters(**values)))
    heard = ros.collect(DiagnosticArray, "/diagnostics")
    sensors.connect()
    return lambda: heard[-1].status[0] if heard else DiagnosticStatus()


def now(ros):
    return ros.node.get_clock().now().nanoseconds // 10**9


def test_stamps_of_another_time_scale_are_said_by_the_station_itself(ros, sensors, status):
    sensors.heard(now(ros) + 37)
    ros.spin_until(lambda: "ahead of this computer's clock" in status().message)
    assert status().level == DiagnosticStatus.WARN
    assert "TAI" in status().message
    assert "clock_tolerance" in status().message


def test_a_pose_that_no_receiver_takes_is_said_by_the_station_itself(ros, sensors, status):
    second = now(ros)
    pose = PoseWithCovarianceStamped()
    pose.header.stamp.sec, pose.header.frame_id = second, "map"
    pose.pose.pose.orientation.w = 1.0
    pose.pose.covariance[0] = 25.0
    sensors.poses.publish(pose)
    ros.spin_for(0.3)
    sensors.send_cloud(second)
    ros.spin_until(lambda: "5 m, allowed are 2 m" in status().message)
    assert status().level == DiagnosticStatus.WARN
    assert "max_position_sigma" in status().message
    sensors.heard(second + 1)
    ros.spin_until(lambda: status().level == DiagnosticStatus.OK)
