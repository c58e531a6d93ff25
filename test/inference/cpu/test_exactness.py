# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""INT8 layers are integer arithmetic, whatever the processor multiplies bytes with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from quantv2x_ros.core.weight_grid import ACTIVATION_LIMIT, PAIR_LIMIT, WEIGHT_LIMITS
from quantv2x_ros.inference.cpu.engine import OpenVinoEngine
from quantv2x_ros.inference.cpu.exactness import share_of_wrong_sums
from quantv2x_ros.inference.cpu.processor import exact_weights
from quantv2x_ros.inference.cpu.row_parts import ROWS, RowPart
from quantv2x_ros.training.graphs.graph import Convolution, LayerGraph, TensorSpec
from quantv2x_ros.training.graphs.onnx_writer import GraphBuilder, graph_model
from quantv2x_ros.training.graphs.scales import QuantizedWeight, TensorScale

LIMIT = WEIGHT_LIMITS[8]
CELLS = 12
#: Input channels, groups, kernel and stride of the network's kinds of layers.
LAYERS = [
    (64, 1, 1, 1),
    (384, 1, 1, 1),
    (64, 1, 3, 1),
    (64, 1, 3, 2),
    (256, 4, 3, 1),
    (32, 2, 3, 1),
]
#: Signs of the weights along their input channels.
SIGNS = {"all positive": [1], "all negative": [-1], "in turn": [1, -1], "in pairs": [1, 1, -1, -1]}


def kernel(channels: int, groups: int, size: int, signs: list[int]) -> npt.NDArray[np.int8]:
    """Weights at the ends of the grid, (64, channels / groups, size, size)."""
    width = channels // groups
    along = np.resize(signs, width) * LIMIT
    return np.broadcast_to(along[None, :, None, None], (64, width, size, size)).astype(np.int8)


def sums(
    values: npt.NDArray[np.uint8], weights: npt.NDArray[np.int8], groups: int, stride: int
) -> npt.NDArray[np.int64]:
    """Convolve (H, W, C) in integers, with a border of zeros: (H', W', O)."""
    out, width, size, _ = weights.shape
    edge = size // 2
    padded = np.pad(values.astype(np.int64), ((edge, edge), (edge, edge), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))
    windows = windows[::stride, ::stride]
    parts = [
        np.einsum(
            "hwiyx,oiyx->hwo",
            windows[:, :, group * width : (group + 1) * width],
            weights[group * out // groups : (group + 1) * out // groups].astype(np.int64),
        )
        for group in range(groups)
    ]
    return np.concatenate(parts, axis=-1)


def integers(name: str, source: str, weights: npt.NDArray[Any], **how: Any) -> Convolution:
    """A convolution of integers without bias or ReLU, from ``source`` to ``name``."""
    real, bias = weights.astype(np.float32), np.zeros(len(weights), np.float32)
    return Convolution(name, source, name, real, bias, relu=False, **how)


def file_of(
    path: Path, nodes: list[Convolution], scales: dict[str, TensorScale], rounded: list[str]
) -> Path:
    """A file of some convolutions of ``x``, of which the rounded have weights of scale 1."""
    last = nodes[-1]
    graph = LayerGraph(
        "some",
        (TensorSpec("x", nodes[0].weight.shape[1]),),
        tuple(nodes),
        (TensorSpec(last.target, len(last.weight)),),
    )
    weights = {
        node.name: QuantizedWeight(node.weight.astype(np.int8), np.ones_like(node.bias))
        for node in nodes
        if node.name in rounded
    }
    onnx.save(graph_model(graph, GraphBuilder(scales, weights)), path)
    return path


def run_layer(
    path: Path, values: npt.NDArray[Any], weights: npt.NDArray[np.int8], **how: Any
) -> npt.NDArray[np.float32]:
    """Convolve (H, W, C) integers in an engine, which rounds them to 8 bits before."""
    channels = values.shape[-1]
    same = np.eye(channels)[:, :, None, None]
    nodes = [integers("q", "x", same), integers("c", "q", weights, **how)]
    scale = TensorScale(1.0, signed=bool(values.min() < 0))
    engine = OpenVinoEngine(
        file_of(path, nodes, {"q": scale}, ["c"]), {"x_nhwc": (1, *values.shape)}, threads=1
    )
    kinds = engine.layer_precisions()
    assert {kind for name, kind in kinds.items() if name.startswith("c.")} <= {"I8", "i8"}, kinds
    assert len(kinds) == 2
    found = engine.run({"x_nhwc": values[None].astype(np.float32)})["c_nhwc"][0]
    return np.array(found)


@pytest.mark.parametrize("name", sorted(SIGNS))
@pytest.mark.parametrize(("channels", "groups", "size", "stride"), LAYERS)
def test_layers_equal_int64_at_both_ends(
    tmp_path: Path, channels: int, groups: int, size: int, stride: int, name: str
) -> None:
    weights = kernel(channels, groups, size, SIGNS[name])
    values = np.full((CELLS, CELLS, channels), ACTIVATION_LIMIT, np.uint8)
    values[: CELLS // 2] = np.random.default_rng(0).integers(0, 256, values[: CELLS // 2].shape)
    found = run_layer(tmp_path / "one.onnx", values, weights, groups=groups, stride=stride)
    # float32 rounds what is beyond 2**24, to the nearest
    expected = sums(values, weights, groups, stride).astype(np.float32)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", sorted(SIGNS))
def test_signed_activations_equal_int64_too(tmp_path: Path, name: str) -> None:
    weights = kernel(64, 1, 1, SIGNS[name])
    values = np.random.default_rng(0).choice([-128, 127], (CELLS, CELLS, 64)).astype(np.int8)
    values[0], values[1] = -128, 127
    found = run_layer(tmp_path / "one.onnx", values, weights)
    expected = values.astype(np.int64) @ weights[:, :, 0, 0].T.astype(np.int64)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["all positive", "in pairs"])
def test_rows_equal_int64_at_both_ends(tmp_path: Path, name: str) -> None:
    """The first shrink convolution's size; powers of two make its step exact as well."""
    weights, step = kernel(384, 1, 3, SIGNS[name]), 2.0**18
    last = kernel(64, 1, 1, [1])
    same = np.eye(384)[:, :, None, None]
    nodes = [integers("q", "x", same), integers("c", "q", weights), integers("d", "c", last)]
    scales = {"q": TensorScale(1.0), "c": TensorScale(step)}
    path = file_of(tmp_path / "rows.onnx", nodes, scales, ["c", "d"])
    rows = np.full((32, 9 * 384), ACTIVATION_LIMIT, np.uint8)
    rows[:16] = np.random.default_rng(0).integers(0, 256, rows[:16].shape)
    engine = OpenVinoEngine(path, {ROWS: (1, 1, *rows.shape)}, 1, 1, RowPart("rows", "q.q", "c"))
    assert set(engine.layer_precisions().values()) == {"I8"}
    found = engine.run({ROWS: rows[None, None]})["d_nhwc"][0, 0]
    flat = weights.transpose(0, 2, 3, 1).reshape(64, -1).astype(np.int64)
    inner = np.clip(np.rint((rows.astype(np.int64) @ flat.T) / step), 0, 255)
    np.testing.assert_array_equal(found, step * (inner @ last[:, :, 0, 0].T.astype(np.int64)))


def test_the_grid_is_measured_to_be_exact_and_wider_weights_as_the_processor_is() -> None:
    assert share_of_wrong_sums(LIMIT) == 0.0
    assert share_of_wrong_sums(PAIR_LIMIT) == 0.0
    assert (share_of_wrong_sums(127) > 0.5) == (exact_weights() < 127)


@pytest.mark.parametrize("isa", ["AVX2", "AVX512_CORE"])
def test_all_of_it_holds_where_onednn_is_held_to_less(isa: str, repository: Path) -> None:
    environment: dict[str, Any] = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa}
    environment.pop("PYTEST_ADDOPTS", None)  # of this run, as colcon gives them
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    chosen = "int64 or measured"
    result = subprocess.run(
        [*command, str(Path(__file__)), "-k", chosen],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert "passed" in result.stdout
    assert "skipped" not in result.stdout
