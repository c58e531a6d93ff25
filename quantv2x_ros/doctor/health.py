# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Examines a bundle's channels: which never fire, and what its engines multiply."""

from __future__ import annotations

from quantv2x_ros.doctor.findings import OK, WARNING, Finding
from quantv2x_ros.environment.resources import find_bundle
from quantv2x_ros.inference.model.health import MOST_SILENT, Health

#: Layers that are named; the others are counted.
_NAMED = 3


def health(bundle: str) -> list[Finding]:
    """Examine a bundle; nothing of one that cannot be read.

    Args:
        bundle: folder or name; empty for the default one.

    Returns:
        A finding for each engine, or one that says why there is none.
    """
    from quantv2x_ros.inference.model.bundle import ModelBundle

    try:
        loaded = ModelBundle.load(find_bundle(bundle))
    except (ValueError, OSError):
        return []  # `model` says why
    record = loaded.manifest.health
    if record is None:
        return [
            Finding(
                OK,
                "health",
                f"{loaded.name} has no record of channels that never fire: it was exported before"
                " there was one, or without frames",
            )
        ]
    height, width = loaded.grid.shape
    return [_of_engine(engine, record, height * width) for engine in record.operations]


def _of_engine(engine: str, record: Health, cells: int) -> Finding:
    part, operations = record.part(engine), record.operations[engine]
    times = "frame" if engine == "head" else "frame and agent"
    text = (
        f"{part.never_fired} of {part.channels} channels never fired on {record.frames} frames"
        f" ({part.doubtful} doubtful, {part.left_out} left out);"
        f" {operations.computed / cells / 1e3:,.1f} thousand multiply-accumulates a cell,"
        f" {operations.computed / 1e9:.2f} G a {times}"
    )
    if operations.computed < operations.trained:
        text += f" instead of {operations.trained / 1e9:.2f} G"
    silent = {
        name: layer
        for name, layer in record.layers.items()
        if name.startswith(f"{engine}/") and layer.share > MOST_SILENT
    }
    if not silent:
        return Finding(OK, f"health of {engine}", text)
    worst = sorted(silent, key=lambda name: -silent[name].share)
    named = ", ".join(
        f"{name.partition('/')[2]} {silent[name].never_fired} of {silent[name].channels}"
        for name in worst[:_NAMED]
    )
    more = f" and {len(worst) - _NAMED} more layers" if len(worst) > _NAMED else ""
    return Finding(
        WARNING,
        f"health of {engine}",
        f"{text}; {named}{more}",
        'train it alive: docs/training.md, "Channels that never fire"',
    )
