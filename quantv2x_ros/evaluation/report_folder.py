# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The report of an evaluation: a folder with tables, plots and pictures of the worst frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.evaluation import markdown, plots
from quantv2x_ros.evaluation.agent_grids import AgentGrids
from quantv2x_ros.evaluation.details import WORST_OVERLAP, RatedFrame
from quantv2x_ros.evaluation.detect import draw, frame_input, look
from quantv2x_ros.evaluation.evaluation import Evaluation
from quantv2x_ros.evaluation.link_report import PLOT, link_table, plot_link
from quantv2x_ros.evaluation.series import (
    ALONE,
    BUDGETS,
    INTEREST,
    LEVELS,
    OCCUPANCY,
    RADIO,
    RADIO_HYBRID,
    RADIO_LATE,
    RATES,
    RECEIVERS,
)

Result = dict[str, Any]

SIGHT_NOTE = (
    "Clear: 10 or more of the ego's own points in the box; sparse: fewer; hidden from the ego: not"
    " one, but a peer has some. Those are why cooperation exists.\n"
)


#: What the points of a sweep over the cells that are sent are called.
_SELECTIONS = {
    OCCUPANCY: "cells above {:g}",
    INTEREST: "cells within {:g} m",
    RECEIVERS: "cells that others can use",
}


def write_report(
    folder: Path,
    result: Result,
    evaluation: Evaluation,
    compare: Sequence[tuple[str, Result]],
    worst: int,
) -> None:
    """Write `report.md`, plots and pictures.

    Args:
        folder: Folder of the report; it is made where it does not exist.
        result: Result of the evaluation.
        evaluation: Evaluation after it ran.
        compare: Names and results of other evaluations, for the rate-accuracy table.
        worst: Number of pictures of the worst frames.
    """
    folder.mkdir(parents=True, exist_ok=True)
    alone = _alone(result, 0)
    rates = rate_points(result, alone, compare, evaluation.cells)
    draw_plots(folder, result, evaluation, rates)
    frames = evaluation.scores.details.worst(worst)
    pictures = [
        (draw_frame(folder / f"worst_{index}.png", evaluation, frame), frame)
        for index, frame in enumerate(frames, start=1)
    ]
    text = "\n".join([*_head(result), *_tables(result, alone, rates), *_pictures(pictures)])
    (folder / "report.md").write_text(text, encoding="utf-8")


def rate_points(
    result: Result,
    alone: Mapping[str, Any] | None,
    compare: Sequence[tuple[str, Result]],
    cells: int,
) -> list[Result]:
    """Return the points of the rate-accuracy table.

    Args:
        result: Result of this evaluation, with its series over what is sent.
        alone: Result of the ego without peers, who need send nothing.
        compare: Names and results of other evaluations.
        cells: Number of cells of an index map.
    """
    points: list[Result] = [{**result, "name": f"{result['bundle']} {result['precision']}"}]
    if alone is not None:
        points.append({**alone, "name": "ego alone", "bytes_per_frame": 0.0})
    sweeps = result.get("sweeps", {})
    for point in sweeps.get(LEVELS, []):
        name = f"{point['value']:g} level" + "s" * (point["value"] > 1)
        whole = point["bytes_per_frame"] == result["bytes_per_frame"]
        points.append({**point, "name": name, "label": "" if whole else name})
    for point in sweeps.get(BUDGETS, []):  # many: the axis says enough
        points.append({**point, "name": f"at most {point['value']:,.0f} bytes", "label": ""})
    for sweep, name in _SELECTIONS.items():
        for point in sweeps.get(sweep, []):
            if point["value"]:
                points.append({**point, "name": name.format(point["value"]), "label": ""})
    for point in points:
        point["bits_per_cell"] = 8.0 * point["bytes_per_frame"] / cells
    return points + [{**other, "name": title} for title, other in compare]


def draw_plots(
    folder: Path,
    result: Result,
    evaluation: Evaluation,
    rates: Sequence[Result],
) -> None:
    """Draw precision-recall, rate-accuracy and each sweep."""
    plots.plot_precision_recall(folder / "precision_recall.png", evaluation.scores.metric.curves())
    plots.plot_rate_accuracy(folder / "rate_accuracy.png", rates)
    plot_link(folder / PLOT, result, _alone(result, 0))
    for name, points in _curves(result).items():
        streaming = result.get("streaming", ()) if name == "latency_ms" else ()
        given = [point for point in streaming if not point["measured"]]
        plots.plot_sweep(
            folder / f"{plots.AXES[name][1]}.png",
            name,
            points,
            _alone(result, points[0]["first_number"]),
            given,
        )


def draw_frame(path: Path, evaluation: Evaluation, frame: RatedFrame) -> Path:
    """Draw one frame, the ego alone beside the cooperation."""
    detector, config = evaluation.detector, evaluation.config
    state = Scenario.open(frame.folder, skip_broken=True).frame(frame.timestamp)
    state = state.placed(config.placement)
    grids = AgentGrids(detector.bundle, level=config.level, turn=config.turn_grids)
    state = grids.lay(state, frame.agents)
    given = frame_input(state, frame.agents)
    score = frame.score
    heading = (
        f"{frame.folder.name} {frame.timestamp}: {score.found} found, {score.missed} missed,"
        f" {score.false} false (by class)"
    )
    draw(path, detector, given, look(detector, given), heading)
    return path


def _curves(result: Result) -> dict[str, list[Result]]:
    return {
        name: points
        for name, points in result.get("sweeps", {}).items()
        if name
        not in (
            ALONE,
            *RATES,
            RADIO,
            RADIO_LATE,
            RADIO_HYBRID,
        )  # the link's table and plot have those
    }


def _alone(result: Result, first_number: int) -> Result | None:
    """Return the result of the ego without peers, from that frame of every scenario on."""
    points = result.get("sweeps", {}).get(ALONE, [])
    return next((point for point in points if point["first_number"] == first_number), None)


def _head(result: Result) -> list[str]:
    return [
        f"# {result['bundle']}, {result['precision']}\n",
        f"{result['frames']} frames, mode {result['mode']}, up to {result['agents']} agents within"
        f" {result['communication_range']:g} m, protocol {result['protocol']},"
        f" {result['bytes_per_frame']:,.0f} bytes a message; messages {result['latency_ms']:g} ms"
        f" old, {result['loss']:.0%} of the tiles lost, poses off by"
        f" {result['pose_noise']:g} m and {result['heading_noise']:g}°.\n",
        *(f"* {note}\n" for note in result["notes"]),
        *(f"* left out: {text}\n" for text in result["skipped"]),
    ]


def _tables(result: Result, alone: Mapping[str, Any] | None, rates: Sequence[Result]) -> list[str]:
    lonely = result.get("alone", {})
    lines = ["## Average precision\n", markdown.precision_table(result)]
    if alone is not None:
        lines += ["The ego alone, on the same truth:\n", markdown.precision_table(alone)]
    lines += ["![precision over recall](precision_recall.png)\n"]
    lines += [
        "## Parts of the truth\n",
        markdown.parts_table(result["by_agents"], "agents fused"),
        markdown.parts_table(result["by_range"], "distance", lonely.get("by_range")),
        markdown.parts_table(result["by_sight"], "how the ego sees it", lonely.get("by_sight")),
        SIGHT_NOTE,
        "## Rate and accuracy\n",
        markdown.rate_table(rates),
        "![rate and accuracy](rate_accuracy.png)\n",
    ]
    link = link_table(result)
    if link:
        lines += ["## The link\n", link, f"![losses and bit rate]({PLOT})\n"]
    for name, points in _curves(result).items():
        lines += [f"## {markdown.SWEEP_TITLES[name]}\n"]
        lines += [markdown.sweep_table(name, points, _alone(result, points[0]["first_number"]))]
        lines += [f"![{name}]({plots.AXES[name][1]}.png)\n"]
    if "streaming" in result:
        lines += ["## Streaming AP\n", markdown.streaming_table(result["streaming"])]
    if "tracking" in result:
        lines += ["## Tracks\n", markdown.tracking_table(result["tracking"])]
    return lines


def _pictures(pictures: Sequence[tuple[Path, RatedFrame]]) -> list[str]:
    if not pictures:
        return []
    lines = [f"## Worst frames\n\nMost errors at IoU {WORST_OVERLAP:g}, by class.\n"]
    return lines + [
        f"![{frame.folder.name} {frame.timestamp}]({path.name})\n" for path, frame in pictures
    ]
