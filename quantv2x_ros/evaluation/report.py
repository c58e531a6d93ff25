# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Results as JSON files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def write_json(path: str | Path, result: Any) -> None:
    """Write a result; numbers that are not finite become null, as JSON demands.

    Args:
        path: The file; its folder is made where it does not exist.
        result: Dictionaries, lists, texts and numbers.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_plain(result), indent=2, ensure_ascii=False, allow_nan=False)
    target.write_text(text + "\n", encoding="utf-8")


def print_precision(result: dict[str, Any]) -> None:
    """Print an evaluation's average precision as a table."""
    thresholds = list(result["mAP"])
    table = Table(title=f"AP over {result['frames']} frames, {result['precision']}")
    table.add_column("class")
    for threshold in thresholds:
        table.add_column(f"IoU {threshold}", justify="right")
    for name, row in {**result["AP"], "mean": result["mAP"]}.items():
        table.add_row(name, *(f"{row[threshold]:.3f}" for threshold in thresholds))
    console = Console(soft_wrap=True)
    console.print(table)
    if mean := result.get("intervals", {}).get("mean"):
        bounds = ", ".join(
            f"{low:.3f} to {high:.3f} (IoU {iou})" for iou, (low, high) in mean.items()
        )
        console.print(f"mean on other scenes, 95 %: {bounds}", highlight=False)
    console.print(
        f"{result['bytes_per_frame']:.0f} bytes a message, "
        f"{result['airtime_its_g5_6']:.1%} of the time on the air of ITS-G5 at 6 Mbit/s at 10 Hz "
        "(the law allows 3 %)"
    )
    if unlawful := result.get("air", {}).get("unlawful"):
        console.print(
            f"note: {unlawful} of {result['air']['sent']} messages were not sent, since they break "
            f"the law of {result['channel']['radio']}; set sending.radio",
            markup=False,
            highlight=False,
        )
    for note in result.get("notes", []):
        console.print(f"note: {note}", markup=False, highlight=False)
    for skipped in result.get("skipped", []):
        console.print(f"left out: {skipped}", markup=False, highlight=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
