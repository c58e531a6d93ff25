# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Golden vectors: deterministic weights, inputs and the published model's results on them."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import settings

from quantv2x_ros.core.codebook import ResidualCodebook
from quantv2x_ros.core.grid import BevGrid

# An example's first call may compile a Numba kernel for seconds; time is not what is tested.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def golden_dir(shared_dir: Path) -> Path:
    return shared_dir / "golden"


@pytest.fixture(scope="session")
def golden(golden_dir: Path) -> Mapping[str, npt.NDArray[Any]]:
    """Every intermediate result at the small range."""
    return np.load(golden_dir / "small.npz")


@pytest.fixture(scope="session")
def golden_inputs(golden_dir: Path) -> Mapping[str, npt.NDArray[Any]]:
    return np.load(golden_dir / "inputs.npz")


@pytest.fixture(scope="session")
def golden_state(golden_dir: Path) -> Mapping[str, npt.NDArray[Any]]:
    """All weights by published name; each is checked against its hash as it is made."""
    spec = importlib.util.spec_from_file_location("golden_fill", golden_dir / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build_state(str(golden_dir / "weights.json"))


@pytest.fixture(scope="session")
def golden_codebook(golden_state: Mapping[str, npt.NDArray[Any]]) -> ResidualCodebook:
    return ResidualCodebook.from_layers(golden_state)


@pytest.fixture(scope="session")
def golden_grid(golden_inputs: Mapping[str, npt.NDArray[Any]]) -> BevGrid:
    return BevGrid(tuple(golden_inputs["range_small"]), tuple(golden_inputs["voxel_size"]))
