# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a dataset's clouds and labels are like, to compare real and simulated streets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from quantv2x_ros.core.geometry.boxes import transform_boxes
from quantv2x_ros.core.placement.ground_plane import fit_ground
from quantv2x_ros.core.placement.levelling import SENSOR_HEIGHTS, SensorGround
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.frame import Frame
from quantv2x_ros.data.scenario import open_whole
from quantv2x_ros.data.v2x_real import CLASSES
from quantv2x_ros.doctor.cloud_statistics import CloudStatistics, cloud_statistics

Float64 = npt.NDArray[np.float64]
Progress = Callable[[int, int], object]

#: Labels further away say little of the sensor's height over the street, metres.
LABEL_RANGE = 70.0
#: People in longer boxes ride, metres.
RIDER = 1.2
#: Where the bottoms of vehicles are seen from, by the names of the figures.
_BOTTOMS = {
    "bottoms": "from vehicles",
    "bottoms_levelled": "from vehicles, clouds levelled",
    "roadside_bottoms": "from the roadside",
    "roadside_bottoms_levelled": "from the roadside, clouds levelled",
}


@dataclass
class DatasetStatistics:
    """Figures of a dataset, gathered frame by frame.

    Attributes:
        root: the dataset.
        sweeps: those of each sweep.
        left_out: files that could not be read.
    """

    root: Path
    sweeps: list[CloudStatistics] = field(default_factory=list)
    left_out: list[DatasetError] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start with nothing."""
        self._sizes: dict[tuple[Path, int], tuple[str, Float64]] = {}
        self._tilts: list[float] = []
        self._bottoms: dict[str, list[float]] = {name: [] for name in _BOTTOMS}

    def add(self, frame: Frame) -> None:
        """Take the sweeps and labels of a frame into account."""
        for name, agent in frame.agents.items():
            truth = frame.truth(name)
            plane = fit_ground(agent.points)
            self.sweeps.append(cloud_statistics(agent.points, truth.boxes, plane))
            for item in agent.objects:
                self._sizes[frame.folder, item.object_id] = (CLASSES[item.label - 1], item.size)
            near = np.hypot(truth.boxes[:, 0], truth.boxes[:, 1]) < LABEL_RANGE
            vehicles = truth.boxes[near & (truth.labels != CLASSES.index("pedestrian") + 1)]
            where = "roadside_bottoms" if agent.infrastructure else "bottoms"
            self._bottoms[where] += _bottoms(vehicles)
            if plane is not None:
                self._tilts.append(float(np.degrees(plane.tilt)))
                level = SensorGround.of(plane).level(SENSOR_HEIGHTS)
                self._bottoms[f"{where}_levelled"] += _bottoms(transform_boxes(vehicles, level))

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as plain values; None where there is nothing to measure.

        Lengths are in metres, angles in degrees, shares from 0 to 1.
        """
        points = self._each("points")
        residuals = self._each("ground_residual")
        found = np.isfinite(residuals)
        grounded = int(found.sum())
        shaped = self._sum("shaped")
        return {
            "data": str(self.root),
            "sweeps": len(self.sweeps),
            "sweeps_without_ground": len(self.sweeps) - grounded,
            "left_out": [str(error) for error in self.left_out],
            "points": _spread(points),
            "full_pillars": _ratio(self._sum("full_pillars"), self._sum("pillars")),
            "unlabelled_pillars": _ratio(self._sum("unlabelled"), grounded),
            "unlabelled_car_tops": _ratio(self._sum("unlabelled_car_tops"), grounded),
            "labelled_pillars": _ratio(self._sum("labelled"), grounded),
            "unlabelled_to_labelled": _ratio(self._sum("unlabelled"), self._sum("labelled")),
            "scattered": _ratio(self._sum("scattered"), shaped),
            "vertical": _ratio(self._sum("vertical"), shaped),
            "ground_residual": _spread(residuals[found]),
            "tilt": _spread(np.array(self._tilts)),
            **{name: _percentiles(values) for name, values in self._bottoms.items()},
            **dict(self._box_sizes()),
        }

    def _each(self, name: str) -> Float64:
        return np.array([getattr(sweep, name) for sweep in self.sweeps], dtype=np.float64)

    def _sum(self, name: str) -> int:
        return sum(int(getattr(sweep, name)) for sweep in self.sweeps)

    def _box_sizes(self) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """Yield length and width of objects by kind, each object counted once."""
        kinds: dict[str, list[Float64]] = {
            "vehicles": [],
            "trucks": [],
            "on_foot": [],
            "riders": [],
        }
        for name, size in self._sizes.values():
            rides = "riders" if size[0] > RIDER else "on_foot"
            kinds[rides if name == "pedestrian" else f"{name}s"].append(size[:2])
        for kind, sizes in kinds.items():
            if not sizes:
                yield kind, None
                continue
            table = np.array(sizes)
            small = np.percentile(table, 5, axis=0)
            yield (
                kind,
                {
                    "objects": len(table),
                    "mean": [float(value) for value in table.mean(axis=0)],
                    "percentile_5": [float(value) for value in small],
                },
            )


def gather_statistics(root: Path, *, progress: Progress | None = None) -> DatasetStatistics:
    """Read all sweeps and labels of a dataset; damaged files are left out and named.

    Args:
        root: a dataset in the V2X-Real, OPV2V or V2V4Real layout, a split of one, or a scenario.
        progress: called with the number of frames done and of all.

    Raises:
        DatasetError: there is no scenario, or not one sweep that can be read.
    """
    statistics = DatasetStatistics(root)
    scenarios = open_whole(root)
    statistics.left_out += [error for scenario in scenarios for error in scenario.broken]
    total, done = sum(len(scenario.timestamps) for scenario in scenarios), 0
    for scenario in scenarios:
        for timestamp in scenario.timestamps:
            frame, broken = scenario.whole_frame(timestamp)
            statistics.left_out += broken
            statistics.add(frame)
            done += 1
            if progress is not None:
                progress(done, total)
    if not statistics.sweeps:
        raise DatasetError(
            root,
            f"not one sweep can be read ({len(statistics.left_out)} files are damaged)",
            "`doctor --data` without --statistics names each",
        )
    return statistics


def print_statistics(statistics: DatasetStatistics, console: Console | None = None) -> None:
    """Print the table, and what was left out."""
    console = console or Console(soft_wrap=True)
    table = Table(title=str(statistics.root))
    table.add_column("")
    table.add_column("", justify="right")
    for name, value in _rows(statistics.as_dict()):
        table.add_row(name, value)
    console.print(table)
    for error in statistics.left_out:
        console.print(f"left out: {error}", markup=False, highlight=False)


def _rows(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "sweeps (without a ground)", f"{found['sweeps']:,} ({found['sweeps_without_ground']:,})"
    yield "points a sweep: mean (5th-95th percentile)", _triple(found["points"], ",.0f")
    yield "pillars with more than 32 points", _number(found["full_pillars"], ".1%")
    yield "within 40 m, a sweep:", ""
    yield "  unlabelled pillars higher than 0.3 m", _number(found["unlabelled_pillars"], ",.0f")
    yield "  of them with tops at 1.5-3 m", _number(found["unlabelled_car_tops"], ",.0f")
    yield "  labelled pillars higher than 0.3 m", _number(found["labelled_pillars"], ",.0f")
    yield "  unlabelled to labelled", _number(found["unlabelled_to_labelled"], ".1f")
    shares = [_number(found[name], ".2f") for name in ("scattered", "vertical")]
    yield "  of unlabelled: scattered / vertical plane", " / ".join(shares)
    yield "  ground off its best plane [m]", _triple(found["ground_residual"], ".2f")
    yield "ground's tilt in the LiDAR frame [°]", _triple(found["tilt"], ".1f")
    yield "vehicles' bottoms, 1st-99th percentile [m]:", ""
    for name, words in _BOTTOMS.items():
        text = "-" if found[name] is None else "{:+.1f} to {:+.1f}".format(*found[name])
        yield f"  {words}", text
    for name in ("vehicles", "trucks", "on_foot", "riders"):
        row, kind = found[name], name.replace("_", " ")
        if row is None:
            yield f"{kind}: length x width [m]", "-"
            continue
        yield f"{kind} ({row['objects']:,}): mean length x width [m]", _area(row["mean"])
        yield f"{kind}: 5th percentile [m]", _area(row["percentile_5"])


def _bottoms(boxes: npt.NDArray[np.floating]) -> list[float]:
    """Heights of the undersides of boxes, metres."""
    return [float(value) for value in boxes[:, 2] - boxes[:, 5] / 2]


def _ratio(one: float, other: float) -> float | None:
    return one / other if other else None


def _spread(values: Float64) -> dict[str, float] | None:
    """Mean and percentiles of values; None of none."""
    if not len(values):
        return None
    low, high = np.percentile(values, (5, 95))
    return {"mean": float(values.mean()), "percentile_5": float(low), "percentile_95": float(high)}


def _percentiles(values: list[float]) -> list[float] | None:
    """The first and the 99th percentile; None of no values."""
    return [float(value) for value in np.percentile(values, (1, 99))] if values else None


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _triple(row: dict[str, float] | None, form: str) -> str:
    if row is None:
        return "-"
    mean, low, high = (format(row[k], form) for k in ("mean", "percentile_5", "percentile_95"))
    return f"{mean} ({low}-{high})"


def _area(pair: list[float]) -> str:
    return f"{pair[0]:.2f} x {pair[1]:.2f}"
