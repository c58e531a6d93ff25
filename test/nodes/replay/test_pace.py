# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Replay at the pace of the boxes: each sweep waits for what came of the one before."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2

from quantv2x_msgs.msg import DetectedObject3DArray
from quantv2x_ros.nodes.replay.replay import ReplayNode

RELIABLE = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)


class Answering:
    """Hears the clouds of ego and peer, and answers the ego's with boxes when it is told to."""

    def __init__(self, ros):
        self.ros = ros
        self.heard: list[tuple[str, int]] = []
        self.boxes = ros.node.create_publisher(DetectedObject3DArray, "objects", RELIABLE)
        for name, topic in (("ego", "points"), ("peer", "agent_2/points")):
            ros.node.create_subscription(PointCloud2, topic, self._hear(name), RELIABLE)

    def _hear(self, name):
        def heard(message):
            self.heard.append((name, message.header.stamp.nanosec // 1_000_000))
            self.last = message.header if name == "ego" else getattr(self, "last", None)

        return heard

    def answer(self):
        self.boxes.publish(DetectedObject3DArray(header=self.last))

    def spin(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.ros.executor.spin_once(timeout_sec=0.02)

    def of(self, name):
        return [stamp for who, stamp in self.heard if who == name]


def replay(parameters, scenario_folder, **values):
    settings = {"path": str(scenario_folder), "agents": "1,2", "wait_for": "any", "settle": 0.3}
    return ReplayNode(
        parameter_overrides=parameters(**settings, pace="results", exit_at_end=False, **values)
    )


def test_the_next_sweeps_leave_when_the_boxes_of_the_last_are_out(ros, parameters, scenario_folder):
    fusion = Answering(ros)
    ros.add(replay(parameters, scenario_folder))
    ros.spin_until(lambda: len(fusion.of("ego")) == 1)
    for frames in (1, 2, 3):
        fusion.spin(0.5)
        assert len(fusion.of("ego")) == frames, "nothing is played ahead of the boxes"
        assert fusion.of("peer") == fusion.of("ego"), "a frame's sweeps leave together"
        fusion.answer()
        ros.spin_until(lambda count=frames + 1: len(fusion.of("peer")) == count)


def test_boxes_of_an_earlier_sweep_let_nothing_go_on(ros, parameters, scenario_folder):
    fusion = Answering(ros)
    ros.add(replay(parameters, scenario_folder))
    ros.spin_until(lambda: len(fusion.of("peer")) == 1)
    first = fusion.last
    fusion.answer()
    ros.spin_until(lambda: len(fusion.of("peer")) == 2)
    fusion.boxes.publish(DetectedObject3DArray(header=first))
    fusion.spin(0.5)
    assert len(fusion.of("ego")) == 2


def test_it_does_not_begin_before_somebody_publishes_boxes(ros, parameters, scenario_folder):
    clouds = ros.collect(PointCloud2, "points")
    ros.collect(PointCloud2, "agent_2/points")
    ros.add(replay(parameters, scenario_folder))
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        ros.executor.spin_once(timeout_sec=0.02)
    assert not clouds
    ros.node.create_publisher(DetectedObject3DArray, "objects", RELIABLE)
    ros.spin_until(lambda: clouds)


def test_a_sweep_that_brings_no_boxes_holds_the_recording_up_for_a_bounded_time(
    ros, parameters, scenario_folder
):
    fusion = Answering(ros)
    node = ros.add(replay(parameters, scenario_folder, result_timeout=0.4))
    ros.spin_until(lambda: len(fusion.of("ego")) >= 3)
    assert int(node.report()[1]["sweeps without boxes"]) >= 2


def test_it_is_no_faster_than_its_rate(ros, parameters, scenario_folder):
    fusion = Answering(ros)
    ros.add(replay(parameters, scenario_folder, rate=0.1))
    ros.spin_until(lambda: len(fusion.of("peer")) == 1)
    fusion.answer()
    fusion.spin(0.5)
    assert len(fusion.of("ego")) == 1, "a second lies between two sweeps at a tenth of real time"
