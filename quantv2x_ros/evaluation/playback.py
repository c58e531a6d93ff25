# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A scenario played to the fusion node's receiver, in the dataset's time."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.fusion.fusion_steps import ComputePyramid, Fuse, SweepRefusedError
from quantv2x_ros.core.geometry.packed_pose import sent_pose
from quantv2x_ros.core.placement.levelling import in_sensor_frame
from quantv2x_ros.core.transport.assembly import AssemblyError, ReceptionError
from quantv2x_ros.core.transport.erasure_code import ErasureCodeError
from quantv2x_ros.core.transport.sweep import AgentSweep, Tile
from quantv2x_ros.data.agent_names import station_id
from quantv2x_ros.data.scenario import FRAME_PERIOD
from quantv2x_ros.evaluation.air import Outgoing, make_air
from quantv2x_ros.evaluation.frame_state import FrameState, Sent
from quantv2x_ros.evaluation.senders import Senders
from quantv2x_ros.evaluation.settings import EvaluationConfig, Link
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.protocol import FusionDetector, MessageError, PlainFeature
from quantv2x_ros.inference.receiver import FusionFrame, Receiver
from quantv2x_ros.inference.results import FusionResult

#: What is on its way: a tile, or a whole sweep.
Arriving = Tile | AgentSweep
_PERIOD_NS = round(1e9 * FRAME_PERIOD)


@dataclass(frozen=True, eq=False)
class EgoView:
    """What the ego saw in one frame.

    Attributes:
        detections: Boxes in the ego's LiDAR frame.
        agents: Agents that were fused, the ego included.
        latency_ms: From the ego's sweep to the boxes: its encoding, all pyramids, the fusion.
    """

    detections: Detections
    agents: int
    latency_ms: float


class Playback:
    """Plays one scenario to one receiver, with the draws of one seed.

    Attributes:
        refused: Messages and sweeps that the receiver did not use, by the reason.
    """

    def __init__(
        self,
        detector: FusionDetector,
        bundle: ModelBundle,
        senders: Senders,
        config: EvaluationConfig,
        scenario: int,
    ) -> None:
        """Start before the first frame.

        Args:
            detector: Computes pyramids and fuses them.
            bundle: Its model.
            senders: Makes the messages.
            config: Who cooperates, over what link, and what the receiver does.
            scenario: Number of the scenario, for the draws.
        """
        self._detector = detector
        self._bundle = bundle
        self._senders = senders
        self._config = config
        self._scenario = scenario
        self._air = make_air(self._packets, config.link, scenario)
        self._ego = ""
        self._put = 0
        self.reset()
        self.refused: Counter[str] = Counter()

    @property
    def air_counts(self) -> Counter[str]:
        """What became of the messages on the air; empty without a channel."""
        return self._air.counts

    def reset(self) -> None:
        """Begin anew, as a node that is started: frames were left out."""
        self._receiver: Receiver | None = None
        #: When something arrives, seconds; a number that keeps the order; what it is
        self._on_the_way: list[tuple[float, int, Arriving]] = []

    def play(self, state: FrameState, detect: bool = True) -> EgoView | None:
        """Let a frame go by; must be called once for each, in their order.

        Args:
            state: What is sent in it.
            detect: Whether the ego's boxes are wanted.
        """
        if self._receiver is None or self._ego != state.ego:
            self._receiver, self._ego = self._new_receiver(state), state.ego
        if not self._config.ego_only:
            self._send(state)
        now = state.stamp_ns / 1e9 + self._config.link.own_delay_ms / 1e3
        self._deliver(self._receiver, now)
        self._receiver.offer_ego(self._own_sweep(state, now), now)
        frame = self._collect(self._receiver, now)
        if not detect:
            return None
        own = state.sent[state.ego]
        fused = self._detector.fuse(frame.pyramids, frame.ego_to_agent)
        fused = self._join(self._receiver, frame, fused, now)
        latency = own.encoding_ms + sum(frame.stage_ms.values()) + sum(fused.stage_ms.values())
        found = in_sensor_frame(fused.detections, own.level)
        return EgoView(found, len(frame.sweeps), latency)

    def _join(
        self, receiver: Receiver, frame: FusionFrame, fused: FusionResult, now: float
    ) -> FusionResult:
        """Return what is found with what peers have found alone; here nobody tells that.

        Args:
            receiver: The ego's.
            frame: What was fused.
            fused: What was found in it.
            now: When the ego's own encoder was done, seconds.
        """
        return fused

    def _new_receiver(self, state: FrameState) -> Receiver:
        return Receiver(
            self._detector,
            self._bundle,
            station_id(state.ego),
            self._config.receiver,
            1 if self._config.ego_only else self._config.agents,
        )

    def _send(self, state: FrameState) -> None:
        """Put what is sent in a frame on the air."""
        link = self._config.link
        start = state.stamp_ns / 1e9 + link.latency_ms / 1e3
        draws, poses = draw_peers(state, link, self._scenario)
        if any(isinstance(state.sent[name].message, PlainFeature) for name in draws):
            for name, pose in poses.items():
                self._put_on_the_way(start, _plain_sweep(self._bundle, state, name, pose, link))
            return
        for name, arrivals in self._air.carry(state, draws).items():
            tiles = self._senders.tiles(state, name, link.sending)
            for number, after in arrivals.items():
                self._put_on_the_way(start + after, replace(tiles[number], pose=poses[name]))

    def _packets(self, state: FrameState, name: str) -> list[Outgoing]:
        sent = self._senders.send(state.sent[name], self._config.link.sending)
        return [Outgoing(size) for size in sent.packet_sizes]

    def _put_on_the_way(self, arrival: float, item: Arriving) -> None:
        heapq.heappush(self._on_the_way, (arrival, self._put, item))
        self._put += 1

    def _deliver(self, receiver: Receiver, until: float) -> None:
        """Hand over what arrives up to a time."""
        while (now := self._next_event(receiver)) <= until:
            self._deliver_next(receiver, now)
            while isinstance(step := receiver.next_step(now), ComputePyramid):
                receiver.compute(step.held)  # ahead of the ego's sweep, as a node that has time

    def _next_event(self, receiver: Receiver) -> float:
        """Return when the next message arrives, or the wait for lost ones ends, seconds."""
        arrival = self._on_the_way[0][0] if self._on_the_way else np.inf
        return min(arrival, receiver.reception.next_overdue)

    def _deliver_next(self, receiver: Receiver, now: float) -> None:
        """Hand over one message, and what has waited long enough for others."""
        sweeps = receiver.overdue(now)
        if self._on_the_way and self._on_the_way[0][0] <= now:
            sweeps += self._take(receiver, heapq.heappop(self._on_the_way)[2], now)
        for sweep in sweeps:
            try:
                receiver.offer_peer(sweep)
            except SweepRefusedError as error:
                self.refused[error.reason] += 1

    def _take(self, receiver: Receiver, item: Arriving, now: float) -> list[AgentSweep]:
        if isinstance(item, AgentSweep):
            return [replace(item, arrived=now)]
        try:
            sweep = receiver.take(item, now)
        except (AssemblyError, ErasureCodeError, ReceptionError) as error:
            self.refused[error.reason] += 1
            return []
        return [] if sweep is None else [sweep]

    def _collect(self, receiver: Receiver, now: float) -> FusionFrame:
        """Wait as long as the receiver says, and return what it fuses."""
        while True:
            step = receiver.next_step(now)
            if isinstance(step, ComputePyramid):
                receiver.compute(step.held)
            elif isinstance(step, Fuse):
                return receiver.prepare(step)
            elif step.seconds is None:
                raise RuntimeError("the receiver waits for what nobody else computes")
            else:
                end = now + step.seconds
                event = self._next_event(receiver)
                now = min(event, end)
                if event <= end:
                    self._deliver_next(receiver, now)

    def _own_sweep(self, state: FrameState, now: float) -> AgentSweep:
        """Return the ego's sweep, as its own encoder hands it over."""
        own = state.sent[state.ego]
        plain = isinstance(own.message, PlainFeature)
        return AgentSweep(
            station_id=station_id(state.ego),
            sequence=state.number,
            stamp_ns=state.stamp_ns,
            frame_id=state.ego,
            pose=own.pose,
            indices=_no_codes(self._bundle) if plain else own.indices,
            received=np.ones(self._bundle.grid.shape, np.bool_),
            payload_bytes=len(own.broadcast.payload),
            arrived=now,
            own=_plain_values(own) if plain and own.broadcast.own is None else own.broadcast.own,
            period_ns=_PERIOD_NS,
        )


def draw_peers(
    state: FrameState, link: Link, scenario: int
) -> tuple[dict[str, np.random.Generator], dict[str, npt.NDArray[np.float64]]]:
    """Return random numbers for each peer of a frame, and the (4, 4) pose that it sends.

    That is the one that it believes in, as its packets hold it. Draws are the same for every
    strength of loss and noise, so that strengths compare.
    """
    draws = {
        name: np.random.default_rng([link.seed, scenario, state.number, number])
        for number, name in enumerate(sorted(state.sent))
        if name != state.ego
    }
    poses = {
        name: sent_pose(displaced(state.sent[name].pose, link, rng.standard_normal(3)))
        for name, rng in draws.items()
    }
    return draws, poses


def displaced(
    pose: npt.NDArray[np.float64], link: Link, noise: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return a pose moved in x, y of the map and turned about its own z by scaled noise (3,)."""
    if link.pose_noise == 0.0 and link.heading_deviation == 0.0:
        return pose
    angle = np.radians(link.heading_deviation * noise[2])
    moved = pose.copy()
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved[:2, :3] = turn @ pose[:2, :3]
    moved[:2, 3] += link.pose_noise * noise[:2]
    return moved


def _plain_sweep(
    bundle: ModelBundle,
    state: FrameState,
    name: str,
    pose: npt.NDArray[np.float64],
    link: Link,
) -> AgentSweep:
    """Return a peer's sweep that is sent as the feature that it is, in one piece.

    Raises:
        MessageError: On a link that loses or limits parts of it.
    """
    if not link.carries_features:
        raise MessageError
    sent = state.sent[name]
    return AgentSweep(
        station_id=station_id(name),
        sequence=state.number,
        stamp_ns=state.stamp_ns,
        frame_id=name,
        pose=pose,
        indices=_no_codes(bundle),
        received=np.ones(bundle.grid.shape, np.bool_),
        payload_bytes=len(sent.broadcast.payload),
        arrived=0.0,
        own=_plain_values(sent),
    )


def _plain_values(sent: Sent) -> npt.NDArray[np.float32]:
    if not isinstance(sent.message, PlainFeature):
        raise MessageError
    return sent.message.values


def _no_codes(bundle: ModelBundle) -> npt.NDArray[np.uint8]:
    """Return an index map that says nothing: the consistency check finds nothing in it."""
    background = bundle.background
    return np.broadcast_to(background[:, None, None], (len(background), *bundle.grid.shape)).copy()
