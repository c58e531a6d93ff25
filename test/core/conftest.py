# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Golden vectors: deterministic weights, inputs and the published model's results on them."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import settings

from quantv2x_ros.core.codebook.codebook import ResidualCodebook
from quantv2x_ros.core.coding import index_kernels as index_context
from quantv2x_ros.core.coding.index_model import IndexModel, first_table
from quantv2x_ros.core.geometry.grid import BevGrid

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


def random_index_model(planes: int, size: int, seed: int) -> IndexModel:
    """A model with random trees and weights: it compresses nothing, but must lose nothing."""
    generator = np.random.default_rng(seed)
    background = generator.integers(0, size, planes).astype(np.uint8)
    tables = generator.integers(-99, 99, (first_table(planes), size + 1, index_context.HIDDEN))
    at = 0
    for plane in range(planes):
        seen = [plane] * index_context.OWN
        seen += [e for e in range(plane) for _ in range(index_context.EARLIER)]
        for other in seen:
            tables[at, background[other]] = 0
            at += 1
    weights = generator.integers(-300, 300, (planes, size - 1, index_context.HIDDEN))
    return IndexModel(
        tables=tables.astype(np.int16),
        hidden_bias=generator.integers(-300, 300, (planes, index_context.HIDDEN)).astype(np.int16),
        weights=weights.astype(np.int16),
        weight_bias=generator.integers(-(1 << 18), 1 << 18, (planes, size - 1)).astype(np.int32),
        children=np.stack([_random_tree(size, generator) for _ in range(planes)]),
        background=background,
        occupancy=generator.normal(size=(planes, size)).astype(np.float32),
    )


def _random_tree(size: int, generator: np.random.Generator) -> npt.NDArray[np.int16]:
    children = np.zeros((size - 1, 2), np.int16)
    waiting = [(-1, 0, generator.permutation(size))]
    branch = 0
    while waiting:
        parent, bit, codes = waiting.pop(int(generator.integers(len(waiting))))
        if len(codes) == 1:
            children[parent, bit] = ~int(codes[0])
            continue
        if parent >= 0:
            children[parent, bit] = branch
        cut = int(generator.integers(1, len(codes)))
        waiting += [(branch, 0, codes[:cut]), (branch, 1, codes[cut:])]
        branch += 1
    return children


@pytest.fixture(scope="session")
def index_model() -> Callable[[int, int, int], IndexModel]:
    """Makes random models from planes, codes and a seed; each once."""
    return functools.cache(random_index_model)
