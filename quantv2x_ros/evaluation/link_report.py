# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bytes and losses of the link: all series about it in one table and one plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from quantv2x_ros.evaluation import markdown, plots
from quantv2x_ros.evaluation.series import (
    BUDGETS,
    INTEREST,
    LEVELS,
    LINK,
    LOSSES,
    OCCUPANCY,
    RADIO,
    RADIO_HYBRID,
    RADIO_LATE,
    RADIOS,
    RECEIVERS,
    STATIONS,
)

Result = Mapping[str, Any]

PLOT = "link.png"
#: What a row of the table is called.
_NAMES = {
    "loss": "{:.0%} of the tiles lost",
    "loss_holes": "{:.0%} lost, not concealed",
    "burst_loss": "{:.0%} lost in bursts",
    "loss_late": "boxes, {:.0%} of the packets lost",
    "loss_hybrid": "both, {:.0%} of the packets lost",
    STATIONS: "{:.0f} further stations on the air",
    LEVELS: "`levels: {:.0f}`",
    OCCUPANCY: "`min_occupancy: {:g}`",
    INTEREST: "`interest_range: {:g}`",
    RECEIVERS: "`interest_of_receivers: true`",
    BUDGETS: "`max_bytes_per_frame: {:,.0f}`",
}
_LOSS_LABELS = {
    "loss": "each for itself",
    "loss_holes": "each for itself, not concealed",
    "burst_loss": "in bursts of 5",
}
_RATE_LABELS = {
    LEVELS: "levels",
    OCCUPANCY: "min_occupancy",
    INTEREST: "interest_range",
    RECEIVERS: "interest_of_receivers",
    BUDGETS: "max_bytes_per_frame",
    RADIO: "radio",
    RADIO_LATE: "radio, boxes",
    RADIO_HYBRID: "radio, both",
}
_LOST_BOXES = ("loss_late", "loss_hybrid")
#: Overlap that both are about.
_IOU = "0.3"


def link_table(result: Result) -> str:
    """Return a Markdown table with a row for each point of the link's series; empty without one."""
    names = (*LINK, *_LOST_BOXES)
    sweeps = {name: result["sweeps"][name] for name in names if name in result.get("sweeps", {})}
    if not sweeps:
        return ""
    base = result["mAP"]
    rows = [_row("as given", result, base)]
    for name, points in sweeps.items():
        reference = _reference(sweeps, points, base)
        for point in points:
            if name in (RADIO, RADIO_LATE, RADIO_HYBRID):
                what = {RADIO_LATE: "boxes, ", RADIO_HYBRID: "both, "}.get(name, "")
                row = f"{what}`radio: {RADIOS[int(point['value'])]}`"
                rows.append(_row(row, point, reference))
                continue
            same = point["bytes_per_frame"] == result["bytes_per_frame"] and point["mAP"] == base
            if same and point["value"] == 0.0 and name != STATIONS:
                continue  # the setting as given once more
            rows.append(_row(_NAMES[name].format(point["value"]), point, reference))
    header = ["", "packets, median", "bytes, mean", "Mbit/s at 10 Hz", "mAP@0.3", "change"]
    return markdown.table([*header, "mAP@0.5"], rows)


def _reference(
    sweeps: Mapping[str, Sequence[Result]], points: Sequence[Result], base: Mapping[str, float]
) -> Mapping[str, float]:
    """Return the mAP without a fault on the frames that a series is measured on."""
    first = points[0]["first_number"]
    if first == 0:
        return base
    faultless = (series[0] for name in LOSSES if (series := sweeps.get(name)))
    of_same = (point for point in faultless if point["first_number"] == first)
    reference: Mapping[str, float] = next(of_same, points[0])["mAP"]
    return reference


def _row(name: str, point: Result, base: Mapping[str, float]) -> list[object]:
    return [
        name,
        f"{point['median_packets']:g}",
        round(point["bytes_per_frame"]),
        f"{point['mbit_per_second']:.2f}",
        point["mAP"][_IOU],
        f"{point['mAP'][_IOU] - base[_IOU]:+.3f}{_bounds(point)}",
        point["mAP"]["0.5"],
    ]


def _bounds(point: Result) -> str:
    """Return between what the change lies on other scenes; empty where that was not measured."""
    change = point.get("changes", {}).get("mean")
    return f" ({change[_IOU][0]:+.3f} to {change[_IOU][1]:+.3f})" if change else ""


def plot_link(path: Path, result: Result, alone: Result | None) -> bool:
    """Draw mAP over losses on the left, over the bit rate on the right.

    Args:
        path: A `.png` file.
        result: Result of an evaluation with series.
        alone: Result of the ego without peers, drawn as a level line.

    Returns:
        Whether there was anything to draw.
    """
    sweeps = result.get("sweeps", {})
    losses = {_LOSS_LABELS[name]: sweeps[name] for name in LOSSES if name in sweeps}
    rates = {label: sweeps[name] for name, label in _RATE_LABELS.items() if name in sweeps}
    if not losses and not rates:
        return False
    panels = [
        plots.Panel(
            "lost tiles",
            {
                label: [(point["value"], point["mAP"][_IOU]) for point in points]
                for label, points in losses.items()
            },
        ),
        plots.Panel(
            "Mbit/s of a peer at 10 Hz",
            {
                label: sorted((point["mbit_per_second"], point["mAP"][_IOU]) for point in points)
                for label, points in rates.items()
            },
        ),
    ]
    level = None if alone is None else alone["mAP"][_IOU]
    plots.plot_panels(path, [panel for panel in panels if panel.curves], f"mAP@{_IOU}", level)
    return True
