# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`choose-thresholds`: from which score on a bundle gives boxes of each class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantv2x_ros.commands._options import Backend, BundleFolder, Threads

Data = Annotated[Path, typer.Option(help="Dataset that the bundle was not trained on.")]
Precision = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="Share of a class's boxes that shall be right at BEV IoU 0.5: the lowest threshold"
        " that reaches it. Without it, and where none does: the best F1.",
    ),
]


def command(
    bundle: BundleFolder,
    data: Data,
    precision: Precision = None,
    backend: Backend = "auto",
    threads: Threads = 0,
) -> None:
    """Choose the scores from which a bundle gives boxes of each class; the codebook id stays."""
    from rich.console import Console
    from rich.table import Table

    from quantv2x_ros.environment.progress import counted
    from quantv2x_ros.evaluation.thresholds import choose_thresholds, install_thresholds
    from quantv2x_ros.inference.model.bundle import ModelBundle

    before = ModelBundle.load(bundle)
    with counted("Evaluating") as progress:
        chosen = choose_thresholds(before, data, precision, backend, threads, progress)
    install_thresholds(bundle, chosen)
    table = Table(title=f"{bundle}: boxes are given above these scores")
    for column in ("class", "threshold", "before", "precision", "recall", "F1"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for (name, point), old in zip(
        chosen.items(), before.detection.thresholds(len(before.classes)), strict=True
    ):
        rates = (point.precision, point.recall, point.f1)
        table.add_row(name, f"{point.threshold:.2f}", f"{old:.2f}", *(f"{r:.3f}" for r in rates))
    Console(soft_wrap=True).print(table)
