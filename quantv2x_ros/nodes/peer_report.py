# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the diagnostics say of each station that was heard."""

from __future__ import annotations

from collections.abc import Mapping

from quantv2x_ros.core.peer_ledger import PeerEntry
from quantv2x_ros.core.tile_counts import TileCounts
from quantv2x_ros.nodes.fusion_worker import Outcome


def heard_values(
    entries: Mapping[int, PeerEntry], counts: Mapping[int, TileCounts], now: float
) -> dict[str, str]:
    """Return what came of every station, what did not, and why it was refused last.

    Args:
        entries: of the ledger.
        counts: of the reception.
        now: seconds of the steady clock.
    """
    values = {}
    for station, entry in entries.items():
        name = f"station {station}"
        if entry.heard is not None:
            values[f"{name} heard [s ago]"] = f"{now - entry.heard:.1f}"
        if station in counts:
            count = counts[station]
            values[f"{name} tiles"] = f"{count.received} received, {count.lost} lost"
            values[f"{name} sweeps"] = f"{count.sweeps} heard, {count.missed} missed"
        if entry.refused is not None:
            ago = now - entry.refused
            values[f"{name} last refusal"] = (
                f"{entry.reason}: {entry.text} ({ago:.1f} s ago, {entry.refusals} in all)"
            )
    return values


def fused_values(outcome: Outcome) -> dict[str, str]:
    """Return bytes and age of every station in the last fused frame, and what is odd about it."""
    values = {"objects": str(len(outcome.result.detections))}
    for station, found in outcome.alignments.items():
        values[f"station {station} pose corrected by [m]"] = f"{found.shift:.2f}"
    for station, reason in outcome.suspects.items():
        values[f"station {station} is suspect"] = reason
    ego = outcome.sweeps[0]
    for sweep in outcome.sweeps:
        values[f"station {sweep.station_id} [B]"] = str(sweep.payload_bytes)
        age = (ego.stamp_ns - sweep.stamp_ns) / 1e6
        values[f"station {sweep.station_id} age [ms]"] = f"{age:.1f}"
    return values
