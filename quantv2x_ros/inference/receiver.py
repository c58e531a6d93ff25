# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tiles of all stations and the ego's own sweeps in, frames to fuse out.

The fusion node drives it with the steady clock, an evaluation with the dataset's time: both run
the same receiver. It has no clock and no thread of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.fusion.collector import SweepCollector
from quantv2x_ros.core.fusion.fusion_steps import ComputePyramid, Fuse, HeldSweep, Wait
from quantv2x_ros.core.fusion.peer_boxes import PeerBoxes, join_reports
from quantv2x_ros.core.fusion.pose_alignment import Alignment
from quantv2x_ros.core.geometry.pose import transform_between
from quantv2x_ros.core.peers.peers import MAX_PEERS, PeerLimits
from quantv2x_ros.core.peers.reach import Reach
from quantv2x_ros.core.peers.registry import PeerRegistry
from quantv2x_ros.core.receiver_settings import ReceiverSettings
from quantv2x_ros.core.transport.reception import Reception
from quantv2x_ros.core.transport.sweep import AgentSweep, Tile
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.peer_views import PeerView, PeerViews
from quantv2x_ros.inference.pose_aligner import HeldAlignment, PoseAligner
from quantv2x_ros.inference.protocol import FusionDetector
from quantv2x_ros.inference.results import AgentPyramid, FusionResult

Step = ComputePyramid[AgentPyramid] | Fuse[AgentPyramid] | Wait


@dataclass(frozen=True, eq=False)
class FusionFrame:
    """Sweeps that are fused together, ready for the heads.

    Attributes:
        sweeps: what is fused, the ego's first.
        pyramids: those of the sweeps, peers' objects where they are by the ego's sweep.
        ego_to_agent: (N, 4, 4) float64, metres.
        agent_to_ego: the inverse.
        stage_ms: milliseconds by stage.
        expired: station and age [s] of peers that have fallen silent.
        over_limit: stations left out because there are more than can be fused.
        held_back: newcomers left out since their turn has not come.
        suspects: station to why its map contradicts the ego's.
        excluded: stations left out for that.
        alignments: station to the newest correction of its pose.
    """

    sweeps: tuple[AgentSweep, ...]
    pyramids: tuple[AgentPyramid, ...]
    ego_to_agent: npt.NDArray[np.float64]
    agent_to_ego: npt.NDArray[np.float64]
    stage_ms: Mapping[str, float]
    expired: tuple[tuple[int, float], ...] = ()
    over_limit: tuple[int, ...] = ()
    held_back: tuple[int, ...] = ()
    suspects: Mapping[int, str] = field(default_factory=dict)
    excluded: tuple[int, ...] = ()
    alignments: Mapping[int, Alignment] = field(default_factory=dict)


class Receiver:
    """Receives, collects and prepares what one station fuses.

    Threads: `take` and `overdue` belong to one; `offer_ego`, `offer_peer`, `next_step`, `forget`,
    `expect` and `reset` to whoever holds a lock on them; `compute` to any, each sweep to one; of
    `prepare` one runs at a time.

    Attributes:
        reception: puts sweeps together from tiles.
        collector: decides what is fused when.
        boxes: what peers have found alone; any thread may let it hear.
        ego_pose: (4, 4) of the ego's newest sweep in the map, metres; None before its first.
    """

    def __init__(
        self,
        detector: FusionDetector,
        bundle: ModelBundle,
        station: int,
        settings: ReceiverSettings | None = None,
        max_agents: int | None = None,
        registry: PeerRegistry | None = None,
    ) -> None:
        """Receive nothing yet.

        Args:
            detector: computes pyramids, and what each agent sees alone where poses are aligned.
            bundle: the model.
            station: id of the ego.
            settings: `ReceiverSettings`' defaults where None.
            max_agents: agents in one fusion, the ego included; None for what the bundle fuses.
            registry: of the stations that are listened to; None for one of its own.
        """
        settings = settings or ReceiverSettings()
        if registry is None:  # an empty one is one, too
            registry = PeerRegistry(station, PeerLimits(max_peers=MAX_PEERS))
        self._detector = detector
        self._station = station
        self._classes = len(bundle.classes)
        self._joins = settings.join_objects
        self.boxes = PeerBoxes(registry)
        self.reception = Reception(
            bundle.index_map_format,
            bundle.background,
            settings.tile_timeout,
            station,
            bundle.grid,
            settings.conceal,
            registry,
        )
        self.reach = Reach(bundle.grid, settings.max_peer_distance)
        self.collector: SweepCollector[AgentPyramid] = SweepCollector(
            station,
            bundle.max_agents if max_agents is None else max_agents,
            settings.peer_timeout,
            settings.peer_wait,
            self.reach,
        )
        self._views = PeerViews(bundle, settings.consistency_check, settings.compensate_motion)
        self._aligner = (
            HeldAlignment(PoseAligner(detector), settings.align_period)
            if settings.align_poses
            else None
        )
        self.ego_pose: npt.NDArray[np.float64] | None = None

    def change(self, settings: ReceiverSettings) -> None:
        """Take new times and distances; checks, compensation and alignment stay as they are."""
        self.reception.tile_timeout = settings.tile_timeout
        self.reach.max_distance = settings.max_peer_distance
        self.collector.peer_timeout = settings.peer_timeout
        self.collector.peer_wait = settings.peer_wait

    def take(self, tile: Tile, now: float) -> AgentSweep | None:
        """Take a tile; returns the sweep that it completes, which is then to be offered.

        Args:
            tile: checked and decoded.
            now: seconds of the receiver's time, which never jumps back.

        Raises:
            ValueError: see `Reception.add`.
        """
        return self.reception.add(tile, now)

    def overdue(self, now: float) -> list[AgentSweep]:
        """Return the sweeps whose lost tiles have been waited for long enough; see `take`."""
        return self.reception.overdue(now)

    def offer_ego(self, sweep: AgentSweep, now: float) -> bool:
        """Take the ego's newest sweep; see `SweepCollector.offer_ego`."""
        jumped = self.collector.offer_ego(sweep, now)
        self.ego_pose = sweep.pose
        return jumped

    def offer_peer(self, sweep: AgentSweep) -> None:
        """Take a peer's sweep; see `SweepCollector.offer_peer`."""
        self.collector.offer_peer(sweep)

    def forget(self, station_id: int) -> None:
        """Forget a peer whose tiles are forgotten already."""
        self.collector.forget(station_id)

    def expect(self, station_id: int) -> None:
        """See `SweepCollector.expect`."""
        self.collector.expect(station_id)

    def reset(self) -> None:
        """Forget every sweep that was offered, as after a jump in time."""
        self.collector.reset()
        self.ego_pose = None

    def next_step(self, now: float, *, may_fuse: bool = True, may_prepare: bool = True) -> Step:
        """Return what to do next: `compute`, `prepare` and fuse, or wait; see `SweepCollector`."""
        return self.collector.next_step(now, may_fuse, may_prepare)

    def compute(self, held: HeldSweep[AgentPyramid]) -> None:
        """Compute the pyramid of a sweep."""
        sweep = held.sweep
        if sweep.own is not None:
            held.pyramid = self._detector.own_pyramid(sweep.own)
            return
        received = None if sweep.received.all() else sweep.received
        ego = self.ego_pose
        where = None if ego is None else transform_between(ego, sweep.pose)
        held.pyramid = self._detector.pyramid(sweep.indices, received, where)

    def prepare(self, step: Fuse[AgentPyramid]) -> FusionFrame:
        """Check peers, move their objects on, align their poses."""
        start = time.perf_counter()
        ego = step.ego.sweep, _pyramid_of(step.ego)
        peers = [_view_of(held) for held in step.peers]
        prepared = self._views.prepare(ego, peers)
        if self._aligner is None:
            poses = [ego[0].pose, *(peer.sweep.pose for peer in prepared.peers)]
        else:
            poses = self._aligner.poses(ego, prepared.peers)
        views_ms = 1e3 * (time.perf_counter() - start)
        fused = {peer.sweep.station_id for peer in prepared.peers}
        return FusionFrame(
            sweeps=(ego[0], *(peer.sweep for peer in prepared.peers)),
            pyramids=(ego[1], *(peer.pyramid for peer in prepared.peers)),
            ego_to_agent=np.stack([transform_between(poses[0], pose) for pose in poses]),
            agent_to_ego=np.stack([transform_between(pose, poses[0]) for pose in poses]),
            stage_ms={
                "pyramid, ego": sum(ego[1].stage_ms.values()),
                "pyramids, peers": sum(sum(peer.pyramid.stage_ms.values()) for peer in peers),
                "peers' views": views_ms,
            },
            expired=step.expired,
            over_limit=step.over_limit,
            held_back=step.held_back,
            suspects=prepared.suspects,
            excluded=tuple(station for station in prepared.suspects if station not in fused),
            alignments={
                peer.sweep.station_id: peer.record.alignment
                for peer in peers
                if peer.record.alignment is not None
            },
        )

    def join(
        self, frame: FusionFrame, result: FusionResult, detection: DetectionConfig
    ) -> FusionResult:
        """Add what peers have found alone to what a frame's features gave; see `join_reports`.

        Args:
            frame: what was fused.
            result: what that gave.
            detection: settings by which it did.
        """
        if not self._joins:
            return result
        start = time.perf_counter()
        ego = frame.sweeps[0]
        longest = self.collector.peer_timeout
        reports = self.boxes.reports(ego.stamp_ns, ego.pose, longest, frame.excluded)
        if not reports:
            return result
        joined = join_reports(result.detections, reports, detection, self._classes)
        shares = np.zeros((len(joined.sources), len(frame.sweeps)), np.float32)
        is_fused = joined.sources >= 0
        shares[is_fused] = result.contributions[joined.sources[is_fused]]
        return replace(
            result,
            detections=joined.detections,
            contributions=shares,
            reports=tuple(reports),
            reporters=joined.reporters,
            stage_ms={**result.stage_ms, "peers' boxes": 1e3 * (time.perf_counter() - start)},
        )


def _pyramid_of(held: HeldSweep[AgentPyramid]) -> AgentPyramid:
    if held.pyramid is None:
        raise RuntimeError(f"the sweep of station {held.sweep.station_id} has no pyramid yet")
    return held.pyramid


def _view_of(held: HeldSweep[AgentPyramid]) -> PeerView:
    if held.peer is None:
        raise RuntimeError(f"the sweep of station {held.sweep.station_id} is no peer's")
    return PeerView(held.sweep, _pyramid_of(held), held.peer)
