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

from quantv2x_ros.core.detection.detection import PROTOCOL_SCORE, Detections
from quantv2x_ros.core.fusion.fusion_steps import ComputePyramid, Fuse, HeldSweep, Wait
from quantv2x_ros.core.receiver_settings import ReceiverSettings
from quantv2x_ros.core.tracking.object_tracker import ObjectTracker, TrackedObjects
from quantv2x_ros.core.transport.sweep import AgentSweep
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.receiver import FusionFrame, Receiver
from quantv2x_ros.inference.results import AgentPyramid, FusionResult

#: A pyramid that is computed, a frame that is fused, or the ego's sweep that is looked at alone.
WorkStep = ComputePyramid[AgentPyramid] | Fuse[AgentPyramid] | HeldSweep[AgentPyramid]


@dataclass(frozen=True, eq=False)
class FusionOutcome:
    """A fused frame.

    Attributes:
        frame: what was fused.
        result: what the detector found.
        stage_ms: latency by stage, milliseconds.
        tracked: what is known of the detections from the frames before; None where objects are not
            followed.
    """

    frame: FusionFrame
    result: FusionResult
    stage_ms: Mapping[str, float]
    tracked: TrackedObjects | None = None

    def with_ego(self, sweep: AgentSweep) -> FusionOutcome:
        """Return the frame with more known of the ego's sweep."""
        sweeps = (sweep, *self.frame.sweeps[1:])
        return replace(self, frame=replace(self.frame, sweeps=sweeps))


@dataclass(frozen=True, eq=False)
class OwnView:
    """What the ego finds in one of its sweeps without others.

    Attributes:
        sweep: the sweep.
        detections: boxes in its frame, down to the score from which objects are sent.
        velocities: (N, 2) theirs over ground, in the axes of that frame, m/s; NaN where not known.
    """

    sweep: AgentSweep
    detections: Detections
    velocities: npt.NDArray[np.float64]


class FusionWorker:
    """Does what its receiver says: one thread detects at a time, the others compute pyramids.

    Where the ego's own view is wanted, it is detected while peers' sweeps are waited for, or after
    the fusion.
    """

    def __init__(
        self,
        detector: CooperativeDetector,
        receiver: Receiver,
        on_outcome: Callable[[FusionOutcome], None],
        on_failure: Callable[[BaseException], None],
        on_idle: Callable[[], None],
        tracker: ObjectTracker | None = None,
        on_own_view: Callable[[OwnView], None] | None = None,
    ) -> None:
        """Start the threads.

        Args:
            detector: used by these threads alone from now on; there is one for each stream.
            receiver: has the same detector; what is offered to it is under this worker's lock from
                now on.
            on_outcome: called with every fused frame, one at a time, in their order.
            on_failure: called with the error that ends a thread.
            on_idle: called whenever a frame is done and none is in work.
            tracker: follows the detections; None for none.
            on_own_view: called with what the ego finds alone, while `wants_own_view`.
        """
        self._on_own_view = on_own_view
        self._own_tracker = ObjectTracker()
        self._own_due: HeldSweep[AgentPyramid] | None = None
        self.wants_own_view = False
        self._tracker = tracker
        self._detector = detector
        self._receiver = receiver
        self._on_outcome = on_outcome
        self._on_failure = on_failure
        self._on_idle = on_idle
        self._changed = threading.Condition()
        self._stopping = False
        self._fusing = False
        self._own_encoding = False
        self._reading = False
        self._threads = [
            threading.Thread(target=self._run, name=f"fusion {number}", daemon=True)
            for number in range(detector.streams)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def superseded(self) -> int:
        """Return the number of sweeps never used because newer ones came first."""
        return self._receiver.collector.superseded

    @property
    def ego_pose(self) -> npt.NDArray[np.float64] | None:
        """Return the ego's newest pose (4, 4) in the map, metres; None before its first sweep."""
        return self._receiver.ego_pose

    @property
    def is_idle(self) -> bool:
        """Tell whether no frame is in work: none is encoded, waits, or is fused."""
        with self._changed:
            in_work = self._fusing or self._own_due is not None
            return not (self._own_encoding or in_work or self._receiver.collector.has_ego)

    def offer_ego(self, sweep: AgentSweep) -> bool:
        """See `SweepCollector.offer_ego`."""
        with self._changed:
            jumped = self._receiver.offer_ego(sweep, time.monotonic())
            self._changed.notify_all()
        return jumped

    def offer_peer(self, sweep: AgentSweep) -> None:
        """See `SweepCollector.offer_peer`."""
        with self._changed:
            self._receiver.offer_peer(sweep)
            self._changed.notify_all()

    def forget(self, station_id: int) -> None:
        """See `SweepCollector.forget`."""
        with self._changed:
            self._receiver.forget(station_id)

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
            self._receiver.expect(station_id)

    def change(self, settings: ReceiverSettings) -> None:
        """Take new settings from the next frame on; see `Receiver.change`."""
        with self._changed:
            self._receiver.change(settings)
            self._changed.notify_all()

    def set_score_threshold(self, threshold: float) -> None:
        """Publish objects from this score on; negative: from the bundle's of each class on."""
        own = self._detector.bundle.detection
        self._detector.detection = own if threshold < 0.0 else own.with_threshold(threshold)

    def reset(self) -> None:
        """Forget every sweep."""
        with self._changed:
            self._receiver.reset()
            self._own_due = None
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
                    self._compute(step)
                elif isinstance(step, Fuse):
                    self._on_outcome(self._fuse(step))
                else:
                    self._detect_alone(step)
                self._finish(step)
        except BaseException as error:  # whatever ends a thread must end the node, too
            self._on_failure(error)

    def _next(self) -> WorkStep | None:
        """Wait for the next step; None once the worker is to stop."""
        with self._changed:
            while not self._stopping:
                step = self._receiver.next_step(
                    time.monotonic(),
                    may_fuse=not (self._fusing or self._reading),
                    may_prepare=not self._own_encoding,
                )
                if not isinstance(step, Wait):
                    self._fusing = self._fusing or isinstance(step, Fuse)
                    return step
                if self._own_due is not None and not self._fusing:
                    own, self._own_due, self._fusing = self._own_due, None, True
                    return own
                self._changed.wait(step.seconds)
        return None

    def _finish(self, step: WorkStep) -> None:
        """Let the other threads see what this one has done."""
        detects = not isinstance(step, ComputePyramid)
        with self._changed:
            if detects:
                self._fusing = False
            self._changed.notify_all()
        if detects:
            self._tell_if_idle()

    def _compute(self, step: ComputePyramid[AgentPyramid]) -> None:
        self._receiver.compute(step.held)
        if self.wants_own_view and step.held.peer is None:
            with self._changed:
                self._own_due = step.held

    def _detect_alone(self, held: HeldSweep[AgentPyramid]) -> None:
        """Find what the ego sees without others, as far as it is worth sending."""
        if held.pyramid is None or self._on_own_view is None:
            raise RuntimeError("the own view was begun before its pyramid was there")
        detection = self._detector.bundle.detection.for_ranking(PROTOCOL_SCORE)
        found = self._detector.detect_alone(held.pyramid, detection)
        seconds = held.sweep.stamp_ns / 1e9
        if not self._own_tracker.is_later(seconds):  # time has jumped back
            self._own_tracker.reset()
        tracked = self._own_tracker.update(found, held.sweep.pose, seconds)
        self._on_own_view(OwnView(held.sweep, found, tracked.known_velocities))

    def _fuse(self, step: Fuse[AgentPyramid]) -> FusionOutcome:
        frame = self._receiver.prepare(step)
        start = time.perf_counter()
        result = self._detector.fuse(frame.pyramids, frame.ego_to_agent)
        result = self._receiver.join(frame, result, self._detector.detection)
        fused = time.perf_counter()
        stages = {**frame.stage_ms, **result.stage_ms, "fusion": 1e3 * (fused - start)}
        tracked = self._track(frame, result)
        if tracked is not None:
            stages["tracking"] = 1e3 * (time.perf_counter() - fused)
        return FusionOutcome(frame, result, stages, tracked)

    def _track(self, frame: FusionFrame, result: FusionResult) -> TrackedObjects | None:
        """Follow a frame's detections; one frame is in work at a time, in their order."""
        if self._tracker is None:
            return None
        ego = frame.sweeps[0]
        seconds = ego.stamp_ns / 1e9
        if not self._tracker.is_later(seconds):  # time has jumped back
            self._tracker.reset()
        return self._tracker.update(result.detections, ego.pose, seconds)
