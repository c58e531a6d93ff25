# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Encoder node: an agent's sweeps and poses in, codebook indices out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from quantv2x_msgs.msg import Codebook
from quantv2x_ros.core.geometry.packed_pose import PoseSpread
from quantv2x_ros.core.geometry.pose import PoseError, invert
from quantv2x_ros.core.peers.announcement_watch import AnnouncementWatch
from quantv2x_ros.core.peers.self_check import SelfCheck
from quantv2x_ros.core.pillars.cloud import CloudError
from quantv2x_ros.core.placement.levelling import LEVEL_SUFFIX, levelled_points, levelled_pose
from quantv2x_ros.core.transport.grid_turn import TURNED_SUFFIX, turned_points, turned_pose
from quantv2x_ros.core.transport.packet import PacketError
from quantv2x_ros.core.transport.packet_tiles import SweepSource
from quantv2x_ros.core.transport.sweep import AgentSweep
from quantv2x_ros.graph.parameters.encoder import PRIORITIES, EncoderParameters
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.results import EncodedSweep
from quantv2x_ros.nodes.air.index_format import IndexFormat, announcement
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.base import BaseNode
from quantv2x_ros.nodes.common.conversions import nanoseconds
from quantv2x_ros.nodes.common.model import load_bundle, station_of
from quantv2x_ros.nodes.common.wake import Wake
from quantv2x_ros.nodes.common.warm_up import warm_up_encoder
from quantv2x_ros.nodes.encoder.cloud_checks import CloudChecks
from quantv2x_ros.nodes.encoder.index_output import IndexOutput
from quantv2x_ros.nodes.encoder.level_output import LevelOutput
from quantv2x_ros.nodes.encoder.posed_sweeps import PosedSweep, PosedSweeps, SweepInput
from quantv2x_ros.nodes.encoder.receivers_input import ReceiversInput
from quantv2x_ros.nodes.fusion.announcements import Announcements

Float64 = npt.NDArray[np.float64]

#: Sweep numbers wrap after 32 bits.
_SEQUENCES = 2**32


class OwnFusion(Protocol):
    """The fusion of the same agent in the same process."""

    def accept_own(self, sweep: AgentSweep, stage_ms: Mapping[str, float]) -> None:
        """Accept a coded sweep, with the encoder's times, milliseconds by stage."""

    def note_encoding(self, stamp_ns: int | None) -> None:
        """Note that encoding of a sweep of this time begins; None: that it ended."""

    def may_begin(self) -> bool:
        """Tell whether no frame is in work, so that the next sweep will be fused."""

    def pass_turn(self) -> None:
        """Note that no sweep is there to begin with, though `may_begin`."""

    def call_when_idle(self, callback: Callable[[], None] | None) -> None:
        """Set a callback for when `may_begin` becomes true, from any thread; None removes it."""


class EncoderNode(BaseNode):
    """Publishes every sweep of one agent as codebook indices.

    Subscriptions: ``points`` (PointCloud2 of any layout); for the LiDAR's pose in the map frame
    ``pose`` (PoseWithCovarianceStamped), ``odometry`` (Odometry), or ``/tf`` and ``/tf_static``;
    ``/v2x/codebook``, for others with the own id; with ``interest_of_receivers`` or ``turn_grid``
    also ``/v2x/bev_indices`` of others. Publications: ``/v2x/bev_indices``, outside `ego` the same
    as ``own_indices`` for the own fusion node, ``/v2x/codebook`` (latched), ``level``,
    ``/diagnostics``. A sweep is sent with the pose at its own stamp; one without a pose is dropped
    and counted, never sent with a guess.
    """

    defaults: ClassVar[EncoderParameters] = EncoderParameters()
    parameters: EncoderParameters
    drops_are_faults: ClassVar[bool] = True

    def __init__(
        self,
        *,
        bundle: ModelBundle | None = None,
        own_fusion: OwnFusion | None = None,
        **options: Any,
    ) -> None:
        """Create the node; unless its lifecycle is left to others, load the model and subscribe.

        Args:
            bundle: model bundle where it is loaded already; else the parameter names it.
            own_fusion: fusion in this process, which gets each coded sweep before the air does;
                with `priority: fusion` a sweep that it cannot take is not encoded.
            options: options of `rclpy.lifecycle.LifecycleNode`.

        Raises:
            ValueError: for a parameter or bundle that cannot be used.
        """
        super().__init__("encoder", **options)
        self._own_fusion = own_fusion
        self._given_bundle = bundle
        self._sequence = 0
        self._same_id, self._self_check = AnnouncementWatch(), SelfCheck()
        self._station = station_of(self, self.parameters.station.station_id)
        self.begin()

    def configure(self) -> None:
        """Load the model and its engine, and run it once."""
        parameters = self.parameters
        self._bundle = self._given_bundle or load_bundle(parameters.model.bundle)
        self._prepare_input()
        self._format = IndexFormat.of(self._bundle, parameters.station.map_frame)
        self._engine = AgentEncoder(
            self._bundle,
            parameters.model.backend,
            parameters.model.engine_threads,
            keep_own=self._own_fusion is not None,
        )
        warm_up_encoder(self._engine)
        self.finished = parameters.model.build_only
        self._output = IndexOutput(
            self,
            self._station,
            parameters.sending,
            self._bundle,
            self._format,
            self._engine.pool,
            tell_own=self._own_fusion is None,
        )
        self._receivers = ReceiversInput(
            self,
            parameters.receivers,
            self._station,
            self._bundle,
            self._format.packets,
            may_turn=self._own_fusion is None,
        )
        self._announcer = self.create_publisher(Codebook, "/v2x/codebook", qos.latched())
        self.get_logger().info(
            f"station {self._station}: model {self._bundle.name} {self._bundle.version}, codebook "
            f"{self._format.codebook_id:016x}, grid {self._format.rows} x {self._format.columns}"
        )

    def _prepare_input(self) -> None:
        parameters = self.parameters
        fusion = self._own_fusion if parameters.priority == PRIORITIES[0] else None
        self._sweeps = PosedSweeps(
            self,
            parameters.poses,
            parameters.clouds,
            parameters.station.map_frame,
            f"station {self._station}",
            self._encode,
            (lambda: True) if fusion is None else fusion.may_begin,
        )
        self._fusion_first = fusion
        self._input = SweepInput(self, parameters.clouds)
        self._checks = CloudChecks(
            self, parameters.clouds.check_clouds, self._bundle.grid.lidar_range
        )
        self._level = LevelOutput(self, parameters.clouds.level, self._bundle)

    def retune(self) -> None:
        """Go by the new limits from the next sweep on."""
        super().retune()
        if self.is_configured:
            self._sweeps.retune(self.parameters.poses)
            self._output.retune(self.parameters.sending)

    def activate(self) -> None:
        """Subscribe to sweeps and poses, and announce the model."""
        super().activate()
        self._encoded: EncodedSweep | None = None
        if self._fusion_first is not None:
            self._turn = Wake(self, self._take_turn)
            self._fusion_first.call_when_idle(self._turn)
        self._output.start()
        self._sweeps.listen()
        self._receivers.listen()
        self._announcements = Announcements(self, self._station, None, on_own=self._hear_own)
        self.create_timer(1.0, self._answer, clock=self.steady_clock)
        self._announce()

    def _announce(self) -> None:
        message = announcement(self._format, self._bundle, self._station, self.get_clock().now())
        self._same_id.note(nanoseconds(message.header.stamp), time.monotonic())
        self._announcer.publish(message)

    def _answer(self) -> None:
        """Announce once more where another station seems to have the own id: it answers, too."""
        if self._same_id.is_due(time.monotonic()):
            self._announce()

    def _hear_own(self, message: Codebook) -> None:
        self._same_id.hear(nanoseconds(message.header.stamp), time.monotonic())

    def deactivate(self) -> None:
        """Forget the waiting sweep, and the poses."""
        if self._fusion_first is not None:
            self._fusion_first.call_when_idle(None)
            self._turn.close()
        self._output.paced.stop()
        self.time_jumped_back()

    def _take_turn(self) -> None:
        """Begin the next frame, if its sweep is there."""
        if not self._sweeps.take_ready() and self._fusion_first is not None:
            self._fusion_first.pass_turn()

    def _encode(self, sweep: PosedSweep) -> None:
        if self._own_fusion is None:
            self._encode_now(sweep)
            return
        self._own_fusion.note_encoding(sweep.stamp_ns)
        try:
            self._encode_now(sweep)
        finally:
            self._own_fusion.note_encoding(None)

    def _encode_now(self, sweep: PosedSweep) -> None:
        start = time.perf_counter()
        try:
            points = self._input.points(sweep.message, sweep.place.placement)
        except CloudError as error:
            self.drop("cloud", str(error))
            return
        stamp, frame_id = sweep.message.header.stamp, sweep.place.frame
        placed, pose = points, sweep.pose
        level = self._level.of(points, stamp, sweep.place)
        if level is not None:
            points, pose = levelled_points(points, level), levelled_pose(pose, level)
            frame_id += LEVEL_SUFFIX
        turn = self._receivers.turn(pose)
        if turn:
            points, pose = turned_points(points, turn), turned_pose(pose, turn)
            frame_id += TURNED_SUFFIX
        converted = time.perf_counter()
        encoded = self._engine.encode(points)
        self._encoded, self._received_points = encoded, len(points)
        stages = {"convert": 1e3 * (converted - start), **encoded.stage_ms}
        if self._own_fusion is not None:  # before the wire, which that does not wait for
            self._own_fusion.accept_own(self._own(sweep, encoded, level), stages)
        coded = time.perf_counter()
        self._send(sweep.stamp_ns, frame_id, pose, sweep.covariance, encoded.indices)
        behind_ns = self.get_clock().now().nanoseconds - sweep.stamp_ns
        self._self_check.note(behind_ns / 1e9, sweep.covariance, time.monotonic())
        stages["wire"] = 1e3 * (time.perf_counter() - coded)
        self.note_frame({**stages, "total": 1e3 * (time.perf_counter() - start)})
        self._checks.look(sweep, placed)

    def _send(
        self,
        stamp_ns: int,
        frame_id: str,
        pose: Float64,
        covariance: Float64,
        indices: npt.NDArray[np.uint8],
    ) -> None:
        """Publish a coded sweep."""
        try:
            spread = PoseSpread.of(covariance)
            source = SweepSource(self._station, self._sequence, stamp_ns, pose, spread)
            wanted = self._receivers.wanted(pose)
            self._output.send(indices, source, frame_id, time.monotonic(), wanted)
        except PoseError as error:
            self.drop("pose", str(error))
            return
        except PacketError as error:
            self.drop(error.reason, str(error))
            return
        self.get_logger().debug(f"sent sweep {self._sequence}")
        self._sequence = (self._sequence + 1) % _SEQUENCES

    def _own(self, sweep: PosedSweep, encoded: EncodedSweep, level: Float64 | None) -> AgentSweep:
        """Return the sweep for the own fusion, which gets it whole and without the air."""
        placement, pose = sweep.place.placement, sweep.pose
        to_frame = placement.extrinsics if placement.is_moved else None
        if level is not None:
            pose = levelled_pose(pose, level)
            to_frame = (np.eye(4) if to_frame is None else to_frame) @ invert(level)
        return AgentSweep(
            station_id=self._station,
            sequence=self._sequence,
            stamp_ns=sweep.stamp_ns,
            frame_id=sweep.message.header.frame_id,
            pose=pose,
            indices=encoded.indices,
            received=np.ones(encoded.indices.shape[1:], dtype=np.bool_),
            payload_bytes=0,
            arrived=sweep.arrived,
            own=encoded.own,
            period_ns=self._sweeps.overload.period_ns,
            to_frame=to_frame,
        )

    def time_jumped_back(self) -> None:
        """Forget poses and the waiting sweep: they belong to another time."""
        self._sweeps.reset()
        self._output.reset()
        self._receivers.reset()
        self._checks.reset()
        self._level.reset()
        self._self_check.reset()

    def findings(self) -> Mapping[str, str]:
        """Return warnings about overload, and about clouds that look wrong."""
        now = time.monotonic()
        state = self._sweeps.overload.state(now)
        overload = {} if state is None else {"overload": str(state)}
        found = {**overload, **self._checks.findings(), **self._input.findings()}
        found |= self._self_check.findings(now)
        if self._same_id.is_shared(now):
            found["shared_id"] = (
                f"another station announces itself under this station's id {self._station}; "
                "give each its own station_id (-1: its host's)"
            )
        return found

    def report_id(self) -> str:
        """Return the station id."""
        return f"station {self._station}"

    def report(self) -> tuple[str, Mapping[str, str]]:
        """Return the numbers of sweeps, messages and bytes sent."""
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
            "skipped sweeps": str(self._sweeps.skipped),
            **self._output.report(),
            **self._receivers.report(),
            **self._level.report(),
            "codebook": f"{self._format.codebook_id:016x}",
        }
