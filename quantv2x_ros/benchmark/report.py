# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A benchmark's result for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def print_result(result: dict[str, Any]) -> None:
    """Print the stages of both sides, the growth with agents, and the roofline."""
    console = Console()
    _print_machine(console, result["machine"])
    stages = Table(title=f"{result['agents_of_stages']} agents, {result['points']} points, ms")
    for name in ("stage", "p50", "p95", "p99", "torch p50", "p95", "ratio"):
        stages.add_column(name, justify="left" if name == "stage" else "right", overflow="fold")
    for name, row in result["stages"].items():
        own, other = row["ours"], row["torch_fp32"]
        theirs = [f"{other[p]:.1f}" for p in ("p50", "p95")] if other else ["", ""]
        ratio = f"{row['ratio']:.1f}" if "ratio" in row else ""
        stages.add_row(name, *(f"{own[p]:.2f}" for p in ("p50", "p95", "p99")), *theirs, ratio)
    for name, own in result["finer_stages"].items():
        if "." in name:
            stages.add_row(f"  {name}", *(f"{own[p]:.2f}" for p in ("p50", "p95", "p99")))
    console.print(stages)
    memory = result["peak_memory_mb"]
    console.print("peak memory [MB]: " + "; ".join(f"{k} {v}" for k, v in memory.items()))
    bounds = Table(title=f"roofline: {result['roofline']['ceilings']}")
    for name in ("stage", "GMAC", "MB", "least ms", "bound", "measured ms", "share"):
        bounds.add_column(name, justify="left" if name == "stage" else "right")
    for name, row in result["roofline"]["stages"].items():
        bounds.add_row(
            name,
            f"{row['macs'] / 1e9:.2f}",
            f"{row['bytes'] / 1e6:.1f}",
            f"{row['least_ms']:.2f}",
            row["bound"],
            f"{row['measured_ms']:.2f}",
            f"{row['share_of_ceiling']:.2f}",
        )
    console.print(bounds)


def print_nodes(result: dict[str, Any]) -> None:
    """Print what was seen of running nodes, run by run."""
    console = Console()
    _print_machine(console, result["machine"])
    for nodes in result["runs"]:
        _print_run(console, nodes)


def _print_run(console: Console, nodes: dict[str, Any]) -> None:
    came = f"{nodes['input_hz']:g} sweeps a second in, {nodes['rate_hz']:.2f}"
    if "sent" in nodes:
        console.print(f"{came} out: {nodes['sent']} of {nodes['sweeps']} were sent")
    else:
        console.print(
            f"{nodes['agents']} agents, {came} fused frames a second out: {nodes['fused']} of "
            f"{nodes['sweeps']} sweeps, {nodes['fused_with_peers']} with peers"
        )
    table = Table(title="as another node sees it, ms")
    for name in ("from to", "p50", "p95", "p99"):
        table.add_column(name, justify="left" if name == "from to" else "right")
    for name, row in nodes.items():
        if name.endswith("_ms"):
            words = name.removesuffix("_ms").replace("_", " ")
            table.add_row(words, *(f"{row[p]:.1f}" for p in ("p50", "p95", "p99")))
    console.print(table)


def _print_machine(console: Console, machine: dict[str, Any]) -> None:
    console.print(
        f"{machine['processor']}, {machine['instruction_set']}, {machine['threads']} threads, "
        f"load {machine['load_average_at_start']} at the start"
    )
