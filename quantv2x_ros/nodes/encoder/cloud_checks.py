# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Says of a node's clouds that they seem to be other than the model expects, and what to set."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from quantv2x_ros.core.placement.cloud_extent import misplacement
from quantv2x_ros.core.placement.cloud_placement import CloudPlacement, PlacementRemedy
from quantv2x_ros.core.placement.ground_check import GroundCheck, ground_of
from quantv2x_ros.core.placement.heading_check import HeadingCheck
from quantv2x_ros.nodes.common.topic_watch import endpoint_name, type_name
from quantv2x_ros.nodes.encoder.posed_sweeps import PosedSweep

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

#: Time between looks into clouds, seconds: at first and while something seems wrong, and later.
_SOON, _LATER = 0.5, 10.0
#: Looks that must agree on where a cloud lies.
_LOOKS = 3
#: Clouds whose frames are compared, and changes among them that are no start of another driver.
_FRAMES, _CHANGES = 20, 4
#: Looks at the graph at which a second publisher must be there.
_PATIENCE = 4


class CloudChecks:
    """Looks into a cloud now and then, at every pose and at every cloud's frame."""

    def __init__(self, node: Node, is_on: bool, lidar_range: Sequence[float]) -> None:
        """Have seen none yet.

        Args:
            node: whose topic ``points``.
            is_on: whether to look at all.
            lidar_range: of the model, x, y, z minimum, then maximum, metres.
        """
        self._node = node
        self._range = lidar_range
        self._is_on = is_on
        self._fixed = CloudPlacement()
        self._ground, self._heading = GroundCheck(), HeadingCheck()
        self.reset()
        if self._is_on:  # what it is made of is compiled now, not within a sweep
            ground_of(np.zeros((1, 3), np.float32))

    def reset(self) -> None:
        """Forget everything, as after a jump in time."""
        self._due = -np.inf
        self._places: deque[str] = deque(maxlen=_LOOKS)
        self._frames: deque[str] = deque(maxlen=_FRAMES)
        self._crowded = 0
        self._ground.reset()
        self._heading.reset()

    def look(self, sweep: PosedSweep, points: Float32) -> None:
        """Take a sweep into account.

        Args:
            sweep: as received, with its pose.
            points: (P, 4) as the model is to see them, before they are levelled or turned.
        """
        if not self._is_on:
            return
        self._fixed = sweep.place.fixed
        self._frames.append(sweep.message.header.frame_id)
        self._heading.move(sweep.pose)
        now = time.monotonic()
        if now < self._due:
            return
        place = misplacement(points, self._range, self._remedy, sensor=sweep.pose[:3, 3])
        self._places.append(place)
        if not place:
            self._ground.look(points)
        settled = self._ground.is_settled and not (place or self._ground.fault(self._remedy))
        self._due = now + (_LATER if settled else _SOON)

    def findings(self) -> Mapping[str, str]:
        """Return what seems to be wrong, see `BaseNode.findings`."""
        if not self._is_on:
            return {}
        placed = self._places[-1] if len(self._places) == _LOOKS and all(self._places) else ""
        found = {
            "cloud place": placed,
            "cloud ground": "" if placed else self._ground.fault(self._remedy),
            "cloud heading": self._heading.fault(self._remedy),
            "cloud sources": self._mixture(),
        }
        return {name: text for name, text in found.items() if text}

    @property
    def _remedy(self) -> PlacementRemedy:
        return PlacementRemedy(self._fixed)

    def _mixture(self) -> str:
        """Say that clouds of several LiDARs come on the topic; empty where they do not."""
        topic = self._node.resolve_topic_name("points")
        publishers = [
            endpoint_name(info)
            for info in self._node.get_publishers_info_by_topic(topic)
            if info.topic_type == type_name(PointCloud2)
        ]
        self._crowded = self._crowded + 1 if len(publishers) > 1 else 0
        changes = sum(one != other for one, other in pairwise(self._frames))
        if changes < _CHANGES and self._crowded < _PATIENCE:
            return ""
        frames = " and ".join(repr(name) for name in sorted(set(self._frames)))
        return (
            f"clouds of several LiDARs on {topic}: {len(publishers)} publishers "
            f"({', '.join(sorted(publishers))}), frames {frames or 'unknown'}, {changes} changes "
            f"within {len(self._frames)} clouds; one LiDAR is expected, and each cloud counts as a "
            "whole sweep of it: remap one of them, merge their clouds before, or run an encoder "
            "for each"
        )
