# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated scenes: what each agent's LiDAR sees, frame by frame, with the truth."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.data.simulator.ground import Ground, Pose6
from quantv2x_ros.data.simulator.headcount import Population
from quantv2x_ros.data.simulator.layouts import LAYOUTS
from quantv2x_ros.data.simulator.mounts import Mount, agent_ids, mount_agents
from quantv2x_ros.data.simulator.population import NoPlaceError, Populator
from quantv2x_ros.data.simulator.primitives import PartSet, concatenate
from quantv2x_ros.data.simulator.sensors import SensorModel
from quantv2x_ros.data.simulator.surface import street_heights
from quantv2x_ros.data.simulator.sweep import Sweep, take_cloud
from quantv2x_ros.data.simulator.terrain import relief
from quantv2x_ros.data.simulator.traffic import Actor, Traffic


@dataclass(frozen=True)
class SimulatedObject:
    """An annotated object in the map frame.

    Attributes:
        object_id: kept over frames; the body of vehicle agent n has id n.
        obj_type: V2X-Real object type.
        location: centre of the box (x, y, z), metres.
        angle: (roll, yaw, pitch) in degrees, V2X convention.
        extent: half length, width and height, metres.
        speed: m/s.
        points: returns on it (of the agent that lists it; of all agents in a frame's truth).
    """

    object_id: int
    obj_type: str
    location: tuple[float, float, float]
    angle: tuple[float, float, float]
    extent: tuple[float, float, float]
    speed: float
    points: int


@dataclass(frozen=True)
class SimulatedAgent:
    """One agent's sweep.

    Attributes:
        points: (P, 4) float32 x, y, z, intensity 0 in the LiDAR frame, metres.
        pose6: sensor pose in the map (x, y, z, roll, yaw, pitch), metres and degrees.
        infrastructure: whether it is a roadside unit.
        sensor: its LiDAR, the first where its cloud comes from several.
        speed: m/s.
        objects: objects with at least 5 of its returns within 120 m.
        point_objects: (P,) int64 id of the object each point lies on; 0 for the rest.
    """

    points: npt.NDArray[np.float32]
    pose6: Pose6
    infrastructure: bool
    sensor: SensorModel
    speed: float
    objects: tuple[SimulatedObject, ...]
    point_objects: npt.NDArray[np.int64]


@dataclass(frozen=True)
class SimulatedFrame:
    """All agents at one time.

    Attributes:
        timestamp: six digits, the frame's number.
        time: seconds since the first frame.
        agents: by agent id, the ego ("1") first.
        objects: every object of the world, seen or not.
    """

    timestamp: str
    time: float
    agents: dict[str, SimulatedAgent]
    objects: tuple[SimulatedObject, ...]


MINIMUM_POINTS = 5
ANNOTATION_RANGE = 120.0
#: Streets drawn until every agent finds a place.
STREETS_TRIED = 10
#: Share of scenes with slopes beside the roads.
TERRAIN_SHARE = 0.5
#: People and riders stand as upright as the ground is over this length, metres.
LEAST_FOOTING = 1.5


@dataclass(frozen=True)
class MapFrame:
    """Turns and shifts scene coordinates about the vertical into the map."""

    x: float
    y: float
    z: float
    yaw: float

    def pose(self, pose: Pose6) -> Pose6:
        """Return a scene pose in the map; roll and pitch do not change."""
        cosine, sine = np.cos(self.yaw), np.sin(self.yaw)
        yaw = (pose[4] + np.degrees(self.yaw) + 180.0) % 360.0 - 180.0
        return (
            float(self.x + cosine * pose[0] - sine * pose[1]),
            float(self.y + sine * pose[0] + cosine * pose[1]),
            float(self.z + pose[2]),
            pose[3],
            float(yaw),
            pose[5],
        )


@dataclass
class Scene:
    """A scene at one time; :func:`simulate_scene` advances it.

    Attributes:
        seed: what it was made from.
        ground: its ground.
        static_parts: scenery in scene coordinates.
        populator: the traffic, and what replaces it when it leaves.
        mounts: sensors by agent id.
        map_frame: from scene to map coordinates.
    """

    seed: int
    ground: Ground
    static_parts: PartSet
    populator: Populator
    mounts: dict[str, Mount]
    map_frame: MapFrame

    @classmethod
    def random(cls, seed: int, agents: int, layout: str | None = None, crowd: float = 1.0) -> Scene:
        """Generate a scene.

        Args:
            seed: any non-negative integer; the same seed gives the same scene.
            agents: how many agents take part, at least 1.
            layout: "road", "intersection" or "parking"; drawn at random when None.
            crowd: factor on the numbers of large vehicles and people.

        Raises:
            ValueError: ``agents`` is below 1, the layout is unknown, or ``crowd`` out of range.
            NoPlaceError: none of STREETS_TRIED drawn streets has a place for every agent.
        """
        if layout is not None and layout not in LAYOUTS:
            raise ValueError(f"layout {layout!r} is unknown, choose from {sorted(LAYOUTS)}")
        for attempt in range(STREETS_TRIED - 1):
            with contextlib.suppress(NoPlaceError):
                return cls._draw(seed, attempt, agents, layout, crowd)
        return cls._draw(seed, STREETS_TRIED - 1, agents, layout, crowd)

    @classmethod
    def _draw(cls, seed: int, attempt: int, agents: int, layout: str | None, crowd: float) -> Scene:
        rng = np.random.default_rng([seed, 1, attempt])
        name = layout or str(rng.choice(["road", "intersection", "parking"], p=[0.4, 0.38, 0.22]))
        ground = Ground.random(rng)
        plan = LAYOUTS[name](rng)
        heights = street_heights(np.random.default_rng([seed, 3, attempt]), plan.streets())
        if rng.random() < TERRAIN_SHARE:
            ground = ground.with_relief(heights + relief(rng, plan.corridors()))
        else:
            ground = ground.with_heights(heights)
        populator = Populator(rng, plan, ground, plan.static_parts(rng, ground))
        mounts = mount_agents(rng, agent_ids(agents), populator, plan.sites, ground)
        populator.populate(Population.random(rng, len(plan.slots), crowd))
        offset = rng.uniform(-200, 200, 2)
        map_frame = MapFrame(
            float(offset[0]),
            float(offset[1]),
            float(rng.uniform(-2, 5)),
            float(rng.uniform(-np.pi, np.pi)),
        )
        scene = cls(seed, ground, populator.scenery, populator, mounts, map_frame)
        scene.advance(0.5)  # gaps and speeds settle
        return scene

    @property
    def traffic(self) -> Traffic:
        """The moving and parked objects."""
        return self.populator.traffic

    def advance(self, dt: float) -> None:
        """Move everything by ``dt`` seconds."""
        self.traffic.step(dt)
        self.populator.replace_departed()

    def body_pose(self, actor: Actor) -> Pose6:
        """Return the pose of an object's box centre in scene coordinates."""
        length, width, height = actor.shape.size
        x, y, yaw = actor.place
        if not actor.walks:
            return self.ground.standing_pose(x, y, yaw, length, width, height / 2)
        # nobody leans with a kerb under one foot
        footing = (max(length, LEAST_FOOTING), max(width, LEAST_FOOTING))
        _, _, _, roll, heading, pitch = self.ground.standing_pose(x, y, yaw, *footing, 0.0)
        return (x, y, self.ground.height(x, y) + height / 2, roll, heading, pitch)

    def observe(self, frame: int, time: float) -> SimulatedFrame:
        """Take every agent's sweep of the world as it is now."""
        actors = self.traffic.actors
        poses = [self.body_pose(actor) for actor in actors]
        moved = [
            actor.shape.parts.transformed(matrix_from_v2x(np.array(pose)))
            for actor, pose in zip(actors, poses, strict=True)
        ]
        parts = concatenate([self.static_parts, *moved])
        owners = np.concatenate(
            [np.full(len(self.static_parts), -1)]
            + [np.full(len(p), i) for i, p in enumerate(moved)]
        ).astype(np.int32)
        sweeps, agents = {}, {}
        for index, (name, mount) in enumerate(self.mounts.items()):
            rng = np.random.default_rng([self.seed, 2, frame, index])
            body = next((i for i, a in enumerate(actors) if a.object_id == mount.object_id), -1)
            pose = mount.pose(poses[body] if body >= 0 else None, rng)
            sweeps[name] = take_cloud(
                rng, mount.units, parts, owners, len(actors), pose, self.ground, body
            )
            speed = actors[body].speed if body >= 0 else 0.0
            agents[name] = self._agent(mount, sweeps[name], poses, pose, speed)
        total = np.sum([s.hits for s in sweeps.values()], axis=0)
        everything = tuple(
            self._object(actor, pose, int(hits))
            for actor, pose, hits in zip(actors, poses, total, strict=True)
        )
        return SimulatedFrame(f"{frame:06d}", time, agents, everything)

    def _agent(
        self, mount: Mount, sweep: Sweep, poses: list[Pose6], pose: Pose6, speed: float
    ) -> SimulatedAgent:
        actors = self.traffic.actors
        ids = np.array([0] + [a.object_id for a in actors], np.int64)
        near = [np.hypot(p[0] - pose[0], p[1] - pose[1]) <= ANNOTATION_RANGE for p in poses]
        objects = tuple(
            self._object(actors[i], poses[i], int(hits))
            for i, hits in enumerate(sweep.hits)
            if hits >= MINIMUM_POINTS and near[i]
        )
        return SimulatedAgent(
            sweep.points,
            self.map_frame.pose(pose),
            mount.object_id is None,
            mount.units[0].sensor,
            speed,
            objects,
            ids[sweep.owners + 1],
        )

    def _object(self, actor: Actor, pose: Pose6, points: int) -> SimulatedObject:
        x, y, z, roll, yaw, pitch = self.map_frame.pose(pose)
        length, width, height = self.populator.labelling.size(actor.shape)
        return SimulatedObject(
            actor.object_id,
            actor.shape.obj_type,
            (x, y, z),
            (roll, yaw, pitch),
            (length / 2, width / 2, height / 2),
            actor.speed,
            points,
        )


def simulate_scene(
    seed: int,
    *,
    frames: int,
    agents: int,
    rate_hz: float = 10.0,
    layout: str | None = None,
    crowd: float = 1.0,
) -> Iterator[SimulatedFrame]:
    """Generate a scene and yield its frames, deterministic in its arguments.

    Args:
        seed: any non-negative integer.
        frames: number of frames.
        agents: number of agents: 1 (ego), -1, 2, -2, 3, ... in this order.
        rate_hz: frames a second; a low rate gives frames that differ more.
        layout: "road", "intersection" or "parking"; drawn at random when None.
        crowd: factor on the numbers of large vehicles and people.

    Raises:
        ValueError: a count or the rate is not positive, the layout is unknown, or ``crowd`` out of
            range.
    """
    if frames < 1 or rate_hz <= 0:
        raise ValueError(f"frames {frames} and rate_hz {rate_hz} must be positive")
    scene = Scene.random(seed, agents, layout, crowd)
    for frame in range(frames):
        yield scene.observe(frame, frame / rate_hz)
        scene.advance(1.0 / rate_hz)
