# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`build-engine`: builds a bundle's engines ahead of the first sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quantv2x_ros.commands._options import Bundle


def command(
    bundle: Bundle = "",
    backend: Annotated[str, typer.Option(help="Engine: tensorrt or openvino.")] = "tensorrt",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for TensorRT plans; by default the user's cache."),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="JSON file for sizes, times and precisions of all layers.")
    ] = None,
) -> None:
    """Build a bundle's engines, and print in which precision their layers run."""
    import json as json_module

    from rich.progress import Progress

    from quantv2x_ros.environment.resources import find_bundle
    from quantv2x_ros.inference.engine_set import build_engines
    from quantv2x_ros.inference.model.bundle import ModelBundle

    loaded = ModelBundle.load(find_bundle(bundle))
    with Progress() as bar:
        tasks: dict[str, object] = {}

        def report(engine: str, fraction: float, phase: str) -> None:
            if engine not in tasks:
                tasks[engine] = bar.add_task(engine, total=1.0)
            bar.update(tasks[engine], completed=fraction)  # type: ignore[arg-type]

        built = build_engines(loaded, backend, out, report)
    for name, facts in built.items():
        print(f"{name}: {facts['text']}")
    if json is not None:
        json.write_text(json_module.dumps(built, indent=1), encoding="utf-8")
