# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is done with peers' maps before they are fused: checked, and moved on to now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from quantv2x_ros.core.fusion.consistency import OccupancyView, compare_views
from quantv2x_ros.core.fusion.fusion_steps import FusedPeer
from quantv2x_ros.core.fusion.motion_compensation import move_objects
from quantv2x_ros.core.fusion.occupancy_tracks import OccupancyTracks, TrackSettings
from quantv2x_ros.core.geometry.pose import transform_between
from quantv2x_ros.core.receiver_settings import CHECKS
from quantv2x_ros.core.transport.sweep import AgentSweep
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.results import AgentPyramid

#: Younger maps are fused as they are: what objects move by then is less than they are misplaced by
#: an estimated velocity, seconds.
MIN_AGE = 0.15
#: Motion is watched in the maps of peers that come this late: it costs nothing while the link is
#: quick, and three sweeps are enough once it is not; seconds.
_WATCHED_AGE = 0.08
#: Shortest time between two comparisons of a peer's view with the ego's, seconds.
_COMPARE_PERIOD = 0.19


@dataclass(frozen=True, eq=False)
class PeerView:
    """A peer's sweep that is to be fused.

    Attributes:
        sweep: the sweep.
        pyramid: its pyramid.
        record: what is remembered of the peer.
    """

    sweep: AgentSweep
    pyramid: AgentPyramid
    record: FusedPeer[AgentPyramid]


@dataclass(frozen=True, eq=False)
class PreparedPeers:
    """Peers, ready for fusion.

    Attributes:
        peers: those that are fused, their objects where they are by now.
        suspects: station to why its map is not trusted, of all peers.
        moved: number of objects that were moved on.
    """

    peers: tuple[PeerView, ...]
    suspects: dict[int, str] = field(default_factory=dict)
    moved: int = 0


class PeerViews:
    """Checks peers' maps and moves their objects on. For one thread at a time."""

    def __init__(self, bundle: ModelBundle, check: str, compensate_motion: bool) -> None:
        """Prepare.

        Args:
            bundle: the model.
            check: one of `CHECKS`.
            compensate_motion: whether objects in older maps are moved on.

        Raises:
            ValueError: for an unknown check.
        """
        if check not in CHECKS:
            raise ValueError(f"check: got {check!r}, allowed are {', '.join(CHECKS)}")
        self._check = check
        self._compensate = compensate_motion
        self._grid = bundle.grid
        self._gain = bundle.manifest.score_gain
        self._background = bundle.background
        self._turn = 0
        self._compared_ns: int | None = None

    def prepare(
        self, ego: tuple[AgentSweep, AgentPyramid], peers: Sequence[PeerView]
    ) -> PreparedPeers:
        """Check peers and move their objects on to the time of the ego's sweep.

        Args:
            ego: the ego's sweep and pyramid.
            peers: those of each peer; their records are brought up to date.
        """
        now_ns = ego[0].stamp_ns
        if self._check != "off" and peers and self._is_due(now_ns):
            self._compared_ns = now_ns
            self._turn = (self._turn + 1) % len(peers)  # one a frame: its cost does not grow
            self._compare(ego, peers[self._turn])
        suspects = {
            view.sweep.station_id: view.record.consistency.suspicion
            for view in peers
            if self._check != "off" and view.record.consistency.suspicion
        }
        kept, moved = [], 0
        for view in peers:
            if self._check == "exclude" and view.sweep.station_id in suspects:
                continue
            pyramid, count = self._moved(view, now_ns)
            kept.append(view if pyramid is view.pyramid else replace(view, pyramid=pyramid))
            moved += count
        return PreparedPeers(tuple(kept), suspects, moved)

    def _is_due(self, now_ns: int) -> bool:
        """Whether it is time for the next comparison; at once where time has jumped back."""
        elapsed = None if self._compared_ns is None else now_ns - self._compared_ns
        return elapsed is None or not 0 <= elapsed < _COMPARE_PERIOD * 1e9

    def _compare(self, ego: tuple[AgentSweep, AgentPyramid], peer: PeerView) -> None:
        views = [
            OccupancyView.of(pyramid.scores[0], self._gain, sweep.indices, self._background)
            for sweep, pyramid in (ego, (peer.sweep, peer.pyramid))
        ]
        peer_to_ego = transform_between(peer.sweep.pose, ego[0].pose)
        peer.record.consistency.add(compare_views(views[0], views[1], peer_to_ego, self._grid))

    def _moved(self, peer: PeerView, now_ns: int) -> tuple[AgentPyramid, int]:
        """Return a peer's pyramid as it would be now, and the number of objects moved."""
        sweep, pyramid, record = peer.sweep, peer.pyramid, peer.record
        age = (now_ns - sweep.stamp_ns) / 1e9
        if not self._compensate or age < _WATCHED_AGE:
            return pyramid, 0
        if record.tracks is None:
            record.tracks = OccupancyTracks(TrackSettings(), self._grid)
        record.tracks.add(pyramid.scores[0] / self._gain, sweep.pose, sweep.stamp_ns)
        if age < MIN_AGE:
            return pyramid, 0
        displacements = record.tracks.displacements(sweep.pose, now_ns)
        levels, scores = move_objects(pyramid.features, pyramid.scores, displacements, self._grid)
        return AgentPyramid(levels, scores, pyramid.stage_ms), len(displacements)
