# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Draw clouds of several dataset folders side by side: from above, and from behind the sensor.

    .venv/bin/python scripts/picture_clouds.py --out clouds.png SCENARIO[:AGENT] ...

Each SCENARIO is a folder in the V2X-Real layout, simulated or real. Colour is the height over the
ground; frames are annotated objects.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from quantv2x_ros.data.scenario import Scenario

FloatArray = npt.NDArray[np.float64]
HALF_LENGTH, HALF_WIDTH = 34.0, 24.0
CELL = 2.0


def height_over_ground(points: FloatArray) -> FloatArray:
    """Return each point's height over the lowest returns within some metres, metres."""
    index = np.floor(points[:, :2] / CELL).astype(int)
    index -= index.min(axis=0)
    rows, columns = index.max(axis=0) + 1
    cell = index[:, 0] * columns + index[:, 1]
    order = np.lexsort((points[:, 2], cell))
    first = np.flatnonzero(np.r_[True, np.diff(cell[order]) > 0])
    count = np.diff(np.r_[first, len(cell)])
    lowest = np.full((rows + 2, columns + 2), np.inf)
    inner = lowest[1:-1, 1:-1].copy()
    inner.flat[cell[order][first]] = points[order[first + count // 30], 2]
    lowest[1:-1, 1:-1] = inner
    around = [np.roll(lowest, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    ground = np.min(around, axis=0)[1:-1, 1:-1]
    return np.asarray(points[:, 2] - ground[index[:, 0], index[:, 1]])


def draw_from_above(axes: Axes, points: FloatArray, height: FloatArray, boxes: FloatArray) -> None:
    """Draw the middle of a cloud and the boxes (N, 7) in it."""
    near = (np.abs(points[:, 0]) < HALF_LENGTH) & (np.abs(points[:, 1]) < HALF_WIDTH)
    order = np.flatnonzero(near)[np.argsort(height[near])]
    colour = np.clip(height[order], 0, 4)
    axes.scatter(
        points[order, 0],
        points[order, 1],
        s=0.3,
        c=colour,
        cmap="turbo",
        vmin=-0.7,
        vmax=4.0,
        linewidths=0,
    )
    for box in boxes:
        along, across = np.array([1, -1, -1, 1, 1]) * box[3] / 2, np.array([1, 1, -1, -1, 1])
        across = across * box[4] / 2
        cosine, sine = np.cos(box[6]), np.sin(box[6])
        x = box[0] + along * cosine - across * sine
        y = box[1] + along * sine + across * cosine
        axes.plot(x, y, "-", color="white", linewidth=0.8)
    axes.set(xlim=(-HALF_LENGTH, HALF_LENGTH), ylim=(-HALF_WIDTH, HALF_WIDTH), aspect="equal")


def draw_from_behind(axes: Axes, points: FloatArray, height: FloatArray) -> None:
    """Draw a cloud in perspective from 6 m behind and 3.5 m above the sensor, looking ahead."""
    away, tilt = points - (-6.0, 0.0, 3.5), np.radians(12.0)
    depth = away[:, 0] * np.cos(tilt) - away[:, 2] * np.sin(tilt)
    up = away[:, 0] * np.sin(tilt) + away[:, 2] * np.cos(tilt)
    near = np.flatnonzero((depth > 2.0) & (depth < 45.0))
    order = near[np.argsort(-depth[near])]
    axes.scatter(
        -away[order, 1] / depth[order],
        up[order] / depth[order],
        s=np.clip(10 / depth[order], 0.2, 3),
        c=np.clip(height[order], 0, 4),
        cmap="turbo",
        vmin=-0.7,
        vmax=4.0,
        linewidths=0,
    )
    axes.set(xlim=(-1.0, 1.0), ylim=(-0.36, 0.36), aspect="equal")


def draw(scenarios: list[str]) -> Figure:
    """Return a figure with one row a scenario (`folder` or `folder:agent`), its first frame."""
    figure = Figure(figsize=(15, 4.6 * len(scenarios)), facecolor="black", layout="tight")
    axes = figure.subplots(len(scenarios), 2, squeeze=False)
    for row, name in zip(axes, scenarios, strict=True):
        folder, _, agent = name.partition(":")
        scenario = Scenario.open(folder)
        frame = scenario.frame(scenario.timestamps[0])
        chosen = agent or "1"
        points = np.asarray(frame[chosen].points[:, :3], np.float64)
        points = points[np.hypot(points[:, 0], points[:, 1]) < 60]
        height = height_over_ground(points)
        boxes = np.asarray(frame.truth(chosen).boxes, np.float64)
        draw_from_above(row[0], points, height, boxes)
        draw_from_behind(row[1], points, height)
        for one in row:
            one.set(xticks=[], yticks=[], facecolor="black")
    return figure


def main() -> None:
    """Parse the command line, draw and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenarios", nargs="+", metavar="SCENARIO[:AGENT]")
    parser.add_argument("--out", type=Path, required=True, help="the picture, .png")
    options = parser.parse_args()
    draw(options.scenarios).savefig(options.out, dpi=70)


if __name__ == "__main__":
    main()
