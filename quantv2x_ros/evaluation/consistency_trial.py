# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A trial of the consistency check: how often it flags honest and lying peers.

Each peer of each scenario goes through all frames once for every way to lie; after each frame its
map is compared with the ego's as the fusion node does it (`core.fusion.consistency`).
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.fusion.consistency import (
    ConsistencySettings,
    Evidence,
    OccupancyView,
    PeerConsistency,
    compare_views,
)
from quantv2x_ros.core.geometry.pose import transform_between
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.evaluation.agent_grids import AgentGrids
from quantv2x_ros.evaluation.detector import EngineDetector
from quantv2x_ros.evaluation.frame_state import FrameState, ScenarioAgents, choose_agents
from quantv2x_ros.evaluation.lies import (
    ClaimedSweep,
    Elsewhere,
    Honest,
    InventedCar,
    Lie,
    LieInput,
    WrongPose,
)
from quantv2x_ros.evaluation.settings import EvaluationConfig
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.protocol import IndexArray
from quantv2x_ros.inference.results import AgentPyramid

Progress = Callable[[int, int], object]

HONEST = "honest"
#: Standard deviation of an honest peer's pose, metres and degrees.
NOISE = (0.5, 1.0)
#: Distance by which a pose is shifted, metres.
SHIFTS = (3.0, 5.0, 10.0)


def make_lies(rng: np.random.Generator) -> dict[str, Lie]:
    """Return one lie of each kind, with random draws of their own."""
    lies: dict[str, Lie] = {HONEST: Honest()}
    for sigma in NOISE:
        error = sigma * rng.standard_normal(3)
        lies[f"honest, pose off by {sigma:g} m and {sigma:g}° (deviation)"] = WrongPose(*error)
    for distance in SHIFTS:
        angle = rng.uniform(0.0, 2.0 * np.pi)
        shift = distance * np.cos(angle), distance * np.sin(angle)
        lies[f"pose shifted by {distance:g} m"] = WrongPose(*shift, 0.0)
    lies["map of another scene"] = Elsewhere()
    lies["one invented car on ground that the ego sees free"] = InventedCar(rng)
    return lies


@dataclass(eq=False)
class Suspect:
    """One peer with one kind of lie, through one scenario."""

    lie: Lie
    consistency: PeerConsistency = field(
        default_factory=lambda: PeerConsistency(ConsistencySettings())
    )
    compared: int = 0
    false_objects: int = 0

    def add(self, evidence: Evidence) -> None:
        """Add the comparison of one frame."""
        self.consistency.add(evidence)
        self.compared += 1
        self.false_objects += evidence.false_objects > 0


class ConsistencyTrial:
    """Runs the check on scenarios, and counts which peers it flags."""

    def __init__(self, detector: EngineDetector, config: EvaluationConfig, seed: int = 0) -> None:
        """Start without a scenario.

        Args:
            detector: Detector of the bundle whose occupancies are compared.
            config: Settings with the agents that take part.
            seed: Seed of wrong poses and invented objects.
        """
        self._detector = detector
        self._config = config
        self._seed = seed
        self._elsewhere: list[IndexArray] = []
        self._suspects: dict[str, list[Suspect]] = defaultdict(list)
        self.frames = 0

    @property
    def _bundle(self) -> ModelBundle:
        return self._detector.bundle

    def run(self, scenarios: Sequence[Scenario], progress: Progress | None = None) -> None:
        """Run the check on scenarios.

        Raises:
            DatasetError: If a file is damaged, or no frame has an ego and a peer.
        """
        total = sum(len(scenario.timestamps) for scenario in scenarios)
        done = 0
        for scenario in scenarios:
            for _ in self._scenario(scenario):
                done += 1
                if progress is not None:
                    progress(done, total)
        if not self._suspects:
            raise DatasetError(
                scenarios[0].folder.parent, "no frame has an ego and a peer", "Choose another mode"
            )

    def _scenario(self, scenario: Scenario) -> Iterator[None]:
        grids = AgentGrids(self._bundle, level=self._config.level, turn=self._config.turn_grids)
        senders = ScenarioAgents(self._detector, grids)
        suspects: dict[str, dict[str, Suspect]] = {}
        sent_here: list[IndexArray] = []
        for number, timestamp in enumerate(scenario.timestamps):
            frame = scenario.frame(timestamp)
            agents = choose_agents(frame, self._config)
            if len(agents) > 1:
                state = senders.send(number, frame, agents)
                sent_here.append(state.sent[agents[1]].indices)
                for peer in agents[1:]:
                    if peer not in suspects:
                        suspects[peer] = self._new_suspects(scenario, peer)
                    self._compare(senders, state, peer, suspects[peer])
                self.frames += 1
            yield
        self._elsewhere = sent_here
        for of_peer in suspects.values():
            for name, suspect in of_peer.items():
                if suspect.compared:
                    self._suspects[name].append(suspect)

    def _new_suspects(self, scenario: Scenario, peer: str) -> dict[str, Suspect]:
        key = zlib.crc32(f"{scenario.folder.name}/{peer}".encode())
        rng = np.random.default_rng((self._seed, key))
        return {name: Suspect(lie) for name, lie in make_lies(rng).items()}

    def _compare(
        self, senders: ScenarioAgents, state: FrameState, peer: str, suspects: Mapping[str, Suspect]
    ) -> None:
        """Compare what a peer says with what the ego sees, for every kind of lie."""
        ego, honest = state.sent[state.ego], state.sent[peer]
        own = self._view(ego.indices, ego.own_pyramid)
        place = min(state.number, len(self._elsewhere) - 1)
        scene = LieInput(
            grid=self._bundle.grid,
            background=self._background,
            ego=ego,
            ego_occupancy=own.occupancy,
            peer=honest,
            peer_alone=state.fuse_alone(peer).detections,
            elsewhere=self._elsewhere[place] if self._elsewhere else None,
        )
        views = {id(honest.indices): self._view(honest.indices, honest.pyramid)}
        for suspect in suspects.values():
            claimed = suspect.lie.tell(scene)
            if claimed is None:
                continue
            peer_to_ego = transform_between(claimed.pose, ego.pose)
            view = self._view_of(claimed, views)
            suspect.add(compare_views(own, view, peer_to_ego, self._bundle.grid))

    def _view_of(self, claimed: ClaimedSweep, known: Mapping[int, OccupancyView]) -> OccupancyView:
        view = known.get(id(claimed.indices))
        if view is not None:
            return view
        return self._view(claimed.indices, self._detector.pyramid(claimed.indices))

    def _view(self, indices: IndexArray, pyramid: AgentPyramid) -> OccupancyView:
        gain = self._bundle.manifest.score_gain
        return OccupancyView.of(pyramid.scores[0], gain, indices, self._background)

    @property
    def _background(self) -> npt.NDArray[np.uint8]:
        return self._bundle.background

    def result(self) -> dict[str, Any]:
        """Return the result.

        Returns:
            `{"bundle": …, "frames": …, "kinds": {name: {"peers": …, "flagged": share of the peers
            at their last frame, "contradicted": shares of the compared cells at quantiles,
            "false_objects": share of the frames with one}}}`.
        """
        kinds = {}
        for name, suspects in self._suspects.items():
            shares = [suspect.consistency.share for suspect in suspects]
            frames = sum(suspect.compared for suspect in suspects)
            kinds[name] = {
                "peers": len(suspects),
                "comparisons": frames,
                "flagged": float(np.mean([bool(s.consistency.suspicion) for s in suspects])),
                "contradicted": {
                    "median": float(np.median(shares)),
                    "p95": float(np.quantile(shares, 0.95)),
                    "max": float(np.max(shares)),
                },
                "false_objects": sum(suspect.false_objects for suspect in suspects) / frames,
            }
        return {"bundle": self._bundle.name, "frames": self.frames, "kinds": kinds}
