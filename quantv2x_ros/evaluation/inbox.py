# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an ego has of its peers' sweeps, over a link that loses and delays messages.

As in the fusion node: a peer's newest sweep of which anything is in counts for `PEER_TIMEOUT`, and
its lost cells are filled from the peer's sweeps before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.transport.concealment import SweepMemory
from quantv2x_ros.data.scenario import FRAME_PERIOD
from quantv2x_ros.evaluation.air import Arrivals, make_air
from quantv2x_ros.evaluation.frame_history import FrameHistory, FrameState
from quantv2x_ros.evaluation.radio import Radio
from quantv2x_ros.evaluation.settings import EvaluationConfig
from quantv2x_ros.inference.protocol import AgentFeatures, Detector, IndexArray

#: A peer's sweep counts for so long, seconds: the default of the fusion node's peer_timeout.
PEER_TIMEOUT = 0.3
#: The same in frames.
HISTORY = round(PEER_TIMEOUT / FRAME_PERIOD)


@dataclass(eq=False)
class ReceivedSweep:
    """A peer's sweep as far as it came.

    Attributes:
        state: The frame in which it was sent.
        name: Of the peer.
        noise: (3,) standard normal, of its pose.
        agent_features: What the receiver makes of it; made when it is asked for.
        indices: (planes, H, W), holes filled.
        known: (H, W) bool.
    """

    state: FrameState
    name: str
    noise: npt.NDArray[np.float64]
    agent_features: AgentFeatures | None = None
    indices: IndexArray | None = None
    known: npt.NDArray[np.bool_] | None = None

    def extract(self, detector: Detector) -> AgentFeatures:
        """Return what the receiver makes of it."""
        if self.agent_features is None:
            if self.indices is None:
                raise ValueError(f"nothing of {self.name}'s sweep is there")
            sent = self.state.sent[self.name]
            self.agent_features = detector.extract(self.indices, self.known, sent.ego_to_agent)
        return self.agent_features


@dataclass(eq=False)
class _OnTheWay:
    """A sweep that was sent, and when its messages are in, seconds after it."""

    received: ReceivedSweep
    arrivals: Arrivals


@dataclass(eq=False)
class _Peer:
    memory: SweepMemory
    on_the_way: list[_OnTheWay] = field(default_factory=list)
    newest: ReceivedSweep | None = None


class Inbox:
    """Fills while the frames of one scenario go by, each in its turn."""

    def __init__(self, radio: Radio, config: EvaluationConfig, scenario: int) -> None:
        """Start empty.

        Args:
            radio: Makes the messages, and sweeps of them.
            config: Who is listened to, over what link.
            scenario: Number of the scenario, for the draws.
        """
        self._radio = radio
        self._config = config
        self._scenario = scenario
        self._air = make_air(radio, config.link, scenario)
        self._peers: dict[str, _Peer] = {}

    def step(self, history: FrameHistory, state: FrameState) -> list[ReceivedSweep]:
        """Let what was sent `latency_ms` before a frame go on the air; return what is in by then.

        Args:
            history: What was sent lately.
            state: The frame now.
        """
        link = self._config.link
        past = history.at(state.number - link.delay)
        if past is None or self._config.ego_only:
            return []
        peers = [name for name in past.sent if name != state.ego][: self._config.agents - 1]
        # the same draws for every strength of loss and noise, so that strengths compare
        draws = {
            name: np.random.default_rng([link.seed, self._scenario, state.number, index])
            for index, name in enumerate(peers)
        }
        noises = {name: rng.standard_normal(3) for name, rng in draws.items()}
        if link.is_perfect:
            all_received = [
                ReceivedSweep(
                    past, name, noises[name], self._radio.whole(past.sent[name], link.sending)
                )
                for name in peers
            ]
            return [received for received in all_received if received.agent_features is not None]
        for name, arrivals in self._air.carry(past, draws).items():
            peer = self._peers.setdefault(name, _Peer(self._radio.memory(link.conceal)))
            peer.on_the_way.append(_OnTheWay(ReceivedSweep(past, name, noises[name]), arrivals))
        all_received = []
        for name in peers:
            newest = self._newest(self._peers[name], past.number)
            if newest is not None:
                all_received.append(newest)
        return all_received

    def _newest(self, peer: _Peer, now: int) -> ReceivedSweep | None:
        """Return the newest sweep of a peer of which something is in by a frame's deadline."""
        link = self._config.link
        peer.on_the_way = [w for w in peer.on_the_way if now - w.received.state.number <= HISTORY]
        for waiting in reversed(peer.on_the_way):
            received = waiting.received
            if received is peer.newest:
                return received
            limit = (now - received.state.number) * FRAME_PERIOD + link.deadline_ms / 1e3
            numbers = sorted(n for n, time in waiting.arrivals.items() if time <= limit)
            sent = received.state.sent[received.name]
            frame = self._radio.assembled(sent, link.sending, numbers) if numbers else None
            if frame is not None and frame.received.any():
                stamp_ns = round(1e9 * FRAME_PERIOD * received.state.number)
                received.indices, received.known = peer.memory.fill(
                    frame.indices, frame.received, sent.pose, stamp_ns
                )
                if frame.complete and link.sending.is_whole:
                    received.agent_features = sent.agent_features
                peer.newest = received
                return received
        return None
