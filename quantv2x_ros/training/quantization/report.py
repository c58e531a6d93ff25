# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Prints what quantization came to."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def print_report(report: dict[str, Any]) -> None:
    """Print size, operations and, where measured, mean average precision."""
    console = Console()
    table = Table(title=f"{report['cost']['agents']} agents")
    table.add_column("")
    for title in ("size [MB]", "GMAC", "TBOPS"):
        table.add_column(title, justify="right")
    for name in ("fp32", report["precision"]):
        row = report["cost"][name]
        values = (f"{row['size_MB']:.2f}", f"{row['GMAC']:.1f}", f"{row['TBOPS']:.2f}")
        table.add_row(name, *values)
    console.print(table)
    if "sensitivity" in report:
        table = Table(title="each part quantized alone, in simulation")
        for title in ("part", "mAP, IoU 0.3", "boxes as in FP32"):
            table.add_column(title, justify="left" if title == "part" else "right")
        for row in report["sensitivity"]:
            share = f"{100 * row['boxes']['same_share']:.1f} %"
            table.add_row(row["part"], f"{row['mAP']['0.3']:.3f}", share)
        console.print(table)
    if "measured" in report:
        measured = report["measured"]
        table = Table(title=f"mAP over {measured['fp32']['frames']} frames")
        table.add_column("")
        for threshold in measured["fp32"]["mAP"]:
            table.add_column(f"IoU {threshold}", justify="right")
        for name in ("fp32", report["precision"]):
            table.add_row(name, *(f"{value:.3f}" for value in measured[name]["mAP"].values()))
        console.print(table)
        boxes = measured["exported against simulated"]["boxes"]
        console.print(
            f"{100 * boxes['same_share']:.1f} % of the simulation's boxes come out of the engines"
        )
