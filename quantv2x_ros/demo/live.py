# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The live view in the terminal: rate, objects, bytes by agent, latency by stage."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from quantv2x_ros.demo.observer import Observer

#: Stages in the order in which a sweep goes through them; others follow by name.
_ORDER = (
    "convert",
    "pillars",
    "encoder",
    "codebook",
    "wire",
    "total",
    "pyramid, ego",
    "pyramids, peers",
    "warp",
    "head",
    "detection",
    "contributions",
    "fusion",
    "publish",
    "sweep to objects",
)


def live_view(observer: Observer, names: Mapping[int, str], heading: str) -> RenderableType:
    """Return what the terminal shows now.

    Args:
        observer: what has been heard.
        names: agents by station id, the ego first.
        heading: one line about what is played.
    """
    parts: list[RenderableType] = [
        Text(headline(observer), style="bold"),
        _stations(observer, names),
        _stages(observer),
    ]
    drops = observer.drops()
    if drops:
        text = "\n".join(f"{name}: {value}" for name, value in sorted(drops.items()))
        parts.append(Text(f"dropped\n{text}", style="yellow"))
    return Panel(Group(*parts), title=heading, title_align="left")


def headline(observer: Observer) -> str:
    """Return rate and objects in one line, also for logs."""
    newest = observer.newest()
    if newest is None:
        return "loading the model and waiting for the first objects …"
    classes = ", ".join(f"{count} {name}" for name, count in observer.classes().most_common())
    rate = observer.rate.rate(time.monotonic())
    return (
        f"{rate:4.1f} Hz   {len(newest.objects)} objects ({classes or 'none'})   "
        f"{len(newest.contributing_stations)} agents fused   {observer.frames} frames"
    )


def _stations(observer: Observer, names: Mapping[int, str]) -> Table:
    """A line for each agent: its sweeps and its bytes."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for title in ("agent", "station", "sweeps/s", "bytes a frame", "kbit/s", "age [ms]"):
        table.add_column(Text(title), justify="left" if title == "agent" else "right")
    fusion = next((v for k, v in observer.diagnostics.items() if k.endswith("/fusion")), {})
    for place, (station, name) in enumerate(names.items()):
        heard = observer.stations.get(station)
        if heard is None:
            table.add_row(name, str(station), "-", "-", "-", "-")
            continue
        rate = heard.rate.rate(time.monotonic())
        table.add_row(
            f"{name} (ego)" if place == 0 else name,
            str(station),
            f"{rate:.1f}",
            f"{heard.last_bytes:,}",
            f"{8e-3 * rate * heard.last_bytes:,.0f}",
            fusion.get(f"station {station} age [ms]", "-"),
        )
    return table


def _stages(observer: Observer) -> Table:
    """Median and 95th percentile of every stage, the nodes side by side."""
    nodes = sorted(observer.stages().items())
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column(Text("latency [ms], median / 95 %"))
    for name, _ in nodes:
        table.add_column(name, justify="right")
    known = {stage for _, stages in nodes for stage in stages}
    for stage in [*(s for s in _ORDER if s in known), *sorted(known - set(_ORDER))]:
        cells = [
            f"{stages[stage][0]:.1f} / {stages[stage][1]:.1f}" if stage in stages else ""
            for _, stages in nodes
        ]
        table.add_row(stage, *cells)
    return table
