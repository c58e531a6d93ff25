# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draws one scene from above: clouds by agent, boxes by class, truth dashed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.detection.matching import match_frame
from quantv2x_ros.core.geometry.boxes import bev_iou, corners

FOUND_OVERLAP = 0.3
"""BEV IoU from which a picture calls an object found."""


@dataclass(frozen=True)
class PictureContent:
    """The content of a picture, in the ego's LiDAR frame, metres.

    Attributes:
        clouds: Agent → points (P, 3 or more), the ego first; the order gives the colours.
        sensors: Place (x, y) of every agent's sensor.
        detections: Boxes found.
        truth_boxes: (M, 7) labelled boxes, `None` where there is no truth.
        classes: Names of the classes; label 1 is the first.
    """

    clouds: Mapping[str, npt.NDArray[np.floating]]
    sensors: Mapping[str, tuple[float, float]]
    detections: Detections
    truth_boxes: npt.NDArray[np.floating] | None
    classes: Sequence[str]

    def found(self) -> npt.NDArray[np.bool_]:
        """Return which truth boxes a detection of any class covers well enough, (M,) bool."""
        if self.truth_boxes is None:
            return np.zeros(0, dtype=bool)
        overlap = bev_iou(self.detections.boxes, self.truth_boxes)
        matches = match_frame(overlap, self.detections.scores, FOUND_OVERLAP)
        hit = np.zeros(len(self.truth_boxes), dtype=bool)
        hit[matches[matches >= 0]] = True
        return hit


@dataclass(frozen=True)
class PictureArea:
    """The part of the ground that a picture shows: x forward (up), y left, metres."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    @classmethod
    def around(cls, scenes: Sequence[PictureContent], margin: float = 8.0) -> PictureArea:
        """Fit sensors, boxes and truth of several scenes, at most ±100 m by ±40 m."""
        spots: list[npt.NDArray[np.floating]] = [np.zeros((1, 2))]
        for scene in scenes:
            spots.append(np.array(list(scene.sensors.values())).reshape(-1, 2))
            spots.append(scene.detections.boxes[:, :2])
            if scene.truth_boxes is not None:
                spots.append(scene.truth_boxes[:, :2])
        places = np.concatenate(spots)
        limit = np.array([100.0, 40.0])
        low = np.clip(places.min(axis=0) - margin, -limit, (-30.0, -30.0))
        high = np.clip(places.max(axis=0) + margin, (30.0, 30.0), limit)
        return cls(float(low[0]), float(high[0]), float(low[1]), float(high[1]))

    @property
    def aspect(self) -> float:
        """Return the ratio of height (x) to width (y) on paper."""
        return (self.x_high - self.x_low) / (self.y_high - self.y_low)


BACKGROUND = "#0b0f17"
TEXT = "#d7dde8"
AGENT_COLOURS = ("#6ea8ff", "#ffa24d", "#7ee08a", "#c996ff", "#ff8fb0", "#d9c85f", "#5fd9d0")
CLASS_COLOURS = ("#00e0ff", "#8dff3f", "#ffd60a", "#ff7af5")
TRUTH_COLOUR = "#ffffff"
MISSED_COLOUR = "#ff3b3b"

_RESOLUTION = 0.2  # metres a pixel of the clouds
_FULL_BRIGHTNESS = 6  # points in a pixel
_RING_STEP = 20.0  # metres


def draw_scene(
    ax: Axes, scene: PictureContent, view: PictureArea, title: str, *, scores: bool = True
) -> None:
    """Draw a scene with the ego's forward direction up.

    Args:
        ax: Axes to draw on; their content is replaced.
        scene: Content of the picture.
        view: Part of the ground that is shown.
        title: Text above the picture.
        scores: Whether each box's score is written beside it.
    """
    ax.clear()
    ax.set_facecolor(BACKGROUND)
    ax.imshow(
        _cloud_image(scene, view),
        extent=(-view.y_high, -view.y_low, view.x_low, view.x_high),
        interpolation="nearest",
        zorder=0,
    )
    for radius in np.arange(_RING_STEP, 120.0, _RING_STEP):
        ring = Circle((0.0, 0.0), radius, fill=False, color="#ffffff", alpha=0.07, linewidth=0.8)
        ax.add_patch(ring)
    _draw_truth(ax, scene)
    _draw_detections(ax, scene, view, scores)
    _draw_sensors(ax, scene, view)
    _draw_scale(ax, view)
    ax.set_xlim(-view.y_high, -view.y_low)
    ax.set_ylim(view.x_low, view.x_high)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_color("#2a3242")
    ax.set_title(title, color=TEXT, fontsize=11, pad=8)


def legend_handles(scene: PictureContent) -> list[Line2D]:
    """Return the entries of a legend: agents, classes, truth."""
    handles = [
        Line2D(
            [],
            [],
            color=agent_colour(scene, agent),
            marker="o",
            linestyle="",
            markersize=6,
            label=f"agent {agent}" + (" (ego)" if index == 0 else ""),
        )
        for index, agent in enumerate(scene.clouds)
    ]
    handles += [
        Line2D([], [], color=class_colour(index + 1), linewidth=2, label=name)
        for index, name in enumerate(scene.classes)
    ]
    if scene.truth_boxes is not None:
        handles.append(
            Line2D([], [], color=TRUTH_COLOUR, linestyle="--", linewidth=1.2, label="truth, found")
        )
        handles.append(
            Line2D(
                [], [], color=MISSED_COLOUR, linestyle="--", linewidth=1.2, label="truth, not found"
            )
        )
    return handles


def agent_colour(scene: PictureContent, agent: str) -> str:
    """Return the colour of an agent's points."""
    return AGENT_COLOURS[list(scene.clouds).index(agent) % len(AGENT_COLOURS)]


def class_colour(label: int) -> str:
    """Return the colour of a class's boxes."""
    return CLASS_COLOURS[(label - 1) % len(CLASS_COLOURS)]


def _cloud_image(scene: PictureContent, view: PictureArea) -> npt.NDArray[np.float64]:
    """Paint the clouds: (rows from far to near, columns from left to right, RGB)."""
    rows = int(np.ceil((view.x_high - view.x_low) / _RESOLUTION))
    columns = int(np.ceil((view.y_high - view.y_low) / _RESOLUTION))
    background = np.array(to_rgb(BACKGROUND))
    image = np.broadcast_to(background, (rows, columns, 3)).copy()
    for agent, cloud in scene.clouds.items():
        counts, _, _ = np.histogram2d(
            view.x_high - cloud[:, 0],
            view.y_high - cloud[:, 1],
            bins=(rows, columns),
            range=((0.0, view.x_high - view.x_low), (0.0, view.y_high - view.y_low)),
        )
        brightness = np.log1p(np.minimum(counts, _FULL_BRIGHTNESS)) / np.log1p(_FULL_BRIGHTNESS)
        image += (
            0.75
            * brightness[..., None]
            * (np.array(to_rgb(agent_colour(scene, agent))) - background)
        )
    return np.clip(image, 0.0, 1.0)


def _outlines(boxes: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return closed outlines of boxes on paper, (N, 5, 2)."""
    ground = corners(boxes)[:, [0, 1, 2, 3, 0], :2]
    return np.stack([-ground[..., 1], ground[..., 0]], axis=-1)


def _draw_truth(ax: Axes, scene: PictureContent) -> None:
    if scene.truth_boxes is None:
        return
    found = scene.found()
    for mask, colour in ((found, TRUTH_COLOUR), (~found, MISSED_COLOUR)):
        lines = LineCollection(
            list(_outlines(scene.truth_boxes[mask])),
            colors=colour,
            linewidths=1.1,
            linestyles=(0, (3, 2)),
            zorder=4,
        )
        ax.add_collection(lines)


def _draw_detections(ax: Axes, scene: PictureContent, view: PictureArea, scores: bool) -> None:
    boxes = scene.detections.boxes
    colours = [class_colour(int(label)) for label in scene.detections.labels]
    ax.add_collection(
        LineCollection(list(_outlines(boxes)), colors=colours, linewidths=1.8, zorder=3)
    )
    ahead = boxes[:, :2] + 0.5 * boxes[:, 3:4] * np.stack(
        [np.cos(boxes[:, 6]), np.sin(boxes[:, 6])], axis=1
    )
    headings = np.stack([boxes[:, :2], ahead], axis=1)[..., ::-1] * (-1.0, 1.0)
    ax.add_collection(LineCollection(list(headings), colors=colours, linewidths=1.2, zorder=3))
    if not scores:
        return
    for box, score, colour in zip(boxes, scene.detections.scores, colours, strict=True):
        x, y = float(box[0]), float(box[1])
        if view.x_low < x < view.x_high and view.y_low < y < view.y_high:
            ax.annotate(
                f"{score:.2f}",
                (-y, x),
                xytext=(6, 5),
                textcoords="offset points",
                color=colour,
                fontsize=6,
                clip_on=True,
                zorder=5,
            )


def _draw_sensors(ax: Axes, scene: PictureContent, view: PictureArea) -> None:
    for agent, (x, y) in scene.sensors.items():
        if not (view.x_low <= x <= view.x_high and view.y_low <= y <= view.y_high):
            continue
        ax.plot(
            -y,
            x,
            marker="^",
            markersize=8,
            color=agent_colour(scene, agent),
            markeredgecolor="white",
            markeredgewidth=0.8,
            zorder=6,
        )
        ax.annotate(
            agent,
            (-y, x),
            xytext=(0, -13),
            textcoords="offset points",
            ha="center",
            color="white",
            fontsize=7,
            fontweight="bold",
            zorder=6,
            clip_on=True,
        )


def _draw_scale(ax: Axes, view: PictureArea) -> None:
    """Draw a bar of 10 m into the lower left corner."""
    left, bottom = -view.y_high + 3.0, view.x_low + 3.0
    ax.plot([left, left + 10.0], [bottom, bottom], color=TEXT, linewidth=2, zorder=6)
    ax.annotate(
        "10 m",
        (left + 5.0, bottom),
        xytext=(0, 4),
        textcoords="offset points",
        ha="center",
        color=TEXT,
        fontsize=7,
        zorder=6,
    )
