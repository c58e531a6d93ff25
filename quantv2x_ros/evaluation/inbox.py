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
from quantv2x_ros.evaluation.moments import Moment, Moments
from quantv2x_ros.evaluation.radio import Radio
from quantv2x_ros.evaluation.settings import EvaluationConfig
from quantv2x_ros.inference.protocol import Detector, IndexArray, Percept

#: A peer's sweep counts for so long, seconds: the default of the fusion node's peer_timeout.
PEER_TIMEOUT = 0.3
#: The same in frames.
HISTORY = round(PEER_TIMEOUT / FRAME_PERIOD)


@dataclass(eq=False)
class Letter:
    """A peer's sweep as far as it came.

    Attributes:
        moment: When it was sent.
        name: Of the peer.
        noise: (3,) standard normal, of its pose.
        percept: What the receiver makes of it; made when it is asked for.
        indices: (planes, H, W), holes filled.
        known: (H, W) bool.
    """

    moment: Moment
    name: str
    noise: npt.NDArray[np.float64]
    percept: Percept | None = None
    indices: IndexArray | None = None
    known: npt.NDArray[np.bool_] | None = None

    def perceive(self, detector: Detector) -> Percept:
        """Return what the receiver makes of it."""
        if self.percept is None:
            if self.indices is None:
                raise ValueError(f"nothing of {self.name}'s sweep is there")
            sent = self.moment.sent[self.name]
            self.percept = detector.perceive(self.indices, self.known, sent.ego_to_agent)
        return self.percept


@dataclass(eq=False)
class _OnTheWay:
    """A sweep that was sent, and when its messages are in, seconds after it."""

    letter: Letter
    arrivals: Arrivals


@dataclass(eq=False)
class _Peer:
    memory: SweepMemory
    on_the_way: list[_OnTheWay] = field(default_factory=list)
    newest: Letter | None = None


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

    def step(self, moments: Moments, moment: Moment) -> list[Letter]:
        """Let what was sent `latency_ms` before a moment go on the air; return what is in by then.

        Args:
            moments: What was sent lately.
            moment: Now.
        """
        link = self._config.link
        past = moments.at(moment.number - link.delay)
        if past is None or self._config.ego_only:
            return []
        peers = [name for name in past.sent if name != moment.ego][: self._config.agents - 1]
        # the same draws for every strength of loss and noise, so that strengths compare
        draws = {
            name: np.random.default_rng([link.seed, self._scenario, moment.number, index])
            for index, name in enumerate(peers)
        }
        noises = {name: rng.standard_normal(3) for name, rng in draws.items()}
        if link.is_perfect:
            letters = [
                Letter(past, name, noises[name], self._radio.whole(past.sent[name], link.sending))
                for name in peers
            ]
            return [letter for letter in letters if letter.percept is not None]
        for name, arrivals in self._air.carry(past, draws).items():
            peer = self._peers.setdefault(name, _Peer(self._radio.memory(link.conceal)))
            peer.on_the_way.append(_OnTheWay(Letter(past, name, noises[name]), arrivals))
        letters = []
        for name in peers:
            newest = self._newest(self._peers[name], past.number)
            if newest is not None:
                letters.append(newest)
        return letters

    def _newest(self, peer: _Peer, now: int) -> Letter | None:
        """Return the newest sweep of a peer of which something is in by a frame's deadline."""
        link = self._config.link
        peer.on_the_way = [w for w in peer.on_the_way if now - w.letter.moment.number <= HISTORY]
        for waiting in reversed(peer.on_the_way):
            letter = waiting.letter
            if letter is peer.newest:
                return letter
            limit = (now - letter.moment.number) * FRAME_PERIOD + link.deadline_ms / 1e3
            numbers = sorted(n for n, time in waiting.arrivals.items() if time <= limit)
            sent = letter.moment.sent[letter.name]
            frame = self._radio.assembled(sent, link.sending, numbers) if numbers else None
            if frame is not None and frame.received.any():
                stamp_ns = round(1e9 * FRAME_PERIOD * letter.moment.number)
                letter.indices, letter.known = peer.memory.fill(
                    frame.indices, frame.received, sent.pose, stamp_ns
                )
                if frame.complete and link.sending.is_whole:
                    letter.percept = sent.percept
                peer.newest = letter
                return letter
        return None
