# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Encoder node: an agent's sweeps and poses in, codebook indices out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from geometry_msgs.msg import PoseWithCovariance
from std_msgs.msg import Header

from quantv2x_msgs.msg import BevIndices, Codebook
from quantv2x_ros.core.cloud import CloudError
from quantv2x_ros.core.grid_turn import TURNED_SUFFIX, turned_points, turned_pose
from quantv2x_ros.core.sweep import AgentSweep
from quantv2x_ros.inference.bundle import ModelBundle
from quantv2x_ros.inference.pipeline import AgentEncoder, EncodedSweep
from quantv2x_ros.nodes import qos
from quantv2x_ros.nodes.base import BaseNode
from quantv2x_ros.nodes.conversions import nanoseconds, pose_to_message
from quantv2x_ros.nodes.health import HealthDefaults
from quantv2x_ros.nodes.index_format import IndexFormat, announcement
from quantv2x_ros.nodes.index_output import IndexOutput
from quantv2x_ros.nodes.model import declare_build_only, declare_engine, declare_station
from quantv2x_ros.nodes.parameters import declare
from quantv2x_ros.nodes.posed_sweeps import PosedSweeps, WaitingSweep
from quantv2x_ros.nodes.receivers_input import ReceiversInput
from quantv2x_ros.nodes.sweep_input import SweepInput
from quantv2x_ros.nodes.warm_up import warm_up_encoder

Float64 = npt.NDArray[np.float64]
HandOver = Callable[[AgentSweep, Mapping[str, float]], None]

#: Sweep numbers wrap after 32 bits.
_SEQUENCES = 2**32


class EncoderNode(BaseNode):
    """Publishes every sweep of one agent as codebook indices.

    Subscriptions: ``points`` (PointCloud2 of any layout); for the LiDAR's pose in the map frame
    ``pose`` (PoseWithCovarianceStamped), ``odometry`` (Odometry), or ``/tf`` and ``/tf_static``;
    with ``interest_of_receivers`` or ``turn_grid`` also ``/v2x/bev_indices`` of others.
    Publications: ``/v2x/bev_indices``, ``/v2x/codebook`` (latched),
    ``/diagnostics``. A sweep is sent with the pose at its own stamp; one without a pose is
    dropped and counted, never sent with a guess.
    """

    # of a sensor with 10 Hz: slower than its period, sweeps are superseded
    expected: ClassVar[HealthDefaults] = HealthDefaults(1.0, "total=100", drops_are_faults=True)

    def __init__(
        self,
        *,
        bundle: ModelBundle | None = None,
        hand_over: HandOver | None = None,
        note_encoding: Callable[[bool], None] | None = None,
        **options: Any,
    ) -> None:
        """Create the node; unless its lifecycle is left to others, load the model and subscribe.

        Args:
            bundle: the model bundle where it is loaded already.
            hand_over: called with every coded sweep and its stage latencies [ms], in this process.
            note_encoding: called with True before a sweep is encoded and with False after it, so
                that others in this process can leave the processor to it.
            options: passed on to `rclpy.lifecycle.LifecycleNode`.

        Raises:
            ValueError: for a parameter or bundle that cannot be used.
        """
        super().__init__("encoder", **options)
        self._hand_over = hand_over
        self._note_encoding = note_encoding or (lambda begun: None)
        self._given_bundle = bundle
        self._sequence = 0
        self._station = declare_station(self)
        self.begin()

    def configure(self) -> None:
        """Load the model and its engine, and run it once."""
        self._bundle, backend, threads = declare_engine(self, self._given_bundle)
        self._declare()
        self._format = IndexFormat.of(self._bundle)
        self._engine = AgentEncoder(
            self._bundle, backend, threads, keep_own=self._hand_over is not None
        )
        warm_up_encoder(self._engine)
        self.finished = declare_build_only(self)
        self._output = IndexOutput(self, self._bundle, self._engine.pool)
        self._receivers = ReceiversInput(
            self, self._station, self._bundle, self._map_frame, may_turn=self._hand_over is None
        )
        self._announcer = self.create_publisher(Codebook, "/v2x/codebook", qos.latched())
        self.get_logger().info(
            f"station {self._station}: model {self._bundle.name} {self._bundle.version}, codebook "
            f"{self._format.codebook_id:016x}, grid {self._format.rows} x {self._format.columns}"
        )

    def cleanup(self) -> None:
        """Free the engine."""
        self.release("_engine", "_bundle", "_output", "_receivers", "_announcer")

    def _declare(self) -> None:
        self._map_frame = declare(
            self, "map_frame", "map", "Name of the map frame that all stations share."
        )
        self._sweeps = PosedSweeps(self, self._map_frame, f"station {self._station}", self._encode)
        self._input = SweepInput(self)

    def activate(self) -> None:
        """Listen for sweeps and poses, and tell others which model this is."""
        super().activate()
        self._encoded: EncodedSweep | None = None
        self._sweeps.listen()
        self._receivers.listen()
        now = self.get_clock().now().to_msg()
        self._announcer.publish(announcement(self._bundle, self._station, now))

    def deactivate(self) -> None:
        """Forget the sweep that waits, and its poses."""
        self.time_jumped_back()

    def _encode(self, waiting: WaitingSweep, pose: Float64, covariance: Float64) -> None:
        self._note_encoding(True)
        try:
            self._encode_now(waiting, pose, covariance)
        finally:
            self._note_encoding(False)

    def _encode_now(self, waiting: WaitingSweep, pose: Float64, covariance: Float64) -> None:
        start = time.perf_counter()
        try:
            points = self._input.points(waiting.message)
        except CloudError as error:
            self.drop("cloud", str(error))
            return
        header, turn = waiting.message.header, self._receivers.turn(pose)
        if turn:
            points, pose = turned_points(points, turn), turned_pose(pose, turn)
            header = Header(stamp=header.stamp, frame_id=header.frame_id + TURNED_SUFFIX)
        converted = time.perf_counter()
        encoded = self._engine.encode(points)
        self._encoded, self._received_points = encoded, len(points)
        stages = {"convert": 1e3 * (converted - start), **encoded.stage_ms}
        if self._hand_over is not None:  # before the wire, which the own fusion does not wait for
            self._hand_over(self._sweep(waiting, pose, encoded), stages)
        coded = time.perf_counter()
        self._send(header, pose, covariance, encoded.indices)
        stages["wire"] = 1e3 * (time.perf_counter() - coded)
        self.note_frame({**stages, "total": 1e3 * (time.perf_counter() - start)})

    def _send(
        self,
        header: Header,
        pose: Float64,
        covariance: Float64,
        indices: npt.NDArray[np.uint8],
    ) -> None:
        """Publish a coded sweep."""
        template = BevIndices(
            header=header,
            station_id=self._station,
            sequence=self._sequence,
            map_frame=self._map_frame,
            sensor_pose=PoseWithCovariance(pose=pose_to_message(pose), covariance=covariance),
        )
        self._output.send(indices, template, time.monotonic(), self._receivers.wanted(pose))
        self.get_logger().debug(f"sent sweep {self._sequence}")
        self._sequence = (self._sequence + 1) % _SEQUENCES

    def _sweep(self, waiting: WaitingSweep, pose: Float64, encoded: EncodedSweep) -> AgentSweep:
        """The sweep for the own fusion, which gets it whole and without the air."""
        header = waiting.message.header
        return AgentSweep(
            station_id=self._station,
            sequence=self._sequence,
            stamp_ns=nanoseconds(header.stamp),
            frame_id=header.frame_id,
            pose=pose,
            indices=encoded.indices,
            received=np.ones(encoded.indices.shape[1:], dtype=np.bool_),
            payload_bytes=0,
            arrived=waiting.arrived,
            own=encoded.own,
        )

    def time_jumped_back(self) -> None:
        """Forget poses and the sweep that waits: they belong to another time."""
        self._sweeps.reset()
        self._receivers.reset()

    def report_id(self) -> str:
        """Return the station id."""
        return f"station {self._station}"

    def report(self) -> tuple[str, Mapping[str, str]]:
        """Return what was sent."""
        encoded = self._encoded
        seen = (
            {
                "points received": str(self._received_points),
                "points in range": str(encoded.points),
                "pillars": str(encoded.pillars),
            }
            if encoded is not None
            else {}
        )
        return f"sent {self._sequence} sweeps", {
            **seen,
            **self._output.report(),
            **self._receivers.report(),
            "codebook": f"{self._format.codebook_id:016x}",
        }
