# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The publication of a fused frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from quantv2x_msgs.msg import DetectedObject3DArray
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.peers.peer_ledger import PeerEntry
from quantv2x_ros.core.transport.reception import TileCounts
from quantv2x_ros.inference.results import FusionResult
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.conversions import time_message
from quantv2x_ros.nodes.fusion import autoware_objects, objects
from quantv2x_ros.nodes.fusion.fusion_worker import FusionOutcome
from quantv2x_ros.nodes.fusion.markers import FusedAgent, fusion_markers
from quantv2x_ros.nodes.fusion.objects import Contributor


def heard_values(
    entries: Mapping[int, PeerEntry], counts: Mapping[int, TileCounts], now: float
) -> dict[str, str]:
    """Return received, lost and refused sweeps of every station.

    Args:
        entries: entries of the ledger, by station.
        counts: counters of the reception.
        now: present time of the steady clock, seconds.
    """
    values = {}
    for station, entry in entries.items():
        name = f"station {station}"
        if entry.heard is not None:
            values[f"{name} heard [s ago]"] = f"{now - entry.heard:.1f}"
        if station in counts:
            count = counts[station]
            values[f"{name} tiles"] = f"{count.received} received, {count.lost} lost"
            values[f"{name} sweeps"] = f"{count.sweeps} heard, {count.missed} missed"
        if entry.refused is not None:
            ago = now - entry.refused
            values[f"{name} last refusal"] = (
                f"{entry.reason}: {entry.text} ({ago:.1f} s ago, {entry.refusals} in all)"
            )
    return values


def fused_values(outcome: FusionOutcome) -> dict[str, str]:
    """Return bytes, age and doubts of every station in the last fused frame."""
    values = {"objects": str(len(outcome.result.detections))}
    for station, found in outcome.frame.alignments.items():
        values[f"station {station} pose corrected by [m]"] = f"{found.shift:.2f}"
    for station, reason in outcome.frame.suspects.items():
        values[f"station {station} is suspect"] = reason
    ego = outcome.frame.sweeps[0]
    for report in outcome.result.reports:
        name = f"station {report.station_id} reported"
        values[f"{name} objects"] = str(len(report.detections))
        values[f"{name} age [ms]"] = f"{(ego.stamp_ns - report.stamp_ns) / 1e6:.1f}"
    for sweep in outcome.frame.sweeps:
        values[f"station {sweep.station_id} [B]"] = str(sweep.payload_bytes)
        age = (ego.stamp_ns - sweep.stamp_ns) / 1e6
        values[f"station {sweep.station_id} age [ms]"] = f"{age:.1f}"
    return values


class FusionOutput:
    """The publishers of ``objects``, ``markers``, and of what other stacks take.

    That is ``detections`` where vision_msgs is installed, ``detected_objects`` and
    ``tracked_objects`` where autoware_perception_msgs is.
    """

    def __init__(self, node: Node, classes: Sequence[str], grid: BevGrid) -> None:
        """Create the publishers.

        Args:
            node: node that publishes.
            classes: names of the classes; a detection's label is the 1-based index.
            grid: grid of the maps that are fused.
        """
        self._classes = classes
        self._grid = grid
        self._objects = node.create_publisher(DetectedObject3DArray, "objects", qos.output())
        self._markers = node.create_publisher(MarkerArray, "markers", qos.output())
        self._autoware = _autoware_publishers(node)
        self._detections = (
            node.create_publisher(objects.VISION_MESSAGE, "detections", qos.output())
            if objects.VISION_MESSAGE is not None
            else None
        )

    def publish(self, outcome: FusionOutcome) -> None:
        """Publish a frame; markers only where somebody looks at them."""
        ego = outcome.frame.sweeps[0]
        fused = [
            Contributor(sweep.station_id, ego.stamp_ns - sweep.stamp_ns)
            for sweep in outcome.frame.sweeps
        ]
        reported = [
            Contributor(report.station_id, ego.stamp_ns - report.stamp_ns)
            for report in outcome.result.reports
        ]
        frame = objects.FusedFrame(
            header=Header(stamp=time_message(ego.stamp_ns), frame_id=ego.frame_id),
            classes=self._classes,
            detections=outcome.result.detections,
            stations=[sweep.station_id for sweep in outcome.frame.sweeps],
            contributors=_contributors(outcome.result, fused, reported),
            to_frame=ego.to_frame,
            tracked=outcome.tracked,
        )
        self._objects.publish(objects.objects_message(frame))
        if self._markers.get_subscription_count():
            agents = [
                FusedAgent(each.station_id, pose, each.age_ns / 1e9, self._grid.footprint(pose))
                for each, pose in zip(fused, outcome.frame.agent_to_ego, strict=True)
            ]
            self._markers.publish(fusion_markers(frame, agents))
        if self._detections is not None:
            self._detections.publish(objects.vision_message(frame))
        if self._autoware is not None:
            detected, tracked = self._autoware
            detected.publish(autoware_objects.detected_objects(frame))
            if frame.tracked is not None:
                tracked.publish(autoware_objects.tracked_objects(frame))


def _contributors(
    result: FusionResult, fused: Sequence[Contributor], reported: Sequence[Contributor]
) -> list[list[Contributor]]:
    """Return those of each box: of whom features took part in it, or who reported it."""
    reporters = result.reporters
    if reporters is None:
        reporters = np.full(len(result.contributions), -1)
    of_features = [np.flatnonzero(row).tolist() for row in result.contributions]
    return [
        [reported[reporter]] if reporter >= 0 else [fused[place] for place in places]
        for places, reporter in zip(of_features, reporters, strict=True)
    ]


def _autoware_publishers(node: Node) -> tuple[Publisher, Publisher] | None:
    """Return those of detections and of tracks; None where their package is not installed."""
    types = autoware_objects.MESSAGES
    if types is None:
        return None
    return (
        node.create_publisher(types.DetectedObjects, "detected_objects", qos.output()),
        node.create_publisher(types.TrackedObjects, "tracked_objects", qos.output()),
    )
