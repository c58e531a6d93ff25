# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint to a quantized bundle and a report, by the command; what it costs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.data.v2x_real import write_agent_frame
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.results.kinds import KINDS
from quantv2x_ros.training.checkpoint import save_checkpoint
from quantv2x_ros.training.export.random_bundle import (
    SMALL_RANGE,
    VOXEL,
    random_cloud,
    random_frames,
    random_network,
)
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.graphs.scales import QuantizationError
from quantv2x_ros.training.pyramid import SCALES
from quantv2x_ros.training.quantization.calibration import calibrate
from quantv2x_ros.training.quantization.post_training import (
    QuantizationConfig,
    quantize_network,
)
from quantv2x_ros.training.quantization.simulation import CalibrationFrame
from quantv2x_ros.training.quantization.workflow import network_cost

GRID = BevGrid(SMALL_RANGE, VOXEL)
TINY = BevGrid((-12.8, -12.8, -5.0, 12.8, 12.8, 1.0), VOXEL)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "network.safetensors"
    save_checkpoint(random_network(7, TINY), path)
    return path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for number, agent in enumerate(("1", "2")):
        for stamp in range(2):
            write_agent_frame(
                root / "scene" / agent,
                f"{stamp:06d}",
                random_cloud(number * 10 + stamp, GRID, 4000),
                lidar_pose=(number * 6.0, number * 2.0, 0.0, 0.0, 20.0 * number, 0.0),
                objects=(),
                infrastructure=False,
            )
    return root


def test_the_command_writes_a_bundle_and_says_what_it_costs(
    checkpoint: Path, dataset: Path, tmp_path: Path
) -> None:
    arguments = ["quantize", "--checkpoint", str(checkpoint), "--data", str(dataset)]
    arguments += ["--out", str(tmp_path / "made"), "--precision", "w4a8", "--scales", "minmax"]
    arguments += ["--calibration-batches", "1", "--reconstruct", "--steps", "1"]
    arguments += ["--aware-steps", "1", "--no-bfloat16", "--evaluate", str(dataset)]
    arguments += ["--simulated-frames", "1", "--sensitivity"]
    arguments += ["--json", str(tmp_path / "report.json")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    bundle = ModelBundle.load(tmp_path / "made")
    made = bundle.manifest.training["quantization"]
    assert (made["precision"], made["reconstructed"]) == ("w4a8", True)
    assert made["aware training steps"] == 1
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report["blocks"]) == 22
    assert len(report["sensitivity"]) == 7
    assert report["provenance"]["bundle_version"] == "1"
    for kind, lines in (("quantization", 2), ("sensitivity", 7)):  # FP32, and as quantized
        assert len(KINDS[kind].make({"W4A8": [report]}, {}).splitlines()) == 2 + lines
    cost = report["cost"]
    assert cost["w4a8"]["size_MB"] < cost["fp32"]["size_MB"] / 6
    assert cost["w4a8"]["TBOPS"] < cost["fp32"]["TBOPS"] / 20
    measured = report["measured"]
    assert measured["fp32"]["frames"] == measured["w4a8"]["frames"] == 2
    assert measured["exported against simulated"]["engines"]["frames"] == 1
    weights = [
        numpy_helper.to_array(item)
        for item in onnx.load(bundle.engine_path("pyramid")).graph.initializer
        if item.name.endswith("conv1.weight.q")
    ]
    assert len(weights) == 16
    for weight in weights:
        assert weight.dtype == np.int8
        assert 4 < np.abs(weight.astype(int)).max() <= 7


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--precision", "w3a8"], "weight bits: got '3', allowed are 4, 8"),
        (["--precision", "int8"], "expected w8a8, w4a8"),
        (["--scales", "median"], "scales of activations: got 'median'"),
        (["--heads", "int2"], "heads: got 'int2'"),
    ],
)
def test_settings_that_make_no_sense_become_a_sentence(
    arguments: list[str], sentence: str, checkpoint: Path, dataset: Path, tmp_path: Path
) -> None:
    start = ["quantize", "--checkpoint", str(checkpoint), "--data", str(dataset)]
    result = CliRunner().invoke(app, [*start, "--out", str(tmp_path / "made"), *arguments])
    assert result.exit_code == 1
    assert sentence in result.stderr
    assert not (tmp_path / "made").exists()


def pyramid_macs(cells: int) -> int:
    """Multiply-accumulates of the pyramid, from the table of docs/network.md, "Pyramid fusion"."""
    total, channels, source = 0, 64, cells
    for blocks, stride, middle, out in SCALES:
        for _ in range(blocks):
            target = source // stride**2
            total += source * channels * middle + target * middle * (middle // 32 * 9 + out)
            total += target * channels * out if (channels, stride) != (out, 1) else 0
            channels, source, stride = out, target, 1
        total += source * out  # occupancy
    return total


def test_size_and_operations_are_those_of_the_layers() -> None:
    full = NetworkGraphs.fold(random_network(7, GRID))
    alone, three = network_cost(full, 1), network_cost(full, 3)
    cells = 64 * 64
    encoder = cells * (6 * 64 * 64 * 9 + 64 * 64)
    shrink = cells * 9 * (384 * 256 + 256 * 256)
    heads = cells * 256 * (18 + 42 + 12)
    deblocks = cells * 128 * (64 + 128 + 256)
    # a transposed convolution with kernel = stride is computed at its input's cells
    agent = encoder + pyramid_macs(cells)
    assert alone.macs == agent + deblocks + shrink + heads
    assert three.macs == alone.macs + 2 * agent
    assert alone.bops == 32 * 32 * alone.macs
    assert alone.size_bits == three.size_bits


def test_calibration_sees_the_fusion_of_several_agents() -> None:
    graphs = NetworkGraphs.fold(random_network(7, GRID))
    frame = random_frames(3, GRID, (3,))[0]
    ego = CalibrationFrame(frame.clouds[:1], frame.ego_to_agent[:1])
    together, alone = calibrate(graphs, [frame]), calibrate(graphs, [ego])
    assert (together.agents, alone.agents) == ((3,), (1,))
    seen = [c.histograms["pyramid/level0"].counts.sum() for c in (together, alone)]
    assert seen[0] == 3 * seen[1]
    for level in range(3):
        name = f"head/fused{level}"
        one, two = (c.histograms[name].counts for c in (together, alone))
        assert not np.array_equal(one, two)


def test_the_body_has_the_bits_asked_for_and_the_borders_eight() -> None:
    network = random_network(7, TINY)
    frames = random_frames(3, TINY, (1,))
    graphs = quantize_network(network, frames, QuantizationConfig.parse("w4a4"))
    bits = {name: scale.bits for name, scale in graphs.scales.items()}
    borders = {"encoder/pillars", "encoder/feature", "pyramid/decoded"}
    borders |= {f"pyramid/level{i}" for i in range(3)} | {f"head/fused{i}" for i in range(3)}
    assert {name for name, count in bits.items() if count == 8} == borders
    weights = {name: weight.bits for name, weight in graphs.weights.items()}
    heads = {f"pyramid/occupancy{i}" for i in range(3)} | {"head/cls", "head/reg", "head/dir"}
    assert {name for name, count in weights.items() if count == 8} == heads
    same = quantize_network(network, frames, QuantizationConfig.parse("w4a4", heads="body"))
    assert {weight.bits for weight in same.weights.values()} == {4}
    float_heads = quantize_network(network, frames, QuantizationConfig.parse("w4a4", heads="fp32"))
    assert heads.isdisjoint(float_heads.weights)


def test_transposed_convolutions_have_scales_per_output_channel() -> None:
    network = random_network(7, TINY)
    graphs = quantize_network(network, random_frames(3, TINY, (1,)))
    for level in range(3):
        weight = graphs.weights[f"head/deblock{level}"]
        inputs = (64, 128, 256)[level]
        # rows are output channels at a place in the block: no scale depends on the input channel
        assert weight.values.shape == (4**level * 128, inputs, 1, 1)
        assert weight.scales.shape == (4**level * 128,)
        assert len(np.unique(weight.scales)) > 64


def test_bfloat16_calibration_sees_the_same_distributions() -> None:
    graphs = NetworkGraphs.fold(random_network(7, TINY))
    frames = random_frames(3, TINY, (1,))
    exact, quick = (calibrate(graphs, frames, bfloat16) for bfloat16 in (False, True))
    for name in ("encoder/block0", "encoder/feature"):
        scales = [c.histograms[name].scale("l3").scale for c in (exact, quick)]
        assert scales[1] == pytest.approx(scales[0], rel=0.03), name


def test_weights_off_their_grid_are_refused() -> None:
    network = random_network(7, TINY)
    graphs = quantize_network(network, random_frames(3, TINY, (1,)))
    weight = next(iter(graphs.weights.values()))
    with pytest.raises(QuantizationError, match="weights of 4 bits: values beyond 7"):
        type(weight)(weight.values, weight.scales, 4)
