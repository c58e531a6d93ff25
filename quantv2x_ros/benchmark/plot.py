# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A benchmark as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes


def save_plot(result: dict[str, Any], path: Path) -> None:
    """Draw stages, scaling and roofline of a benchmark's result.

    Args:
        result: as the benchmark writes it.
        path: PNG, SVG or PDF file.
    """
    figure, axes = pyplot.subplots(2, 3, figsize=(15, 8.5), layout="constrained")
    machine = result["machine"]
    figure.suptitle(
        f"{machine['processor']}, {machine['instruction_set']}, {machine['threads']} threads; "
        f"{result['agents_of_stages']} agents, {result['points']} points each; medians",
        fontsize=10,
    )
    _stages(axes[0, 0], result)
    _agents(axes[0, 1], result)
    _roofline(axes[0, 2], result)
    scaling = result.get("scaling", {})
    _growth(axes[1, 0], scaling.get("points"), "points", ("encoder", "encoder.pillars"))
    _growth(axes[1, 1], scaling.get("range"), "range in x [m]", ("frame", "encoder", "fusion"))
    _candidates(axes[1, 2], scaling.get("candidates"))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _stages(axes: Axes, result: dict[str, Any]) -> None:
    axes.set_title("stages")
    names = list(result["stages"])
    for offset, side in ((-0.2, "ours"), (0.2, "torch_fp32")):
        rows = [result["stages"][name].get(side) for name in names]
        heights = [row["p50"] if row else 0.0 for row in rows]
        axes.bar([i + offset for i in range(len(names))], heights, 0.4, label=side)
    for index, name in enumerate(names):
        ratio = result["stages"][name].get("ratio")
        if ratio:
            top = result["stages"][name]["torch_fp32"]["p50"]
            axes.annotate(f"{ratio:.1f}x", (index + 0.2, top), ha="center", va="bottom")
    axes.set_xticks(range(len(names)), names)
    axes.set_yscale("log")
    axes.set_ylabel("ms")
    axes.margins(y=0.25)
    axes.legend(loc="upper left")


def _agents(axes: Axes, result: dict[str, Any]) -> None:
    axes.set_title("whole frame, by agents")
    axes.set_xlabel("agents")
    axes.set_ylabel("ms")
    grown = result.get("scaling", {}).get("agents")
    own = grown or {number: row["ours"] for number, row in result["agents"].items()}
    medians = [row["frame"]["p50"] for row in own.values()]
    axes.plot([int(number) for number in own], medians, "o-", label="ours")
    rows = {
        int(n): row["torch_fp32"]["frame"]
        for n, row in result["agents"].items()
        if row.get("torch_fp32")
    }
    if rows:
        axes.plot(list(rows), [row["p50"] for row in rows.values()], "s-", label="torch_fp32")
    axes.set_ylim(bottom=0)
    axes.legend()


def _roofline(axes: Axes, result: dict[str, Any]) -> None:
    axes.set_title("roofline, counting whole maps")
    ceilings = result["roofline"]["ceilings"]
    peak, traffic = ceilings["int8_gmacs_per_second"], ceilings["memory_gb_per_second"]
    intensities = [0.1, peak / traffic, 1e5]
    axes.plot(intensities, [min(peak, traffic * x) for x in intensities], "k-")
    for name, row in result["roofline"]["stages"].items():
        axes.plot(row["macs_per_byte"], row["gmacs_per_second"], "o")
        axes.annotate(name, (row["macs_per_byte"], row["gmacs_per_second"]), fontsize=8)
    axes.set(xscale="log", yscale="log", xlabel="MAC a byte", ylabel="GMAC/s")


def _growth(axes: Axes, rows: dict[str, Any] | None, label: str, stages: tuple[str, ...]) -> None:
    axes.set_title(f"growth with {label}")
    axes.set_xlabel(label)
    axes.set_ylabel("ms")
    if not rows:
        axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes)
        return
    places = [float(name) for name in rows]
    for stage in stages:
        tables = [row.get("stages", row) for row in rows.values()]
        axes.plot(places, [table[stage]["p50"] for table in tables], "o-", label=stage)
    axes.set_ylim(bottom=0)
    axes.legend()


def _candidates(axes: Axes, rows: dict[str, Any] | None) -> None:
    axes.set_title("suppression")
    axes.set_xlabel("candidates")
    axes.set_ylabel("ms")
    if not rows:
        return
    for side in ("ours", "torch_fp32"):
        known = {int(n): row[side]["p50"] for n, row in rows.items() if row.get(side)}
        if known:
            axes.plot(list(known), list(known.values()), "o-", label=side)
    axes.set_yscale("log")
    axes.legend()
