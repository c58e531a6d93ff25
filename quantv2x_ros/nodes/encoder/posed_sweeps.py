# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An agent's sweeps, each with the pose at its own stamp."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2

from quantv2x_ros.core.geometry.pose import sensor_pose
from quantv2x_ros.core.geometry.pose_buffer import HORIZON, PoseUnavailableError
from quantv2x_ros.core.monitoring.overload import Overload
from quantv2x_ros.core.pillars.cloud import outside_box
from quantv2x_ros.core.placement.cloud_placement import CloudPlacement
from quantv2x_ros.graph.parameters.encoder import CloudParameters, PoseParameters
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.base import BaseNode
from quantv2x_ros.nodes.common.conversions import nanoseconds
from quantv2x_ros.nodes.common.point_cloud import cloud_from_message
from quantv2x_ros.nodes.encoder.cloud_frame import CloudFrame, CloudPlace
from quantv2x_ros.nodes.encoder.pose_sources import create_pose_source
from quantv2x_ros.nodes.encoder.transform_tree import TransformTree


class SweepInput:
    """Reads clouds by its node's parameters."""

    def __init__(self, node: Node, parameters: CloudParameters) -> None:
        """Have read none yet.

        Args:
            node: logs.
            parameters: how clouds are read.

        Raises:
            ValueError: for a box that is none.
        """
        self._logger = node.get_logger()
        self._parameters = parameters
        self._warned_of_intensity = False
        self._lost = ""
        body = parameters.ego_body_box
        outside_box(np.empty((0, 4), np.float32), body)  # refuse a bad box now, not later

    def points(self, message: PointCloud2, placement: CloudPlacement) -> npt.NDArray[np.float32]:
        """Return the points (P, 4) of a cloud as the model sees them, without the own vehicle.

        Args:
            message: message as received.
            placement: transform to the frame that the model sees it in, and the scale.

        Raises:
            CloudError: for a cloud that cannot be read.
        """
        how = self._parameters
        cloud = cloud_from_message(message, use_intensity=how.use_intensity)
        if how.use_intensity and not cloud.has_intensity and not self._warned_of_intensity:
            self._warned_of_intensity = True
            self._logger.warning("the cloud has no field intensity; it counts as 0")
        total = len(cloud.points) + cloud.dropped
        self._lost = (
            f"intensity is not finite in {cloud.dropped_for_intensity:,} of {total:,} points, and "
            "they are left out for it; set use_intensity: false, or correct the driver"
            if 2 * cloud.dropped_for_intensity > total
            else ""
        )
        points = placement.apply(cloud.points)
        return outside_box(points, how.ego_body_box) if how.crop_ego_body else points

    def findings(self) -> Mapping[str, str]:
        """Return a warning about the newest cloud's intensity; see `BaseNode.findings`."""
        return {"intensity": self._lost} if self._lost else {}


Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WaitingSweep:
    """A sweep whose pose may not have come yet.

    Attributes:
        message: message as received.
        arrived: time of arrival by the steady clock, seconds.
    """

    message: PointCloud2
    arrived: float

    @property
    def stamp_ns(self) -> int:
        """Return the time of the sweep, nanoseconds."""
        return nanoseconds(self.message.header.stamp)


@dataclass(frozen=True, eq=False)
class PosedSweep:
    """A sweep with the pose at which it was taken.

    Attributes:
        message: message as received.
        arrived: time of arrival by the steady clock, seconds.
        place: placement of its cloud in the frame that the model sees.
        pose: (4, 4) transform from that frame to the map.
        covariance: (36,) covariance of the pose.
    """

    message: PointCloud2
    arrived: float
    place: CloudPlace
    pose: Float64
    covariance: Float64

    @property
    def stamp_ns(self) -> int:
        """Return the time of the sweep, nanoseconds."""
        return nanoseconds(self.message.header.stamp)


Take = Callable[[PosedSweep], None]


class PosedSweeps:
    """Subscribes to sweeps and poses, and passes each sweep on with its pose, or drops it.

    One sweep waits for its pose at a time, at most ``pose_timeout``; a newer one takes its place.
    One that has its pose waits until it may be taken, or until a newer one has its own.

    Attributes:
        overload: whether more sweeps come than are taken.
        skipped: number of sweeps that a newer one replaced before their turn came.
    """

    def __init__(
        self,
        node: BaseNode,
        poses: PoseParameters,
        clouds: CloudParameters,
        map_frame: str,
        owner: str,
        take: Take,
        may_take: Callable[[], bool] = lambda: True,
    ) -> None:
        """Wait for none yet.

        Args:
            node: whose subscriptions and drops.
            poses: where poses come from.
            clouds: how clouds lie.
            map_frame: that all poses must be in.
            owner: whose poses, for errors.
            take: called with each sweep that has a pose.
            may_take: tells whether `take` may be called now. If not, `take_ready` is to be called
                once it may.

        Raises:
            ValueError: for a parameter that cannot be used.
        """
        self._node = node
        self._take = take
        self._may_take = may_take
        self.overload = Overload()
        self.skipped = 0
        self._ready: PosedSweep | None = None
        self._timeout = poses.pose_timeout
        self._tree = TransformTree(node)
        self._poses = create_pose_source(node, poses, self._tree, map_frame, owner)
        self._frame = CloudFrame(clouds, self._tree)
        self._waiting: WaitingSweep | None = None
        self._newest_ns = 0

    def listen(self) -> None:
        """Subscribe."""
        node = self._node
        node.create_subscription(PointCloud2, "points", self._on_points, qos.sensor_input())
        self._poses.connect(self._on_new_pose)
        self._tree.listen(self._on_new_pose)
        self._patience = node.create_timer(0.02, self._give_up_waiting, clock=node.steady_clock)
        self._patience.cancel()  # runs while a sweep waits; else it would wake the node in vain

    def retune(self, poses: PoseParameters) -> None:
        """Wait longer or shorter for poses from the next look on."""
        self._timeout = poses.pose_timeout

    def reset(self) -> None:
        """Forget poses and the waiting sweep, as after a jump in time."""
        self._poses.clear()
        self._tree.clear()
        self._waiting = self._ready = None
        self._newest_ns = 0
        self.overload.reset()

    def take_ready(self) -> bool:
        """Pass on the sweep that only waits for its turn; return False where there is none."""
        if self._ready is None or not self._may_take():
            return False
        ready, self._ready = self._ready, None
        start = time.monotonic()
        self._take(ready)
        now = time.monotonic()
        self.overload.note_done(now, now - start)
        return True

    def _on_new_pose(self) -> None:
        if self._waiting is not None:
            self._try(self._waiting)

    def _on_points(self, message: PointCloud2) -> None:
        if self._waiting is not None:
            self._node.drop("superseded", "a newer sweep came before the pose of the one waiting")
        sweep = WaitingSweep(message, time.monotonic())
        self.overload.note_sweep(sweep.stamp_ns, sweep.arrived)
        if sweep.stamp_ns < self._newest_ns - HORIZON:
            self._node.get_logger().warning("sweeps jumped back in time; starting afresh")
            self._poses.sweeps_jumped_back(sweep.stamp_ns)
            self._tree.clear()
            self._newest_ns = sweep.stamp_ns
        self._newest_ns = max(self._newest_ns, sweep.stamp_ns)
        self._waiting = sweep
        self._try(sweep)
        if self._waiting is not None:
            self._patience.reset()

    def _try(self, sweep: WaitingSweep) -> None:
        """Pass a sweep on if its pose is known; drop it if the pose will never be known."""
        try:
            posed = self._placed(sweep)
        except PoseUnavailableError as error:
            if not error.may_come:
                self._waiting = None
                self._node.drop(error.reason, f"sweep without a pose: {error}")
            return
        self._waiting = None
        self.skipped += self._ready is not None
        self._ready = posed
        self.take_ready()

    def _give_up_waiting(self) -> None:
        sweep = self._waiting
        if sweep is None:
            self._patience.cancel()
            return
        if time.monotonic() - sweep.arrived < self._timeout:
            return
        self._waiting = None
        try:
            self._placed(sweep)
        except PoseUnavailableError as error:
            self._node.drop(error.reason, f"no pose for a sweep within {self._timeout} s: {error}")

    def _placed(self, sweep: WaitingSweep) -> PosedSweep:
        """Return a sweep with its pose; PoseUnavailableError where that is not known."""
        frame = sweep.message.header.frame_id
        pose, covariance = self._poses.at(sweep.stamp_ns, frame)
        place = self._frame.at(sweep.stamp_ns, frame)
        if place.placement.is_moved:
            pose, covariance = sensor_pose(pose, covariance, place.placement.extrinsics)
        return PosedSweep(sweep.message, sweep.arrived, place, pose, covariance)
