# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training samples: one frame of several agents, augmented, cropped and with targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.detection.evaluation import CLEAR_POINTS
from quantv2x_ros.core.geometry.boxes import points_in_boxes
from quantv2x_ros.core.geometry.grid import PILLAR_MULTIPLE, BevGrid
from quantv2x_ros.core.geometry.pose import warp_theta
from quantv2x_ros.data.frame import COMMUNICATION_RANGE, Frame
from quantv2x_ros.data.modes import check_mode, possible_egos, select_agents
from quantv2x_ros.evaluation.agent_grids import AgentLevels, RoadsideGrids
from quantv2x_ros.training.cooperative_frame import (
    AgentView,
    Array,
    CooperativeFrame,
    mirrored,
    scaled,
    turned,
)
from quantv2x_ros.training.losses import TargetBatch
from quantv2x_ros.training.points import PillarInput, pillar_input
from quantv2x_ros.training.targets import TargetAssigner, occupancy_map


class SampleError(ValueError):
    """Settings of samples that make no sense."""


@dataclass(frozen=True)
class SampleConfig:
    """How frames become samples.

    Attributes:
        grid: the grid at inference; crops lie on its pillars.
        window: size of the crop along x and y, metres, multiples of 8 pillars; None: no crop.
        jitter: the crop's centre lies up to this far from an object along x and y, metres.
        reach: objects up to this far from the ego along x are cropped around, metres.
        max_agents: agents of a sample, the ego included.
        mode: who is ego and who is heard, see `quantv2x_ros.data.modes`; empty for egos of both
            kinds that hear everyone.
        communication_range: agents up to this far from the ego are heard, metres.
        flip: probabilities of mirroring the world along x and along y.
        rotation: standard deviation of the turn of each agent's own frame, degrees.
        scaling: range of the random scale of the world.
        vehicle_ego: probability that the ego is a vehicle where both kinds are there and the mode
            does not say.
        drop_points: probability that a cloud is thinned at random.
        alone: probability of a sample without peers, which keeps the ego alone good.
        balance: probability that the class to crop around is drawn first, all alike; else each
            object is as likely, so that rare classes are rarely seen.
        hidden: probability that the object to crop around is drawn from those that cooperation is
            for, with fewer than `CLEAR_POINTS` points of the ego's own, if there is one.
        clutter: probability of a crop around something tall that is no object, such as a hedge or a
            front: what the heads are to leave alone.
        turn_grids: roadside units that are no ego lay their grids along their receivers' roads, as
            the encoder node's do; see `core.transport.grid_turn`.
        level: clouds are levelled by their own ground planes, as the encoder node's are; see
            `core.placement.levelling`.
        keep_side: turn the world by half a turn only, never mirror it. A mirrored world drives on
            the other side of the road, and the lane tells which end of a far box is the front.
    """

    grid: BevGrid
    window: tuple[float, float] | None = (57.6, 51.2)
    jitter: tuple[float, float] = (20.0, 12.0)
    reach: float = 110.0
    max_agents: int = 3
    mode: str = ""
    communication_range: float = COMMUNICATION_RANGE
    flip: tuple[float, float] = (0.5, 0.5)
    rotation: float = 8.0
    scaling: tuple[float, float] = (0.95, 1.05)
    vehicle_ego: float = 0.75
    drop_points: float = 0.2
    alone: float = 0.25
    balance: float = 0.0
    hidden: float = 0.0
    clutter: float = 0.0
    turn_grids: bool = False
    level: bool = False
    keep_side: bool = False

    def __post_init__(self) -> None:
        """Raise SampleError, or ModeError for an unknown mode."""
        if self.mode:
            check_mode(self.mode)
        named = ("vehicle_ego", "drop_points", "alone", "balance", "hidden", "clutter")
        chances = (*self.flip, *(getattr(self, name) for name in named))
        if not all(0.0 <= chance <= 1.0 for chance in chances):
            raise SampleError(f"flip, {', '.join(named)} are probabilities, got {chances}")
        if not 0.0 < self.scaling[0] <= self.scaling[1] < np.inf or not 0 <= self.rotation < 360:
            raise SampleError(
                "scaling must be a range of positive factors and rotation 0 to 360 degrees, got"
                f" {self.scaling} and {self.rotation}"
            )
        if self.max_agents < 1 or not self.communication_range >= 0.0:
            raise SampleError(
                "at least one agent and a communication range of 0 m or more are needed, got"
                f" {self.max_agents} and {self.communication_range}"
            )


class Sample(NamedTuple):
    """One frame, ready for the network.

    Attributes:
        pillars: pillars of its agents.
        thetas: (N, 2, 3) float64.
        targets: targets of the one frame.
    """

    pillars: PillarInput
    thetas: torch.Tensor
    targets: TargetBatch


def augmented(
    frame: CooperativeFrame, config: SampleConfig, rng: np.random.Generator
) -> CooperativeFrame:
    """Mirror, turn, scale and thin at random; the agents stay consistent with each other."""
    flips = rng.random(2) < config.flip
    if config.keep_side:  # two mirrors are half a turn
        flips[1] = flips[0]
    for axis in np.flatnonzero(flips):
        frame = mirrored(frame, int(axis))
    angles = rng.normal(0.0, np.radians(config.rotation), len(frame.agents))
    frame = turned(frame, angles.tolist())
    frame = scaled(frame, float(rng.uniform(*config.scaling)))
    views = []
    for view in frame.agents:
        points = view.points
        if rng.random() < config.drop_points:
            points = points[rng.random(len(points)) < rng.uniform(0.4, 1.0)]
        views.append(AgentView(points, view.boxes, view.ego_to_agent))
    return CooperativeFrame(tuple(views), frame.boxes, frame.labels)


def crop_grid(grid: BevGrid, window: tuple[float, float], centre: tuple[float, float]) -> BevGrid:
    """Return the part of a grid, window (x, y) [m] large, that lies nearest to a centre (x, y)."""
    low, high = list(grid.lidar_range[:3]), list(grid.lidar_range[3:])
    for axis in (0, 1):
        size, step = window[axis], PILLAR_MULTIPLE * grid.voxel_size[axis]
        last = (high[axis] - low[axis] - size) / step
        steps = round(np.clip((centre[axis] - size / 2 - low[axis]) / step, 0, np.floor(last)))
        low[axis] += steps * step
        high[axis] = low[axis] + size
    return BevGrid(
        (low[0], low[1], low[2], high[0], high[1], high[2]), grid.voxel_size, grid.stride
    )


class SampleMaker:
    """Turns cooperative frames into samples."""

    def __init__(self, config: SampleConfig, anchors: AnchorSet) -> None:
        self.config = config
        self.anchors = anchors

    def __call__(self, frame: CooperativeFrame, rng: np.random.Generator | None = None) -> Sample:
        """Make a sample: a random crop of an augmented frame, or all of it without a generator."""
        grids = [self.config.grid] * len(frame.agents)
        if rng is not None:
            frame = augmented(frame, self.config, rng)
            if self.config.window is not None:
                grids = self._crops(frame, self._centre(frame, rng), self.config.window)
        pillars = pillar_input([view.points for view in frame.agents], grids)
        thetas = [
            warp_theta(view.ego_to_agent, grids[0], grid)
            for view, grid in zip(frame.agents, grids, strict=True)
        ]
        inside = _inside(frame.boxes, grids[0])
        boxes, labels = frame.boxes[inside], frame.labels[inside]
        targets = TargetAssigner(self.anchors, grids[0])(boxes, labels)
        occupied = [occupancy_map(v.boxes, g) for v, g in zip(frame.agents, grids, strict=True)]
        return Sample(
            pillars,
            torch.from_numpy(np.stack(thetas)),
            TargetBatch(
                labels=torch.from_numpy(targets.labels.astype(np.int64))[None],
                positives=torch.from_numpy(targets.positives),
                deltas=torch.from_numpy(targets.deltas),
                directions=torch.from_numpy(targets.directions),
                occupancy=torch.from_numpy(np.stack(occupied))[:, None],
                boxes=torch.from_numpy(boxes),
                box_labels=torch.from_numpy(labels),
                box_counts=(len(boxes),),
            ),
        )

    def _centre(self, frame: CooperativeFrame, rng: np.random.Generator) -> Array:
        """Draw where to crop, (2,) x and y in the ego's frame: near an object, if there is one."""
        config = self.config
        if config.clutter and rng.random() < config.clutter:
            tall = clutter_places(frame.agents[0].points, frame.boxes, config.reach)
            if len(tall):
                beside: Array = tall[int(rng.integers(len(tall)))]
                return beside + rng.uniform(-1, 1, 2) * config.jitter / 2
        reached = _inside(frame.boxes, config.grid) & (np.abs(frame.boxes[:, 0]) < config.reach)
        if config.hidden and rng.random() < config.hidden:
            own = points_in_boxes(frame.agents[0].points, frame.boxes)
            unclear = reached & (own < CLEAR_POINTS)
            reached = unclear if unclear.any() else reached
        near = frame.boxes[reached, :2].astype(np.float64)
        if len(near) and rng.random() < config.balance:
            labels = frame.labels[reached]
            near = near[labels == rng.choice(np.unique(labels))]
        start = near[int(rng.integers(len(near)))] if len(near) else np.zeros(2)
        centre: Array = start + rng.uniform(-1, 1, 2) * config.jitter
        return centre

    def _crops(
        self, frame: CooperativeFrame, centre: Array, window: tuple[float, float]
    ) -> list[BevGrid]:
        """Choose every agent's crop so that all look at the same piece of the world."""
        grid = self.config.grid
        places = [view.ego_to_agent @ np.array([*centre, 0.0, 1.0]) for view in frame.agents]
        return [crop_grid(grid, window, (float(p[0]), float(p[1]))) for p in places]


#: Size of the cells in which clutter is looked for, and its least height in one, metres.
CLUTTER_CELL, CLUTTER_HEIGHT = 0.8, 0.7


def clutter_places(
    points: npt.NDArray[np.float32], boxes: npt.NDArray[np.float32], reach: float
) -> Array:
    """Return where something tall stands that is no object, (K, 2) x and y, metres.

    Args:
        points: (P, 4) of a sweep.
        boxes: (G, 7) of its objects.
        reach: greatest distance along x and y, metres.
    """
    near = points[(np.abs(points[:, :2]) < reach).all(axis=1)]
    size = int(np.ceil(2 * reach / CLUTTER_CELL))
    cells = np.floor((near[:, :2] + reach) / CLUTTER_CELL).astype(np.int64)
    flat = cells[:, 0] * size + cells[:, 1]
    low, high = np.full(size * size, np.inf, np.float32), np.full(size * size, -np.inf, np.float32)
    np.minimum.at(low, flat, near[:, 2])
    np.maximum.at(high, flat, near[:, 2])
    tall = np.flatnonzero(high - low > CLUTTER_HEIGHT)
    places = (np.stack(np.divmod(tall, size), axis=1) + 0.5) * CLUTTER_CELL - reach
    for box in boxes:  # anywhere within the circle around it
        apart = np.hypot(places[:, 0] - box[0], places[:, 1] - box[1])
        places = places[apart > np.hypot(box[3], box[4]) / 2 + CLUTTER_CELL]
    return places


def choose_agents(frame: Frame, config: SampleConfig, rng: np.random.Generator) -> list[str]:
    """Draw an ego and who cooperates with it, from one agent alone to max_agents.

    Returns:
        The ego first; empty where no agent of the frame can be the mode's ego.
    """
    if config.mode:
        egos = possible_egos(frame, config.mode)
    else:
        vehicles, roadside = possible_egos(frame, "vc"), possible_egos(frame, "ic")
        egos = vehicles if vehicles and rng.random() < config.vehicle_ego else roadside or vehicles
    if not egos:
        return []
    ego = egos[int(rng.integers(len(egos)))]
    if config.mode:
        heard = select_agents(frame, config.mode, ego, config.communication_range)
    else:
        heard = frame.agents_in_range(ego, config.communication_range)
    peers = [str(name) for name in rng.permutation(heard[1:])]
    most = min(config.max_agents - 1, len(peers))
    count = 0 if rng.random() < config.alone else int(rng.integers(1, most + 1)) if most else 0
    return [ego, *peers[:count]]


def cooperative_frame(
    frame: Frame, agents: Sequence[str], config: SampleConfig
) -> CooperativeFrame:
    """Take the agents named, the ego first; levelled and turned as their maps are sent."""
    if config.level:
        frame = AgentLevels().level(frame, agents)
    if config.turn_grids:
        frame = RoadsideGrids(config.grid, DetectionConfig()).turn(frame, agents)
    return CooperativeFrame.from_frame(frame, agents)


def _inside(boxes: npt.NDArray[np.float32], grid: BevGrid) -> npt.NDArray[np.bool_]:
    """Tell which boxes have their centre in the grid, (G,) bool."""
    low_x, low_y, _, high_x, high_y, _ = grid.lidar_range
    inside: npt.NDArray[np.bool_] = (
        (boxes[:, 0] >= low_x)
        & (boxes[:, 0] < high_x)
        & (boxes[:, 1] >= low_y)
        & (boxes[:, 1] < high_y)
    )
    return inside
