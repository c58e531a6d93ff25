# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bundles and golden vectors that the tests of inference share."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.inference.model.bundle import ModelBundle

#: Squared distances closer than this are a near tie (README of the golden data).
NEAR_TIE = 1e-4


@dataclass(frozen=True)
class Golden:
    """Deterministic weights, inputs, and the published model's results on them."""

    state: dict[str, npt.NDArray[Any]]
    inputs: dict[str, npt.NDArray[Any]]
    small: dict[str, npt.NDArray[Any]]

    @property
    def grid(self) -> BevGrid:
        return BevGrid(tuple(self.inputs["range_small"]), tuple(self.inputs["voxel_size"]))

    @property
    def clouds(self) -> list[npt.NDArray[np.float32]]:
        return [self.inputs[f"points_{agent}"] for agent in range(3)]

    @property
    def ego_to_agent(self) -> npt.NDArray[np.float64]:
        transforms: npt.NDArray[np.float64] = self.inputs["pairwise_t_matrix"][0, 0, :3]
        return transforms

    @property
    def codes(self) -> npt.NDArray[np.uint8]:
        """(3 agents, 3 levels, H, W)."""
        return np.stack([self.small[f"codes_{level}"] for level in range(3)], axis=1)

    def decided(self) -> npt.NDArray[np.bool_]:
        """Where neither this level nor an earlier one is a near tie, (3 agents, 3 levels, H, W)."""
        margins = np.stack([self.small[f"margin_{level}"] for level in range(3)], axis=1)
        decided: npt.NDArray[np.bool_] = np.logical_and.accumulate(
            margins.astype(np.float32) >= NEAR_TIE, axis=1
        )
        return decided


@pytest.fixture(scope="session")
def golden(shared_dir: Path) -> Golden:
    folder = shared_dir / "golden"
    spec = importlib.util.spec_from_file_location("golden_fill", folder / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with np.load(folder / "inputs.npz") as inputs, np.load(folder / "small.npz") as small:
        return Golden(module.build_state(folder / "weights.json"), dict(inputs), dict(small))


@pytest.fixture(scope="session")
def int8_bundle(random_bundle: Callable[..., Path]) -> ModelBundle:
    return ModelBundle.load(random_bundle(seed=3))


@pytest.fixture(scope="session")
def fp32_bundle(random_bundle: Callable[..., Path]) -> ModelBundle:
    return ModelBundle.load(random_bundle(seed=3, precision="fp32"))
