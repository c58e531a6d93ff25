# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bundles with random weights: real engines, boxes without meaning."""

from pathlib import Path

import pytest


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
