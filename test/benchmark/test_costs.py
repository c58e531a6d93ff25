# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an engine costs at least is counted from its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantv2x_ros.benchmark.roofline import engine_cost, engine_shapes
from quantv2x_ros.inference.model.bundle import ModelBundle


def test_the_default_bundle_costs_what_the_network_costs(repository: Path) -> None:
    bundle = ModelBundle.load(repository / "engines/default")
    shapes = engine_shapes(bundle)
    encoder = engine_cost(bundle.engine_path("encoder"), shapes["encoder.encoder"])
    pyramid = engine_cost(bundle.engine_path("pyramid"), shapes["fusion.pyramid_per_agent"])
    assert encoder.macs == pytest.approx(7.9e9, rel=0.01)
    assert pyramid.macs == pytest.approx(12.5e9, rel=0.01)
    assert pyramid.computed_macs > 2 * pyramid.macs  # groups are widened with zeros
    assert encoder.border_bytes > 200 * 704 * 64
    assert encoder.map_bytes > encoder.border_bytes
