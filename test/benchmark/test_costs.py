# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an engine costs at least is counted from its file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from quantv2x_ros.benchmark.roofline import engine_cost, engine_shapes
from quantv2x_ros.inference.model.bundle import ModelBundle


def test_the_default_bundle_costs_what_its_manifest_says(repository: Path) -> None:
    bundle = ModelBundle.load(repository / "engines/default")
    shapes = engine_shapes(bundle)
    operations = bundle.manifest.health.operations
    encoder = engine_cost(bundle.engine_path("encoder"), shapes["encoder.encoder"])
    pyramid = engine_cost(bundle.engine_path("pyramid"), shapes["fusion.pyramid_per_agent"])
    assert encoder.macs == operations["encoder"].computed
    assert pyramid.macs == operations["pyramid"].computed
    assert encoder.macs + 2 * pyramid.macs < 6e9
    assert encoder.border_bytes > 200 * 704 * 32
    assert encoder.map_bytes > encoder.border_bytes


def test_groups_are_widened_with_zeros(random_bundle: Callable[..., Path]) -> None:
    bundle = ModelBundle.load(random_bundle(seed=3))
    shape = engine_shapes(bundle)["fusion.pyramid_per_agent"]
    pyramid = engine_cost(bundle.engine_path("pyramid"), shape)
    assert pyramid.computed_macs > 2 * pyramid.macs
