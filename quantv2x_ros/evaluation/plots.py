# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Curves of an evaluation, as files. No display is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

CLASS_COLOURS = ("#1f77b4", "#2ca02c", "#d9822b", "#9467bd", "#8c564b")
MEAN_COLOUR = "#222222"
IOU_STYLES = {"0.3": ":", "0.5": "-", "0.7": "--"}
SWEEP_IOU = "0.5"
"""Overlap at which sweeps are drawn class by class."""

AXES: dict[str, tuple[str, str]] = {
    "agents": ("agents that take part", "agents"),
    "latency_ms": ("age of the peers' messages [ms]", "latency"),
    "latency_ms_uncompensated": (
        "age of the messages [ms], objects where they were",
        "latency_unmoved",
    ),
    "pose_noise": ("deviation of the peers' positions in x and y [m]", "noise"),
    "pose_error": ("deviation of positions [m] and headings [degrees]", "error"),
    "pose_error_aligned": ("deviation of positions and headings, corrected", "error_aligned"),
    "heading_noise": ("deviation of the peers' headings [degrees]", "heading"),
    "loss": ("lost tiles", "loss"),
    "loss_holes": ("lost tiles, not concealed", "loss_holes"),
    "burst_loss": ("lost tiles, in bursts", "loss_bursts"),
    "stations": ("further stations on the channel", "stations"),
}
"""Text below the axis and file name of each sweep."""

for _series in ("loss", "latency_ms", "pose_error"):
    _text, _file = AXES[_series]
    AXES[f"{_series}_late"] = (f"{_text}; boxes", f"{_file}_late")
    AXES[f"{_series}_hybrid"] = (f"{_text}; features and boxes", f"{_file}_hybrid")


def plot_precision_recall(path: Path, curves: Mapping[str, Mapping[str, Any]]) -> None:
    """Draw precision over recall, a panel a class.

    Args:
        path: A `.png` file.
        curves: See `AveragePrecision.curves`.
    """
    figure, panels = _figure(len(curves))
    for ax, colour, (name, by_iou) in zip(
        panels, _colours(len(curves)), curves.items(), strict=True
    ):
        for iou, curve in by_iou.items():
            reached = np.asarray(curve["precision"]) > 0.0
            ax.plot(
                np.asarray(curve["recall"])[reached],
                np.asarray(curve["precision"])[reached],
                color=colour,
                linestyle=IOU_STYLES.get(iou, "-."),
                label=f"IoU {iou}",
            )
        _decorate(ax, name, "recall", "precision")
        ax.set_xlim(0.0, 1.0)
        ax.legend(loc="lower left", fontsize=8)
    _save(figure, path)


def plot_sweep(
    path: Path,
    name: str,
    points: Sequence[Mapping[str, Any]],
    alone: Mapping[str, Any] | None = None,
    streaming: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Draw AP over a sweep's values: means by overlap on the left, classes on the right.

    Args:
        path: A `.png` file.
        name: Name of the series.
        points: `value`, `AP`, `mAP` of each.
        alone: Result of the ego without peers, drawn as a level line.
        streaming: For the latency sweep: `latency_ms`, `AP`, `mAP` of streaming AP.
    """
    figure, (left, right) = _figure(2)
    label = AXES[name][0]
    values = [point["value"] for point in points]
    for iou in points[0]["mAP"]:
        style = IOU_STYLES.get(iou, "-.")
        means = [point["mAP"][iou] for point in points]
        left.plot(values, means, "o", linestyle=style, color=MEAN_COLOUR, label=f"IoU {iou}")
        if streaming:
            left.plot(
                [point["latency_ms"] for point in streaming],
                [point["mAP"][iou] for point in streaming],
                "s",
                linestyle=style,
                color="#c0392b",
                label=f"streaming AP, IoU {iou}",
            )
        if alone is not None:
            left.axhline(alone["mAP"][iou], color="#999999", linestyle=style, linewidth=1.0)
    text = label if not streaming else f"{label};\nred: from sweep to boxes [ms]"
    _decorate(left, "mean; grey: the ego alone" if alone else "mean", text, "mAP")
    left.legend(fontsize=8)
    classes = points[0]["AP"]
    for colour, title in zip(_colours(len(classes)), classes, strict=True):
        series = [point["AP"][title][SWEEP_IOU] for point in points]
        right.plot(values, series, "o-", color=colour, label=title)
        if alone is not None:
            right.axhline(alone["AP"][title][SWEEP_IOU], color=colour, linestyle=":", linewidth=1)
    _decorate(
        right, "classes; dotted: the ego alone" if alone else "classes", label, f"AP at {SWEEP_IOU}"
    )
    right.legend(fontsize=8)
    _save(figure, path)


def plot_rate_accuracy(path: Path, points: Sequence[Mapping[str, Any]]) -> None:
    """Draw mAP over the bytes of a message.

    Args:
        path: A `.png` file.
        points: `name`, `bytes_per_frame`, `mAP` of each; an empty `label` leaves the name out.
    """
    figure, (ax,) = _figure(1)
    ordered = sorted(points, key=lambda point: point["bytes_per_frame"])
    for iou in ordered[0]["mAP"]:
        ax.plot(
            [point["bytes_per_frame"] / 1e3 for point in ordered],
            [point["mAP"][iou] for point in ordered],
            "o",
            linestyle=IOU_STYLES.get(iou, "-."),
            color=MEAN_COLOUR,
            label=f"IoU {iou}",
        )
    top = next(iter(ordered[0]["mAP"]))
    labelled = [point for point in ordered if point.get("label", point["name"])]
    for point in labelled:
        ax.annotate(
            point["name"],
            (point["bytes_per_frame"] / 1e3, point["mAP"][top]),
            xytext=(0, 6),
            textcoords="offset points",
            rotation=60,
            fontsize=7,
        )
    ax.margins(x=0.1)
    _decorate(ax, "rate and accuracy", "kB a message", "mAP")
    ax.legend(fontsize=8)
    _save(figure, path)


@dataclass(frozen=True)
class Panel:
    """One of several plots side by side.

    Attributes:
        x_label: Text below the plot.
        curves: Points (x, y) by name.
    """

    x_label: str
    curves: Mapping[str, Sequence[tuple[float, float]]]


def plot_panels(path: Path, panels: Sequence[Panel], y_label: str, level: float | None) -> None:
    """Draw curves of the same quantity over different ones.

    Args:
        path: A `.png` file.
        panels: Plots, at least one.
        y_label: Name of the quantity.
        level: Value of the ego without peers, drawn as a level line.
    """
    figure, axes = _figure(len(panels))
    for ax, panel in zip(axes, panels, strict=True):
        colours = _colours(len(panel.curves))
        for colour, (name, points) in zip(colours, panel.curves.items(), strict=True):
            x, y = zip(*points, strict=True)
            ax.plot(x, y, "o-", color=colour, label=name, markersize=4)
        if level is not None:
            ax.axhline(level, color="#999999", linewidth=1.0)
        _decorate(ax, "grey: the ego alone" if level is not None else "", panel.x_label, y_label)
        values = [y for points in panel.curves.values() for _, y in points]
        low, high = min([*values, *([] if level is None else [level])]), max(values)
        ax.set_ylim(max(0.0, low - 0.05), min(1.0, high + 0.03))
        ax.legend(fontsize=8)
    _save(figure, path)


def _colours(count: int) -> list[str]:
    return [CLASS_COLOURS[index % len(CLASS_COLOURS)] for index in range(count)]


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(4.6 * panels + 0.4, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def _decorate(ax: Axes, title: str, x_label: str, y_label: str) -> None:
    ax.set_title(title, fontsize=10)
    ax.set_xlabel(x_label, fontsize=9)
    ax.set_ylabel(y_label, fontsize=9)
    ax.set_ylim(0.0, 1.0)
    ax.grid(visible=True, alpha=0.3)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
