# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Findings about a dataset on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from quantv2x_ros.doctor.census import Census


def print_census(census: Census, console: Console | None = None) -> None:
    """Print what a dataset holds, what is odd, and what is broken."""
    console = console or Console(soft_wrap=True)
    found = census.as_dict()
    table = Table(title=str(census.root))
    table.add_column("")
    table.add_column("number", justify="right")
    splits = ", ".join(f"{name or 'no split'} {count}" for name, count in found["splits"].items())
    rows = [
        (f"scenarios ({splits})" if splits else "scenarios", found["scenarios"]),
        *((f"agents: {kind}", count) for kind, count in found["agents"].items()),
        ("frames", found["frames"]),
        *((f"frames of {n} agents", count) for n, count in found["agents_per_frame"].items()),
        *((f"frames for mode {mode}", count) for mode, count in found["frames_by_mode"].items()),
        ("sweeps", found["agent_frames"]),
        ("points", found["points"]),
        *((f"{name}: labels", row["labels"]) for name, row in found["objects"].items()),
        *((f"{name}: objects", row["objects"]) for name, row in found["objects"].items()),
        *((f"ignored: {name}", count) for name, count in found["ignored_types"].items()),
        ("broken", len(census.broken)),
    ]
    for name, count in rows:
        table.add_row(name, f"{count:,}")
    console.print(table)
    for note in found["notes"]:
        console.print(f"note: {note}", markup=False, highlight=False)
    for error in census.broken:
        console.print(f"broken: {error}", markup=False, highlight=False)
