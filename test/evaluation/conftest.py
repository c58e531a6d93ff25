# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulated dataset and bundles with random weights: real engines, boxes without meaning."""

from pathlib import Path

import pytest

from quantv2x_ros.data.simulator import write_scenario


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """Two scenes of three agents, three frames each."""
    root = tmp_path_factory.mktemp("dataset")
    for seed in (3, 4):
        write_scenario(root / "test" / f"scene_{seed}", seed=seed, frames=3, agents=3)
    return root


@pytest.fixture(scope="session")
def bundles(tmp_path_factory) -> dict[str, Path]:
    """The same network as an INT8 and as an FP32 bundle."""
    pytest.importorskip("torch", reason="bundles are exported with torch")
    from quantv2x_ros.training.export.random_bundle import build_random_bundle

    root = tmp_path_factory.mktemp("bundles")
    return {
        precision: build_random_bundle(root / precision, seed=1, precision=precision).folder
        for precision in ("int8", "fp32")
    }
