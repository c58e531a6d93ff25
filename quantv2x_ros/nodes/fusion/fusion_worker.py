# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Threads that compute pyramids and fuse, so that reception never waits for an engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.fusion.collector import SweepCollector
from quantv2x_ros.core.fusion.fusion_steps import ComputePyramid, Fuse, HeldSweep, Wait
from quantv2x_ros.core.fusion.pose_alignment import Alignment
from quantv2x_ros.core.geometry.pose import transform_between
from quantv2x_ros.core.transport.sweep import AgentSweep
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.peer_views import PeerViews
from quantv2x_ros.inference.pose_aligner import HeldAlignment
from quantv2x_ros.inference.results import AgentPyramid, FusionResult


@dataclass(frozen=True, eq=False)
class TimedPyramid:
    """A pyramid and the time that it took, milliseconds."""

    pyramid: AgentPyramid
    milliseconds: float


Collector = SweepCollector[TimedPyramid]


@dataclass(frozen=True, eq=False)
class FusionOutcome:
    """A fused frame.

    Attributes:
        sweeps: sweeps that were fused, the ego's first.
        agent_to_ego: transforms, (N, 4, 4) float64, metres.
        result: result of the detector.
        stage_ms: latency by stage, milliseconds.
        expired: station and age [s] of peers that have fallen silent.
        over_limit: stations left out because `max_agents` was reached.
        held_back: newcomers left out, since their turn has not come.
        suspects: station → how its map contradicts the ego's.
        excluded: stations left out for that.
        alignments: station → newest correction of its pose.
    """

    sweeps: tuple[AgentSweep, ...]
    agent_to_ego: npt.NDArray[np.float64]
    result: FusionResult
    stage_ms: Mapping[str, float]
    expired: tuple[tuple[int, float], ...]
    over_limit: tuple[int, ...]
    held_back: tuple[int, ...]
    suspects: Mapping[int, str]
    excluded: tuple[int, ...]
    alignments: Mapping[int, Alignment]

    def with_ego(self, sweep: AgentSweep) -> FusionOutcome:
        """Return the frame with the level of the ego's sweep."""
        return replace(self, sweeps=(sweep, *self.sweeps[1:]))


class FusionWorker:
    """Runs the steps that its collector chooses: one thread fuses, the others compute pyramids."""

    def __init__(
        self,
        detector: CooperativeDetector,
        collector: Collector,
        views: PeerViews,
        aligner: HeldAlignment | None,
        on_outcome: Callable[[FusionOutcome], None],
        on_failure: Callable[[BaseException], None],
        on_idle: Callable[[], None],
    ) -> None:
        """Start the threads.

        Args:
            detector: detector that these threads alone use from now on, with a stream for each.
            collector: collector that is used under this worker's lock from now on.
            views: views of peers that the fusing thread uses.
            aligner: aligner that the fusing thread uses; None to take poses as sent.
            on_outcome: called with every fused frame, one at a time, in their order.
            on_failure: called with the error that ends a thread.
            on_idle: called whenever a frame is done and none is in work.
        """
        self._detector = detector
        self._collector = collector
        self._views = views
        self._aligner = aligner
        self._on_outcome = on_outcome
        self._on_failure = on_failure
        self._on_idle = on_idle
        self._changed = threading.Condition()
        self._stopping = False
        self._fusing = False
        self._own_encoding = False
        self._reading = False
        self._ego_pose: npt.NDArray[np.float64] | None = None
        self._threads = [
            threading.Thread(target=self._run, name=f"fusion {number}", daemon=True)
            for number in range(detector.streams)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def superseded(self) -> int:
        """Return the number of sweeps never used because newer ones came first."""
        return self._collector.superseded

    @property
    def ego_pose(self) -> npt.NDArray[np.float64] | None:
        """Return the ego's newest pose (4, 4) in the map, metres; None before its first sweep."""
        return self._ego_pose

    @property
    def is_idle(self) -> bool:
        """Tell whether no frame is in work: none is encoded, waits, or is fused."""
        with self._changed:
            return not (self._own_encoding or self._fusing or self._collector.has_ego)

    def offer_ego(self, sweep: AgentSweep) -> bool:
        """See `SweepCollector.offer_ego`."""
        with self._changed:
            jumped = self._collector.offer_ego(sweep, time.monotonic())
            self._ego_pose = sweep.pose
            self._changed.notify_all()
        return jumped

    def offer_peer(self, sweep: AgentSweep) -> None:
        """See `SweepCollector.offer_peer`."""
        with self._changed:
            self._collector.offer_peer(sweep)
            self._changed.notify_all()

    def forget(self, station_id: int) -> None:
        """See `SweepCollector.forget`."""
        with self._changed:
            self._collector.forget(station_id)

    def note_encoding(self, begun: bool) -> None:
        """Note when the ego's encoder in this process begins and ends: no pyramid begins then."""
        with self._changed:
            self._own_encoding = begun
            self._changed.notify_all()
        self._tell_if_idle()

    def _tell_if_idle(self) -> None:
        if self.is_idle:
            self._on_idle()

    def note_reading(self, begun: bool) -> None:
        """Note when reading of this frame's waiting messages begins and ends: fusion waits."""
        with self._changed:
            self._reading = begun
            self._changed.notify_all()

    def expect(self, station_id: int) -> None:
        """See `SweepCollector.expect`."""
        with self._changed:
            self._collector.expect(station_id)

    def retune(self, name: str, value: float) -> None:
        """Change a setting from the next frame on.

        Args:
            name: ``score_threshold`` (negative: the bundle's of each class), ``peer_timeout`` or
                ``peer_wait``.
            value: new value, checked already.
        """
        with self._changed:
            if name == "score_threshold":
                own = self._detector.bundle.detection
                self._detector.detection = own if value < 0.0 else own.with_threshold(value)
            else:
                setattr(self._collector, name, value)
            self._changed.notify_all()

    def reset(self) -> None:
        """Forget every sweep."""
        with self._changed:
            self._collector.reset()
            self._ego_pose = None
            self._reading = False

    def stop(self) -> None:
        """End the threads after their current steps."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _run(self) -> None:
        try:
            while (step := self._next()) is not None:
                if isinstance(step, ComputePyramid):
                    self._compute(step.held)
                else:
                    self._on_outcome(self._fuse(step))
                self._finish(step)
        except BaseException as error:  # whatever ends a thread must end the node, too
            self._on_failure(error)

    def _next(self) -> ComputePyramid[TimedPyramid] | Fuse[TimedPyramid] | None:
        """Wait for the next step; None once the worker is to stop."""
        with self._changed:
            while not self._stopping:
                step = self._collector.next_step(
                    time.monotonic(),
                    may_fuse=not (self._fusing or self._reading),
                    may_prepare=not self._own_encoding,
                )
                if not isinstance(step, Wait):
                    self._fusing = self._fusing or isinstance(step, Fuse)
                    return step
                self._changed.wait(step.seconds)
        return None

    def _finish(self, step: ComputePyramid[TimedPyramid] | Fuse[TimedPyramid]) -> None:
        """Let the other threads see what this one has done."""
        with self._changed:
            if isinstance(step, Fuse):
                self._fusing = False
            self._changed.notify_all()
        if isinstance(step, Fuse):
            self._tell_if_idle()

    def _compute(self, held: HeldSweep[TimedPyramid]) -> None:
        start = time.perf_counter()
        sweep = held.sweep
        if sweep.own is not None:
            pyramid = self._detector.own_pyramid(sweep.own)
        else:
            received = None if sweep.received.all() else sweep.received
            ego = self._ego_pose
            where = None if ego is None else transform_between(ego, sweep.pose)
            pyramid = self._detector.pyramid(sweep.indices, received, where)
        held.pyramid = TimedPyramid(pyramid, 1e3 * (time.perf_counter() - start))

    def _fuse(self, step: Fuse[TimedPyramid]) -> FusionOutcome:
        start = time.perf_counter()
        held = (step.ego, *step.peers)
        timed = [item.pyramid for item in held if item.pyramid is not None]
        pairs = [(item.sweep, each.pyramid) for item, each in zip(held, timed, strict=True)]
        prepared = self._views.prepare(pairs[0], pairs[1:])
        kept = [step.peers[number].sweep for number in prepared.kept]
        sweeps = (step.ego.sweep, *kept)
        pyramids = [pairs[0][1], *prepared.pyramids]
        poses = [sweep.pose for sweep in sweeps]
        if self._aligner is not None:
            poses = self._aligner.poses(sweeps, pyramids)
        views_ms = 1e3 * (time.perf_counter() - start)
        ego_to_agent = np.stack([transform_between(poses[0], pose) for pose in poses])
        agent_to_ego = np.stack([transform_between(pose, poses[0]) for pose in poses])
        start = time.perf_counter()
        result = self._detector.fuse(pyramids, ego_to_agent)
        stage_ms = {
            "pyramid, ego": timed[0].milliseconds,
            "pyramids, peers": sum(each.milliseconds for each in timed[1:]),
            "peers' views": views_ms,
            **result.stage_ms,
            "fusion": 1e3 * (time.perf_counter() - start),
        }
        fused = {sweep.station_id for sweep in sweeps}
        excluded = tuple(station for station in prepared.suspects if station not in fused)
        return FusionOutcome(
            sweeps,
            agent_to_ego,
            result,
            stage_ms,
            step.expired,
            step.over_limit,
            step.held_back,
            prepared.suspects,
            excluded,
            self._aligner.found if self._aligner is not None else {},
        )
