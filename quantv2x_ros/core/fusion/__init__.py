# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which sweeps are fused when, how they are aligned, and the weighted sum that fuses them."""

from quantv2x_ros.core.fusion.active_cells import ActiveCells
from quantv2x_ros.core.fusion.collector import SweepCollector
from quantv2x_ros.core.fusion.columns import NeededColumns
from quantv2x_ros.core.fusion.consistency import (
    ConsistencySettings,
    Evidence,
    OccupancyView,
    PeerConsistency,
)
from quantv2x_ros.core.fusion.fusion import FusionError, ScaleFusion
from quantv2x_ros.core.fusion.fusion_steps import (
    ComputePyramid,
    Fuse,
    FusedPeer,
    HeldSweep,
    SweepRefusedError,
    Wait,
)
from quantv2x_ros.core.fusion.motion_compensation import Displacement
from quantv2x_ros.core.fusion.occupancy_tracks import OccupancyTracks, Region, TrackSettings
from quantv2x_ros.core.fusion.peer_boxes import (
    JoinedBoxes,
    PeerBoxes,
    PeerObjects,
    ReportedBoxes,
)
from quantv2x_ros.core.fusion.places import Choice, Places, Standings
from quantv2x_ros.core.fusion.pose_alignment import Alignment, AlignmentSettings

__all__ = [
    "ActiveCells",
    "Alignment",
    "AlignmentSettings",
    "Choice",
    "ComputePyramid",
    "ConsistencySettings",
    "Displacement",
    "Evidence",
    "Fuse",
    "FusedPeer",
    "FusionError",
    "HeldSweep",
    "JoinedBoxes",
    "NeededColumns",
    "OccupancyTracks",
    "OccupancyView",
    "PeerBoxes",
    "PeerConsistency",
    "PeerObjects",
    "Places",
    "Region",
    "ReportedBoxes",
    "ScaleFusion",
    "Standings",
    "SweepCollector",
    "SweepRefusedError",
    "TrackSettings",
    "Wait",
]
