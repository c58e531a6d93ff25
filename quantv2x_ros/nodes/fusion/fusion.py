# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Fusion node: the ego's and its peers' indices in, 3D boxes out."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.fusion.fusion_steps import SweepRefusedError
from quantv2x_ros.core.monitoring.overload import Overload
from quantv2x_ros.core.peers.whereabouts import shared_text
from quantv2x_ros.core.tracking.object_tracker import ObjectTracker
from quantv2x_ros.core.transport.object_packet import ObjectPacket
from quantv2x_ros.core.transport.packet_tiles import LEAST_WORK, work_of
from quantv2x_ros.core.transport.sweep import AgentSweep
from quantv2x_ros.graph.parameters.fusion import FusionParameters
from quantv2x_ros.graph.parameters.parameter import ParameterError
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.receiver import Receiver
from quantv2x_ros.nodes.air.heard_packet import HeardPacket
from quantv2x_ros.nodes.air.index_format import IndexFormat
from quantv2x_ros.nodes.air.indices_subscription import IndicesSubscription
from quantv2x_ros.nodes.air.trust import Trust
from quantv2x_ros.nodes.common.base import BaseNode
from quantv2x_ros.nodes.common.model import load_bundle, station_of
from quantv2x_ros.nodes.common.wake import Wake
from quantv2x_ros.nodes.common.warm_up import warm_up_detector
from quantv2x_ros.nodes.fusion.announcements import Announcements
from quantv2x_ros.nodes.fusion.frame_turns import FrameTurns
from quantv2x_ros.nodes.fusion.fusion_output import FusionOutput, fused_values, heard_values
from quantv2x_ros.nodes.fusion.fusion_worker import FusionOutcome, FusionWorker, OwnView
from quantv2x_ros.nodes.fusion.indices_input import REFUSALS, IndicesInput
from quantv2x_ros.nodes.fusion.own_input import LevelInput, OwnInput
from quantv2x_ros.nodes.fusion.own_objects import OwnObjects

#: Pyramids computed at the same time: the ego's and a peer's come together. More would leave each
#: too few threads.
_WORKERS = 2


class FusionNode(BaseNode):
    """Fuses the ego's sweeps with its peers' and publishes what is found.

    Subscriptions: ``/v2x/bev_indices``, outside `ego` ``own_indices`` of the own encoder,
    ``/v2x/codebook``. Publications: ``objects``, ``markers``, ``detections`` (vision_msgs, where
    installed), ``/diagnostics``. Whatever is wrong with a message drops it, counted by reason and
    named in the diagnostics.
    """

    defaults: ClassVar[FusionParameters] = FusionParameters()
    parameters: FusionParameters

    def __init__(
        self, *, bundle: ModelBundle | None = None, own_in_process: bool = False, **options: Any
    ) -> None:
        """Create the node; unless its lifecycle is left to others, load the model and subscribe.

        Args:
            bundle: model bundle where it is loaded already; else the parameter names it.
            own_in_process: whether own sweeps come through `accept_own`; the same sweeps on the
                topic are then not used.
            options: options of `rclpy.lifecycle.LifecycleNode`.

        Raises:
            ValueError: for a parameter or bundle that cannot be used.
        """
        super().__init__("fusion", **options)
        self._own_in_process = own_in_process
        self._given_bundle = bundle
        self._worker: FusionWorker | None = None
        self._frames = 0
        self._out_of_range = 0
        self._last: FusionOutcome | None = None
        self._taking = threading.Lock()  # the own sweeps come in the encoder's thread
        self._overload = Overload()
        self._levels: LevelInput | None = None
        self._encoders_turn: Callable[[], None] | None = None
        self._wake: Wake | None = None
        self._station = station_of(self, self.parameters.station.station_id)
        self.begin()

    def configure(self) -> None:
        """Load the model and its engines, run them once, and start the worker's threads."""
        parameters, model = self.parameters, self.parameters.model
        self._bundle = self._given_bundle or load_bundle(model.bundle)
        self._format = IndexFormat.of(self._bundle, parameters.station.map_frame)
        max_agents = _agents_at_most(parameters.max_agents, self._bundle)
        workers = min(_WORKERS, model.engine_threads or os.cpu_count() or 1)
        detector = CooperativeDetector(self._bundle, model.backend, model.engine_threads, workers)
        trust = Trust(parameters.trust, self._station)
        receiver = Receiver(
            detector,
            self._bundle,
            self._station,
            parameters.receiver,
            max_agents,
            trust.registry,
        )
        self._input = IndicesInput(
            self,
            parameters,
            self._station,
            self._format.packets,
            self._bundle.classes,
            receiver,
            trust,
            self._forget,
        )
        receiver.collector.places.standings = trust.registry
        self._output = FusionOutput(self, self._bundle.classes, self._bundle.grid)
        self._own_objects = OwnObjects(self, self._bundle.classes, parameters.station.map_frame)
        warm_up_detector(detector)
        self.finished = model.build_only
        self._own = OwnInput(
            self, self._station, self._own_in_process, self._postpone, self._on_shared
        )
        self._turns = FrameTurns(self.may_begin, trust.registry)
        tracker = ObjectTracker() if parameters.track else None
        self._worker = FusionWorker(
            detector,
            receiver,
            self._publish,
            self._fail,
            self._on_idle,
            tracker,
            self._publish_own_view,
        )
        self._worker.set_score_threshold(parameters.score_threshold)

    def activate(self) -> None:
        """Subscribe to the messages on the air."""
        super().activate()
        if self._worker is None:
            raise RuntimeError("activated without being configured")
        self._indices = IndicesSubscription(
            self,
            self._input.trust.may_speak,
            self._input.trust.spend,
            self._on_indices,
            self.drop,
            ignored=self._station if self._own_in_process else None,
            postpone=self._own.postpone,
            on_ignored=self._own.hear,
        )
        self._own.listen(self._indices, self._on_indices)
        self._wake = Wake(self, self._read_due)
        self._levels = None if self._own_in_process else LevelInput(self)
        self._announcements = Announcements(self, self._station, self._format, self._worker.expect)
        self._patience = self.create_timer(0.02, self._take_overdue, clock=self.steady_clock)
        self._patience.cancel()  # runs while tiles are missing; else it would wake the node in vain

    def deactivate(self) -> None:
        """Forget every sweep; the engines stay."""
        with self._taking:  # no own sweep is taken meanwhile, or after
            self.time_jumped_back()
        wake, self._wake = self._wake, None
        if wake is not None:  # else it has failed to activate
            wake.close()
        self._last = None

    def cleanup(self) -> None:
        """End the worker's threads."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()
        self._levels = None

    def retune(self) -> None:
        """Go by the new times, distances and scores from the next frame on."""
        super().retune()
        if self._worker is not None:
            self._worker.change(self.parameters.receiver)
            self._worker.set_score_threshold(self.parameters.score_threshold)

    def accept_own(self, sweep: AgentSweep, stage_ms: Mapping[str, float]) -> None:
        """Accept a sweep of the own encoder in this process.

        Args:
            sweep: coded sweep of the ego.
            stage_ms: times of the encoder, milliseconds by stage.
        """
        with self._taking:
            if not self.is_active or self._worker is None:
                return
            self._input.note_arrival(sweep)
            self._own.note(sweep.stamp_ns)
            self._worker.wants_own_view = self._own_objects.is_wanted
            if self._own_in_process and self._encoders_turn is None:  # else the encoder notes it
                self._overload.note_sweep(sweep.stamp_ns, time.monotonic())
            if sweep.period_ns is None:
                sweep = replace(sweep, period_ns=self._overload.period_ns)
            self._turns.begin(sweep.stamp_ns, sweep.period_ns)
            try:
                if self._worker.offer_ego(sweep):
                    self.get_logger().warning("own sweeps jumped back in time; starting afresh")
                    self._input.reset()
            except SweepRefusedError as error:
                self.drop(error.reason, str(error))

    def note_encoding(self, stamp_ns: int | None) -> None:
        """See `OwnFusion`."""
        worker = self._worker
        if worker is None:
            return
        if stamp_ns is not None and self.is_active:
            self._turns.begin(stamp_ns)
            self._ask_to_read(worker)
        worker.note_encoding(stamp_ns is not None)

    def may_begin(self) -> bool:
        """See `OwnFusion`."""
        worker = self._worker
        return worker is None or not self.is_active or worker.is_idle

    def call_when_idle(self, callback: Callable[[], None] | None) -> None:
        """See `OwnFusion`."""
        self._encoders_turn = callback

    def pass_turn(self) -> None:
        """See `OwnFusion`."""
        worker = self._worker
        if worker is not None and self.is_active:
            self._ask_to_read(worker)

    def _ask_to_read(self, worker: FusionWorker) -> None:
        """Let the node's thread read what waits, before the next frame is fused."""
        wake = self._wake
        if wake is not None and self._turns.has_waiting():
            worker.note_reading(True)
            wake()

    def _on_idle(self) -> None:
        """Let the next frame begin; called by any thread."""
        turn = self._encoders_turn
        if turn is not None:
            turn()
        else:
            self.pass_turn()

    def _postpone(self, station: int, stamp_ns: int, content: bytes) -> bool:
        """See `IndicesSubscription`."""
        if station == self._station:
            self._overload.note_sweep(stamp_ns, time.monotonic())
        if not self._turns.postpone(station, stamp_ns, content):
            return False
        if self.may_begin():  # the frame was done meanwhile, so that nobody else will ask
            self.pass_turn()
        return True

    def _read_due(self) -> None:
        """Read what has waited for the frame in work, or for the next one."""
        for content in self._turns.due(None if self._own_in_process else self._station):
            self._indices.read(content)
        if self._worker is not None:
            self._worker.note_reading(False)

    def _on_indices(self, heard: HeardPacket) -> float:
        """Take a packet; returns the work that it was, in sweeps."""
        packet = heard.packet
        if isinstance(packet, ObjectPacket):
            self._on_objects(heard, packet)
            return LEAST_WORK
        work = work_of(packet, self._format.packets)
        try:
            sweep = self._input.accept(heard, packet)
        except REFUSALS as error:
            self._refuse(packet.station_id, error.reason, str(error))
            return work
        if sweep is not None:
            self._offer(sweep)
        elif self._input.reception.is_incomplete:
            self._patience.reset()
        return work

    def _on_objects(self, heard: HeardPacket, packet: ObjectPacket) -> None:
        """Take a packet with objects; the own ones are known."""
        if packet.station_id == self._station:
            return
        try:
            self._input.accept_objects(heard, packet)
        except REFUSALS as error:
            self._refuse(packet.station_id, error.reason, str(error))

    def _publish_own_view(self, view: OwnView) -> None:
        """Publish what the ego finds alone; called in the worker's thread."""
        if self.is_active:
            self._own_objects.publish(view)

    def _take_overdue(self) -> None:
        """Pass on sweeps that lost tiles have left incomplete."""
        for sweep in self._input.reception.overdue(time.monotonic()):
            self._offer(sweep)
        if not self._input.reception.is_incomplete:
            self._patience.cancel()

    def _offer(self, sweep: AgentSweep) -> None:
        if sweep.station_id == self._station:
            self.accept_own(sweep, {})
            return
        if self._worker is None:
            return
        try:
            self._worker.offer_peer(sweep)
        except SweepRefusedError as error:
            self._refuse(sweep.station_id, error.reason, str(error))

    def _on_shared(self, heard: HeardPacket) -> None:
        """Report another station that has this one's id."""
        pose = self._ego_pose()
        own = None if pose is None else pose[:2, 3]
        text = shared_text(self._station, heard.packet.pose[:2, 3], own)
        self._refuse(self._station, "shared_id", text)

    def _ego_pose(self) -> npt.NDArray[np.float64] | None:
        return None if self._worker is None else self._worker.ego_pose

    def _forget(self, station: int) -> None:
        """Forget the sweeps of a station that made room for another one, or fell silent."""
        if self._worker is not None:
            self._worker.forget(station)

    def _refuse(self, station: int, reason: str, text: str) -> None:
        """Count a peer's message or sweep that is not used, and remember it against the peer."""
        self._input.ledger.refuse(station, reason, text, time.monotonic())
        if reason == "out_of_range":
            self._out_of_range += 1  # nothing is wrong with it
        else:
            self.drop(reason, text)

    def _publish(self, outcome: FusionOutcome) -> None:
        """Publish a fused frame; called in the worker's thread."""
        if not self.is_active:
            return  # it was begun before
        start = time.perf_counter()
        if self._levels is not None:
            outcome = outcome.with_ego(self._levels.with_level(outcome.frame.sweeps[0]))
        self._output.publish(outcome)
        for station, age in outcome.frame.expired:
            limit = self.parameters.peer_timeout
            self.drop("silent", f"station {station} unheard for {age:.3f} s, allowed {limit} s")
        for station in outcome.frame.over_limit:
            self.drop("max_agents", f"station {station} is one more than max_agents")
        for station in outcome.frame.held_back:
            self.drop("newcomer", f"station {station} is new and waits for its turn to be fused")
        for station in outcome.frame.excluded:
            self.drop("inconsistent", f"station {station}: {outcome.frame.suspects[station]}")
        self._frames += 1
        self._overload.note_done(time.monotonic())
        self._last = outcome
        stations = [sweep.station_id for sweep in outcome.frame.sweeps]
        stations += [r.station_id for r in outcome.result.reports if r.station_id not in stations]
        self._input.registry.note_fused(stations, time.monotonic())
        self.get_logger().debug(
            f"fused {outcome.frame.sweeps[0].stamp_ns} ns of stations {stations}"
        )
        self.note_frame(
            {
                **outcome.stage_ms,
                "publish": 1e3 * (time.perf_counter() - start),
                "sweep to objects": 1e3 * (time.monotonic() - outcome.frame.sweeps[0].arrived),
            }
        )

    def _fail(self, error: BaseException) -> None:
        self.get_logger().fatal(f"fusion ended: {error}")
        self.failure = error

    def time_jumped_back(self) -> None:
        """Forget every sweep: they belong to another time."""
        self._input.reset()
        self._own.reset()
        self._turns.reset()
        self._overload.reset()
        if self._worker is not None:
            self._worker.reset()

    def findings(self) -> Mapping[str, str]:
        """Return a warning about overload."""
        state = self._overload.state(time.monotonic())
        return {} if state is None else {"overload": str(state)}

    def report_id(self) -> str:
        """Return the station id."""
        return f"station {self._station}"

    def report(self) -> tuple[str, Mapping[str, str]]:
        """Return the last fused frame, and what came of each station."""
        values = {
            "superseded sweeps": str(self._worker.superseded if self._worker else 0),
            "messages not read": str(self._turns.unread),
            "messages from out of range": str(self._out_of_range),
            "partial sweeps": str(self._input.reception.partial),
            "abandoned sweeps": str(self._input.reception.abandoned),
            "sweeps with lost cells filled": str(self._input.reception.concealed),
            "restored tiles": str(self._input.reception.restored),
            "stations tracked": str(len(self._input.registry)),
        }
        if self._levels is not None and self._levels.unknown:
            values["frames in the levelled frame"] = str(self._levels.unknown)
        now = time.monotonic()
        entries = self._input.ledger.entries(now)
        values.update(heard_values(entries, self._input.reception.counts, now))
        for station, offset in self._input.clock_offsets().items():
            values[f"station {station} clock behind [ms]"] = f"{1e3 * offset:.1f}"
        if self._last is not None:
            values.update(fused_values(self._last))
        return f"fused {self._frames} frames", values


def _agents_at_most(wanted: int, bundle: ModelBundle) -> int:
    """Return how many agents are fused, the ego included.

    Args:
        wanted: at most; 0 for as many as the bundle allows.
        bundle: the model.

    Raises:
        ParameterError: for more than that.
    """
    if wanted > bundle.max_agents:
        raise ParameterError(
            f"max_agents: got {wanted}, but the bundle {bundle.name} fuses {bundle.max_agents} at "
            "most; 0 takes as many"
        )
    return wanted or bundle.max_agents
