# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Viewer node: the live scene in a browser."""

from __future__ import annotations

import time
from collections import OrderedDict
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from sensor_msgs.msg import PointCloud2

from quantv2x_msgs.msg import BevIndices, Codebook, DetectedObject3DArray
from quantv2x_ros.core.geometry.pose import PoseError, invert
from quantv2x_ros.core.pillars.cloud import CloudError
from quantv2x_ros.core.transport.object_packet import ObjectPacket, read_packet
from quantv2x_ros.core.transport.packet import PacketError
from quantv2x_ros.graph.parameters.viewer import ViewerParameters
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.base import BaseNode
from quantv2x_ros.nodes.common.conversions import (
    MessageRefusedError,
    nanoseconds,
    pose_from_message,
    transform_from_message,
)
from quantv2x_ros.nodes.common.point_cloud import cloud_from_message
from quantv2x_ros.nodes.fusion.objects import boxes_from_message
from quantv2x_ros.viewer.page import Page
from quantv2x_ros.viewer.state import Beacon, SeenObjects, ViewerState

_LATENCY = "sweep to objects"

#: Formats of packets that are remembered.
_FORMATS = 64


class ViewerNode(BaseNode):
    """Serves a page with clouds, boxes, peers, links, bytes and latency.

    Subscriptions: ``points``, the peers' clouds (``peer_points``) and the ``pose`` beside each,
    ``level``, ``objects``, ``/v2x/bev_indices``, ``/diagnostics``. A cloud belongs to the station
    whose messages name the same LiDAR frame, or the frame of its levelled or turned grid.
    """

    defaults: ClassVar[ViewerParameters] = ViewerParameters()
    parameters: ViewerParameters

    def __init__(self, **options: Any) -> None:
        """Create the node; unless its lifecycle is left to others, serve the page and listen.

        Args:
            options: options of `rclpy.lifecycle.LifecycleNode`.

        Raises:
            ValueError: for a parameter that cannot be used, or a port that is taken.
        """
        super().__init__("viewer", **options)
        self._page: Page | None = None
        self._pictures = 0
        self._poses: dict[str, npt.NDArray[np.float64]] = {}
        self._extents: OrderedDict[int, tuple[float, float, float, float]] = OrderedDict()
        self.begin()

    def configure(self) -> None:
        """Serve the page, which shows nothing yet."""
        how = self.parameters
        self._new_scene = partial(ViewerState, how.max_points, how.lifetime)
        self._scene = self._new_scene()
        self._page = Page(how.host, how.port)
        self._clouds = ["points", *how.peer_topics]
        self.get_logger().info(f"open {self._page.url} in a browser")
        if not self._page.is_local:
            self.get_logger().warning(
                f"everybody who can reach {how.host} can look at the scene (parameter host)"
            )

    def activate(self) -> None:
        """Subscribe, and show what comes."""
        super().activate()
        self._listen(self._clouds)
        self.create_timer(
            1.0 / self.parameters.refresh_rate, self._refresh, clock=self.steady_clock
        )

    def deactivate(self) -> None:
        """Show nothing any more; the page stays open."""
        self.time_jumped_back()
        if self._page is not None:
            self._page.show(self._scene.view(time.monotonic()))

    def cleanup(self) -> None:
        """Stop serving the page."""
        page, self._page = self._page, None
        if page is not None:
            page.close()

    @property
    def url(self) -> str:
        """Return the page's address for a browser on this machine."""
        return self._page.url if self._page is not None else ""

    def _listen(self, clouds: list[str]) -> None:
        for topic in clouds:
            self.create_subscription(
                PointCloud2,
                topic,
                partial(self._on_cloud, topic),
                qos.sensor_input(),
            )
        for topic in clouds[1:]:
            self.create_subscription(
                PoseWithCovarianceStamped,
                f"{topic.rpartition('/')[0]}/pose",
                partial(self._on_pose, topic),
                qos.pose_input(),
            )
        self.create_subscription(TransformStamped, "level", self._on_level, qos.sensor_input())
        self.create_subscription(
            DetectedObject3DArray, "objects", self._on_objects, qos.sensor_input()
        )
        self.create_subscription(Codebook, "/v2x/codebook", self._on_codebook, qos.latched_input())
        self.create_subscription(
            BevIndices, "/v2x/bev_indices", self._on_indices, qos.indices_input()
        )
        self.create_subscription(
            DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.indices_input()
        )

    def _on_cloud(self, topic: str, message: PointCloud2) -> None:
        if self._page is None or not self._page.visitors:
            return  # reading a cloud takes a while, and nobody looks
        try:
            points = cloud_from_message(message, use_intensity=False).points
        except CloudError as error:
            self.drop("cloud", f"{topic}: {error}")
            return
        now = time.monotonic()
        self._scene.hear_cloud(message.header.frame_id, points, now, self._poses.get(topic))

    def _on_pose(self, topic: str, message: PoseWithCovarianceStamped) -> None:
        """Store the pose of the sensor whose clouds come on a topic."""
        try:
            self._poses[topic] = pose_from_message(message.pose, f"the sensor of {topic}")
        except MessageRefusedError as error:
            self.drop(error.reason, str(error))

    def _on_level(self, message: TransformStamped) -> None:
        """Store the transform of the ego's map to its cloud."""
        try:
            level = invert(transform_from_message(message.transform))
        except PoseError as error:
            self.drop("level", str(error))
            return
        self._scene.hear_level(message.child_frame_id, level, message.header.frame_id)

    def _on_objects(self, message: DetectedObject3DArray) -> None:
        objects = SeenObjects(
            nanoseconds(message.header.stamp),
            message.header.frame_id,
            boxes_from_message(message),
            [item.class_name for item in message.objects],
            list(message.contributing_stations),
        )
        self._scene.hear_objects(objects, time.monotonic())

    def _on_codebook(self, message: Codebook) -> None:
        """Store how far the maps of a format reach."""
        low_x, low_y = message.origin_x, message.origin_y
        high_x = low_x + message.columns * message.cell_size_x
        high_y = low_y + message.rows * message.cell_size_y
        if not np.isfinite([low_x, low_y, high_x, high_y]).all():
            self.drop("grid", f"station {message.station_id} has a grid that is not finite")
            return
        self._extents[message.format_id] = (low_x, low_y, high_x, high_y)
        self._extents.move_to_end(message.format_id)
        while len(self._extents) > _FORMATS:
            self._extents.popitem(last=False)

    def _on_indices(self, message: BevIndices) -> None:
        try:
            packet = read_packet(message.packet)
        except PacketError as error:
            self.drop(error.reason, str(error))
            return
        if isinstance(packet, ObjectPacket):
            return  # where its station is, the tiles of the sweep tell
        extent = self._extents.get(packet.format_id)
        if extent is None:
            self.drop(
                "format",
                f"station {packet.station_id} sends packets of format {packet.format_id:016x}, "
                "which no station has announced on /v2x/codebook yet",
            )
            return
        beacon = Beacon(
            packet.station_id, packet.stamp_ns, message.header.frame_id, packet.pose, extent
        )
        size = len(message.packet)
        self._scene.hear_station(beacon, packet.sequence, size, time.monotonic())

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        """Store the latency and drops of this namespace's fusion."""
        fusion = f"{self.get_namespace().rstrip('/')}/fusion"
        for status in message.status:
            if status.name != fusion:
                continue
            values = {item.key: item.value for item in status.values}
            key = f"{_LATENCY} p50 [ms]"
            latency = (
                (float(values[key]), float(values[f"{_LATENCY} p95 [ms]"]))
                if key in values
                else None
            )
            prefix = "dropped: "
            self._scene.hear_diagnostics(
                latency, {k[len(prefix) :]: v for k, v in values.items() if k.startswith(prefix)}
            )

    def _refresh(self) -> None:
        """Show what has changed, while a browser shows the page."""
        if self._page is None or not self._page.visitors:
            return
        start = time.perf_counter()
        self._page.show(self._scene.view(time.monotonic()))
        self._pictures += 1
        self.note_frame({"picture": 1e3 * (time.perf_counter() - start)})

    def time_jumped_back(self) -> None:
        """Forget everything: it belongs to another time."""
        self._scene = self._new_scene()
        self._poses.clear()

    def report(self) -> tuple[str, dict[str, str]]:
        """Return the page's address and the number of browsers."""
        visitors = self._page.visitors if self._page is not None else 0
        return f"serving {self.url}", {"browsers": str(visitors), "pictures": str(self._pictures)}
