# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The state of the viewer: what was heard lately. No ROS, no browser."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.grid import area_corners
from quantv2x_ros.core.geometry.pose import transform_between, transform_points
from quantv2x_ros.core.monitoring.statistics import SweepRate
from quantv2x_ros.core.placement.levelling import LEVEL_SUFFIX, levelled_points
from quantv2x_ros.core.transport.grid_turn import TURNED_SUFFIX

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

#: Most stations kept; a flood of made-up ones must not fill the memory.
MAX_STATIONS = 64
#: Sweeps of a station whose stamps are remembered; fusion is some sweeps behind what is heard, on a
#: slow computer many.
_STAMPS = 256
#: Share of the ego's points that lie below the ground as it is drawn.
_GROUND_QUANTILE = 0.05


@dataclass(frozen=True, eq=False)
class SeenObjects:
    """A fused frame.

    Attributes:
        stamp_ns: time of the ego's sweep, nanoseconds.
        frame_id: the ego's LiDAR frame, which the boxes are in.
        boxes: (N, 7) x, y, z, l, w, h, yaw.
        classes: name of each box's class.
        stations: who was fused, the ego first.
    """

    stamp_ns: int
    frame_id: str
    boxes: Float32
    classes: Sequence[str]
    stations: Sequence[int]


@dataclass(frozen=True, eq=False)
class Beacon:
    """What a station's message says of itself.

    Attributes:
        station_id: ETSI StationID of the station.
        stamp_ns: time of its sweep.
        frame_id: its LiDAR frame, or that of its levelled (core.placement.levelling) or turned grid
            (core.transport.grid_turn).
        pose: (4, 4) of that frame to the map.
        extent: x and y minimum, then maximum of its BEV map in its frame, metres.
    """

    station_id: int
    stamp_ns: int
    frame_id: str
    pose: Float64
    extent: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class AgentSnapshot:
    """An agent as it is shown.

    Attributes:
        station_id: ETSI StationID of the agent.
        is_ego: whether it is the ego.
        is_fused: whether it took part in the frame that is shown.
        pose: (4, 4) agent-to-ego, metres.
        footprint: (4, 3) corners of its BEV map in the ego's frame, metres.
        cloud: (P, 3) its points in its own frame; None where none are heard.
        age_ms: the ego's fused sweep minus its newest one that was not after it, milliseconds; None
            where none of those is known.
        sweep_bytes: bytes of its newest sweep's packets.
        rate: its sweeps per second.
    """

    station_id: int
    is_ego: bool
    is_fused: bool
    pose: Float64
    footprint: Float64
    cloud: Float32 | None
    age_ms: float | None
    sweep_bytes: int
    rate: float


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Everything that is shown at one time.

    Attributes:
        boxes: by class, (N, 7) each in the ego's LiDAR frame.
        agents: the ego first.
        ground: height of the ground in the ego's LiDAR frame, metres.
        rate: fused frames per second.
        latency_ms: from the sweep to the objects: median and 95th percentile; None if not told.
        dropped: reasons with their counts, as the diagnostics tell them.
    """

    boxes: Mapping[str, Float32]
    agents: Sequence[AgentSnapshot]
    ground: float
    rate: float
    latency_ms: tuple[float, float] | None
    dropped: Mapping[str, str]

    @property
    def counts(self) -> Counter[str]:
        """Number of objects by class."""
        return Counter({name: len(boxes) for name, boxes in self.boxes.items()})


@dataclass(frozen=True, eq=False)
class _SeenCloud:
    heard: float
    points: Float32
    pose: Float64 | None


@dataclass
class _Station:
    beacon: Beacon
    heard: float
    stamps: deque[int] = field(default_factory=lambda: deque(maxlen=_STAMPS))
    traffic: SweepRate = field(default_factory=SweepRate)


class ViewerState:
    """Remembers what was heard, and forgets what grows old."""

    def __init__(self, max_points: int, lifetime: float) -> None:
        """Start empty.

        Args:
            max_points: points of a cloud that are kept; of a larger one every n-th.
            lifetime: what was not heard again for so long is no longer shown, seconds.
        """
        self._max_points = max_points
        self._lifetime = lifetime
        self._stations: dict[int, _Station] = {}
        self._clouds: dict[str, _SeenCloud] = {}
        self._objects: tuple[float, SeenObjects] | None = None
        self._frames = SweepRate()
        self._latency_ms: tuple[float, float] | None = None
        self._dropped: Mapping[str, str] = {}
        self._level: tuple[str, Float64] | None = None
        self._levelled_cloud = ""

    def hear_level(self, frame_id: str, level: Float64, cloud_frame: str) -> None:
        """Take how the ego has mounted and levelled its cloud.

        Args:
            frame_id: name of the frame of its map.
            level: (4, 4) from the cloud's frame to that.
            cloud_frame: name of the cloud's frame.
        """
        self._level, self._levelled_cloud = (frame_id, level), cloud_frame

    def hear_objects(self, objects: SeenObjects, now: float) -> None:
        """Take a fused frame, heard at ``now``, seconds of a steady clock."""
        self._frames.hear(objects.stamp_ns, 0, now)
        self._objects = (now, objects)

    def hear_station(self, beacon: Beacon, sequence: int, size: int, now: float) -> None:
        """Take a message of a station.

        Args:
            beacon: what it says of itself.
            sequence: number of its sweep.
            size: bytes of the packet.
            now: seconds of a steady clock.
        """
        self._forget(now)
        station = self._stations.get(beacon.station_id)
        if station is None:
            if len(self._stations) >= MAX_STATIONS:
                return
            station = self._stations[beacon.station_id] = _Station(beacon, now)
        station.beacon, station.heard = beacon, now
        if beacon.stamp_ns not in station.stamps:  # else a further tile of the same sweep
            station.stamps.append(beacon.stamp_ns)
        station.traffic.hear(sequence, size, now)

    def hear_cloud(
        self, frame_id: str, points: Float32, now: float, pose: Float64 | None = None
    ) -> None:
        """Take a cloud.

        Args:
            frame_id: name of its sensor's frame.
            points: (P, 3 or more).
            now: seconds of a steady clock.
            pose: (4, 4) sensor-to-map; None if it is not known. Only clouds of stations that turn
                their grid, and of peers that level, need one.
        """
        step = max(1, -(-len(points) // self._max_points))
        kept = points[::step, :3]
        self._clouds[frame_id] = _SeenCloud(now, kept[np.isfinite(kept).all(axis=1)], pose)

    def hear_diagnostics(
        self, latency_ms: tuple[float, float] | None, dropped: Mapping[str, str]
    ) -> None:
        """Take what fusion tells of itself: see `Snapshot`."""
        self._latency_ms = latency_ms
        self._dropped = dict(dropped)

    def view(self, now: float) -> Snapshot:
        """Return what is to be shown at ``now``, seconds of a steady clock."""
        self._forget(now)
        if self._objects is None:
            return Snapshot({}, [], 0.0, 0.0, None, {})
        _, objects = self._objects
        names = np.asarray(objects.classes)
        return Snapshot(
            boxes={name: objects.boxes[names == name] for name in dict.fromkeys(objects.classes)},
            agents=self._agents(objects, now),
            ground=self._ground(objects.frame_id),
            rate=self._frames.rate.rate(now),
            latency_ms=self._latency_ms,
            dropped=self._dropped,
        )

    def _agents(self, objects: SeenObjects, now: float) -> list[AgentSnapshot]:
        """Return the stations whose place against the ego is known, the ego first."""
        if not objects.stations or objects.stations[0] not in self._stations:
            return []
        ego = objects.stations[0]
        ego_pose = self._lidar_pose(self._stations[ego].beacon)
        order = sorted(self._stations, key=lambda station: (station != ego, station))
        views = []
        for station_id in order:
            station = self._stations[station_id]
            beacon = station.beacon
            pose = transform_between(beacon.pose, ego_pose)
            views.append(
                AgentSnapshot(
                    station_id=station_id,
                    is_ego=station_id == ego,
                    is_fused=station_id in objects.stations,
                    pose=pose,
                    footprint=area_corners(beacon.extent, pose),
                    cloud=self._cloud_of(beacon),
                    age_ms=_age_ms(station.stamps, objects.stamp_ns),
                    sweep_bytes=station.traffic.last_bytes,
                    rate=station.traffic.rate.rate(now),
                )
            )
        return views

    def _level_of(self, beacon: Beacon) -> Float64 | None:
        """Return (4, 4) from the cloud's frame to that of its map, where that is known."""
        if self._level is None or self._level[0] != beacon.frame_id:
            return None
        return self._level[1]

    def _lidar_pose(self, beacon: Beacon) -> Float64:
        """Return the pose of the ego's clouds, in whose frame boxes are."""
        level = self._level_of(beacon)
        return beacon.pose if level is None else beacon.pose @ level

    def _cloud_of(self, beacon: Beacon) -> Float32 | None:
        """Return a station's points in the frame that its messages name."""
        cloud = self._clouds.get(beacon.frame_id)
        if cloud is not None:
            return cloud.points
        lidar = beacon.frame_id.removesuffix(TURNED_SUFFIX).removesuffix(LEVEL_SUFFIX)
        level = self._level_of(beacon)
        cloud = self._clouds.get(lidar if level is None else self._levelled_cloud)
        if cloud is not None and level is not None:
            return levelled_points(cloud.points, level)
        if cloud is None or cloud.pose is None:
            return None
        turn = transform_between(cloud.pose, beacon.pose)
        return transform_points(cloud.points, turn).astype(np.float32)

    def _ground(self, frame_id: str) -> float:
        cloud = self._clouds.get(frame_id)
        if cloud is None or not len(cloud.points):
            return 0.0
        return float(np.quantile(cloud.points[:, 2], _GROUND_QUANTILE))

    def _forget(self, now: float) -> None:
        oldest = now - self._lifetime
        self._stations = {k: s for k, s in self._stations.items() if s.heard >= oldest}
        self._clouds = {k: c for k, c in self._clouds.items() if c.heard >= oldest}
        if self._objects is not None and self._objects[0] < oldest:
            self._objects = None


def _age_ms(stamps: Iterable[int], fused_ns: int) -> float | None:
    """Return the age of the newest of some sweeps that is not after the fused one; None: none."""
    return min(((fused_ns - stamp) / 1e6 for stamp in stamps if stamp <= fused_ns), default=None)
