# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation as Markdown tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]

SWEEP_TITLES = {
    "agents": "Agents that take part, on the truth of all",
    "latency_ms": "Age of the peers' messages [ms]",
    "latency_ms_uncompensated": "The same, moving objects left where they were",
    "pose_noise": "Deviation of the peers' positions in x and y [m]",
    "pose_error": "Deviation of the peers' positions [m] and headings [degrees]",
    "pose_error_aligned": "The same, corrected by what both agents see",
    "heading_noise": "Deviation of the peers' headings [degrees]",
    "loss": "Lost tiles of the peers' messages",
    "loss_holes": "Lost tiles, not concealed",
    "burst_loss": "Lost tiles, in bursts",
    "stations": "Further stations on the channel",
}
for _series in ("loss", "latency_ms", "pose_error"):
    SWEEP_TITLES[f"{_series}_late"] = f"{SWEEP_TITLES[_series]}; boxes instead of features"
    SWEEP_TITLES[f"{_series}_hybrid"] = f"{SWEEP_TITLES[_series]}; features and boxes"


def table(header: Sequence[str], rows: Iterable[Sequence[object]], texts: int = 1) -> str:
    """Return a Markdown table; numbers that are not finite become a dash.

    Args:
        header: headings of the columns.
        rows: cells of each row.
        texts: number of the first columns that hold text, on the left; others are on the right.
    """
    lines = [header, ["---"] * texts + ["---:"] * (len(header) - texts)]
    lines += [[_cell(value) for value in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def precision_table(result: Result) -> str:
    """Return AP by class and overlap, and the mean."""
    ious = list(result["mAP"])
    rows = [
        [name, int(result["objects"][name]), *(row[iou] for iou in ious)]
        for name, row in result["AP"].items()
    ]
    rows.append(["mean", int(sum(result["objects"].values())), *result["mAP"].values()])
    if mean := result.get("intervals", {}).get("mean"):
        bounds = (f"{low:.3f} to {high:.3f}" for low, high in mean.values())
        rows.append(["mean on other scenes, 95 %", "", *bounds])
    return table(["class", "objects", *(f"AP@{iou}" for iou in ious)], rows)


def parts_table(
    parts: Mapping[str, Result], title: str, alone: Mapping[str, Result] | None = None
) -> str:
    """Return AP of parts of the truth, a row each, and mAP of the ego alone beside them."""
    if not parts:
        return ""
    first = next(iter(parts.values()))
    header = [title, "objects", "mAP@0.3", "mAP@0.5", *(f"{name} AP@0.5" for name in first["AP"])]
    if alone is not None:
        header += ["the ego alone: mAP@0.3", "mAP@0.5"]
    rows = []
    for name, part in parts.items():
        row = [name, int(sum(part["objects"].values())), part["mAP"]["0.3"], part["mAP"]["0.5"]]
        row += [by_iou["0.5"] for by_iou in part["AP"].values()]
        if alone is not None:
            row += [alone[name]["mAP"]["0.3"], alone[name]["mAP"]["0.5"]]
        rows.append(row)
    return table(header, rows)


def sweep_table(name: str, points: Sequence[Result], alone: Result | None) -> str:
    """Return AP over a sweep's values, and of the ego alone on the same frames."""
    parts = {f"{point['value']:g}": point for point in points}
    if alone is not None:
        parts["the ego alone"] = alone
    return parts_table(parts, SWEEP_TITLES[name])


def streaming_table(points: Sequence[Result]) -> str:
    """Return streaming AP over latencies."""
    parts = {
        f"{point['latency_ms']:.0f}" + (" (measured, mean)" if point["measured"] else ""): point
        for point in points
    }
    return parts_table(parts, "From sweep to boxes [ms]")


def tracking_table(classes: Mapping[str, Result]) -> str:
    """Return how objects are followed, a row a class."""
    names = ("MOTA", "MOTP", "id_switches", "missed", "false", "objects")
    header = ("class", "MOTA", "MOTP", "id switches", "missed", "false", "objects")
    return table(header, ((name, *(row[key] for key in names)) for name, row in classes.items()))


def rate_table(points: Sequence[Result]) -> str:
    """Return bytes and accuracy of several evaluations."""
    rows = [
        [
            point["name"],
            round(point["bytes_per_frame"]),
            point.get("bits_per_cell", float("nan")),
            point["mAP"]["0.3"],
            point["mAP"]["0.5"],
            *(row["0.5"] for row in point["AP"].values()),
        ]
        for point in sorted(points, key=lambda point: point["bytes_per_frame"])
    ]
    header = ["", "bytes a message", "bits a cell", "mAP@0.3", "mAP@0.5"]
    return table([*header, *(f"{name} AP@0.5" for name in points[0]["AP"])], rows)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if math.isfinite(value) else "–"
    return f"{value:,}" if isinstance(value, int) else str(value)
