# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Channels that never fire are recorded, left out, and missed by nobody."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.inference.cell_heads import CellHeads
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.manifest import SparseHeads, parse_manifest
from quantv2x_ros.inference.results import StageTimer
from quantv2x_ros.inference.window import HeadWindow
from quantv2x_ros.training.checkpoint import save_checkpoint
from quantv2x_ros.training.export.bundle_writer import BundleSettings, export_bundle, write_bundle
from quantv2x_ros.training.export.random_bundle import VOXEL, random_frames, random_network
from quantv2x_ros.training.graphs.graph import Convolution
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs, tensor_name
from quantv2x_ros.training.graphs.pruning import PruningError, prune, removable
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.quantization import health
from quantv2x_ros.training.quantization.block_learning import ReconstructionConfig
from quantv2x_ros.training.quantization.calibration import Calibration, calibrate
from quantv2x_ros.training.quantization.crops import CropMaker
from quantv2x_ros.training.quantization.health import MARGIN, ReluInputs
from quantv2x_ros.training.quantization.post_training import (
    QuantizationConfig,
    quantize_calibrated,
)
from quantv2x_ros.training.quantization.reconstruction import Reconstruction
from quantv2x_ros.training.quantization.simulation import run_frame

GRID = BevGrid((-12.8, -12.8, -5.0, 12.8, 12.8, 1.0), VOXEL)
#: Frames of a calibration here; the real number takes a minute.
FRAMES = 6


@pytest.fixture(autouse=True)
def _few_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LEAST_FRAMES", FRAMES)


@pytest.fixture(scope="module")
def network() -> QuantV2XNetwork:
    """A random network that has lost channels, as training may lose them."""
    made = random_network(5, GRID, coded_ego=False)
    with torch.no_grad():
        made.shrink[0].bias[16:] -= 1e5
        made.shrink[2].bias[100:130] -= 1e5
        made.pyramid.deblocks[2][1].bias[:50] -= 1e5
        made.backbone[1].bn1.bias[::4] -= 1e5
        made.pyramid.levels[1][2].bn1.bias[:128] -= 1e5  # of a convolution in groups,
        made.pyramid.levels[1][2].bn2.bias[:128] -= 1e5  # as many as can go together
        made.pyramid.levels[2][7].bn3.bias[:7] -= 1e5  # at a border between engines
    return made


@pytest.fixture(scope="module")
def calibration(network: QuantV2XNetwork) -> Calibration:
    return calibrate(NetworkGraphs.fold(network), random_frames(5, GRID, (1, 2, 1, 1, 1, 1)))


@pytest.fixture(scope="module")
def quantized(network: QuantV2XNetwork, calibration: Calibration) -> NetworkGraphs:
    """The network with what is left of it in integers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(health, "LEAST_FRAMES", FRAMES)
        return quantize_calibrated(network, calibration, QuantizationConfig())


#: By tensor: what cannot fire, and how many of those go.
LOST = {
    "head/shrink0": (240, 240),
    "head/shrink1": (30, 30),
    "head/upsampled2": (50, 50),
    "encoder/block1.conv1": (16, 16),
    "pyramid/level1.block2.conv1": (128, 128),
    "pyramid/level1.block2.conv2": (128, 128),
    "pyramid/level2": (7, 0),
}


def test_the_record_says_what_was_lost_and_what_went(
    network: QuantV2XNetwork, quantized: NetworkGraphs
) -> None:
    record = quantized.health
    assert record is not None
    assert record.frames == FRAMES
    for name, (silent, gone) in LOST.items():
        layer = record.layers[name]
        assert layer.never_fired - layer.doubtful >= silent, name
        assert gone <= layer.left_out <= max(gone, layer.never_fired), name
    assert record.layers["pyramid/level2"].left_out == 0, "engines' borders stay"
    assert {name.split("/")[0] for name in record.layers} == {"encoder", "pyramid", "head"}
    shrink = 64 * 64 // 4**2  # cells of the map
    assert quantized.graphs["head"].convolutions[3].weight.shape[0] <= 16
    before, after = record.operations["head"].trained, record.operations["head"].computed
    assert before - after > shrink * 9 * 240 * (334 + 226)
    assert "are left out" in record.summary()


def without_dead(quantized: NetworkGraphs, calibration: Calibration) -> NetworkGraphs:
    """A quantized network less what never fires, its integers and scales as they are.

    An export chooses scales anew: weights that nothing multiplies no longer count.
    """
    dead = calibration.relu_inputs.dead(quantized)
    graphs, weights = {}, {}
    for name, graph in quantized.graphs.items():
        own = quantized.graph_weights(name)
        integers = [
            replace(node, weight=own[node.name].values.astype(np.float32))
            if isinstance(node, Convolution)
            else node
            for node in graph.nodes
        ]
        graphs[name] = prune(replace(graph, nodes=tuple(integers)), dead[name])
        gone = removable(graph, dead[name])
        for node in graphs[name].convolutions:
            rows = ~np.tile(gone[node.target], node.upscale**2)
            weights[tensor_name(name, node.name)] = replace(
                own[node.name],
                values=node.weight.astype(np.int8),
                scales=own[node.name].scales[rows],
            )
    return replace(quantized, graphs=graphs, weights=weights)


@pytest.fixture(scope="module")
def complete(network: QuantV2XNetwork, calibration: Calibration) -> NetworkGraphs:
    return quantize_calibrated(network, calibration, QuantizationConfig(), keep_dead=True)


def test_both_precisions_give_what_they_give_with_all_channels(
    network: QuantV2XNetwork, calibration: Calibration, complete: NetworkGraphs
) -> None:
    """On frames that were not calibrated on, too: what was taken out here cannot fire."""
    whole = NetworkGraphs.fold(network)
    pruned = whole.pruned(calibration.relu_inputs.dead(whole))
    fewer_integers = without_dead(complete, calibration)
    for frame in (random_frames(5, GRID, (2,))[0], random_frames(99, GRID, (1,))[0]):
        for every, fewer in ((whole, pruned), (complete, fewer_integers)):
            # sums of the same products; float64 adds them up to the same but for its last bits
            expected = run_frame(every, frame, dtype=torch.float64)
            found = run_frame(fewer, frame, dtype=torch.float64)
            assert torch.equal(found["indices"], expected["indices"])
            for name in ("cls", "reg", "dir"):
                largest = float(expected[name].abs().max())
                torch.testing.assert_close(found[name], expected[name], rtol=0, atol=1e-9 * largest)


def test_engines_without_them_give_the_same_bits(
    network: QuantV2XNetwork, calibration: Calibration, complete: NetworkGraphs, tmp_path: Path
) -> None:
    frame = random_frames(7, GRID, (2,))[0]
    maps, sizes = [], []
    for graphs in (complete, without_dead(complete, calibration)):
        folder = tmp_path / str(len(maps))
        bundle = write_bundle(network, graphs, folder, "b", BundleSettings())
        encoder = AgentEncoder(bundle, threads=1)
        detector = CooperativeDetector(bundle, threads=1)
        indices = [encoder.encode(cloud).indices for cloud in frame.clouds]
        pyramids = [detector.pyramid(one) for one in indices]
        levels = [level for pyramid in pyramids for level in pyramid.features]
        heads = detector.head_maps(pyramids, frame.ego_to_agent)
        maps.append([*indices, *levels, heads.cls, heads.reg, heads.dir])
        sizes.append((folder / "head.onnx").stat().st_size)
    for one, other in zip(*maps, strict=True):
        np.testing.assert_array_equal(one, other)
    assert sizes[1] < 0.3 * sizes[0]


def test_scales_are_chosen_for_what_is_left(
    network: QuantV2XNetwork, quantized: NetworkGraphs, complete: NetworkGraphs
) -> None:
    assert quantized.scales == complete.scales, "zeros do not move the scales of activations"
    left = quantized.graph_weights("head")["shrink1"]
    assert left.values.shape[1] <= 16
    np.testing.assert_array_less(
        left.scales.mean(), complete.graph_weights("head")["shrink1"].scales.mean()
    )


def test_heads_of_some_cells_are_those_of_the_whole_map(
    network: QuantV2XNetwork, quantized: NetworkGraphs, tmp_path: Path
) -> None:
    bundle = write_bundle(network, quantized, tmp_path / "b", "b", BundleSettings())
    frame = random_frames(7, GRID, (2,))[0]
    encoder = AgentEncoder(bundle, threads=1)
    whole = CooperativeDetector(bundle, threads=1)
    pyramids = [whole.pyramid(encoder.encode(cloud).indices) for cloud in frame.clouds]
    expected = whole.head_maps(pyramids, frame.ego_to_agent)
    occupancy = whole.occupancy(pyramids, frame.ego_to_agent)
    values = np.unique(occupancy)
    least = float(values[int(0.9 * len(values))])
    sparse = (SparseHeads(least, 0.2),)
    few = replace(bundle, manifest=replace(bundle.manifest, sparse_heads=sparse))
    heads = CellHeads(
        few, HeadWindow.of(GRID, bundle.detection, bundle.manifest.head_reach), 1, (64, 128, 256)
    )
    thetas = whole._thetas(pyramids, frame.ego_to_agent)
    maps = heads(pyramids, thetas, least, StageTimer())
    assert maps is not None
    assert maps.cells is not None
    assert len(maps.cells) > 0
    for name in ("cls", "reg", "dir"):
        wanted = getattr(expected, name)
        wanted = wanted.reshape(-1, 1, wanted.shape[2])[maps.cells]
        np.testing.assert_array_equal(getattr(maps, name), wanted)


def test_of_few_frames_nothing_is_left_out(
    network: QuantV2XNetwork,
    calibration: Calibration,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(health, "LEAST_FRAMES", FRAMES + 1)
    with caplog.at_level(logging.WARNING):
        graphs = quantize_calibrated(network, calibration, QuantizationConfig())
    assert graphs.health is not None
    assert graphs.health.layers["head/shrink0"].never_fired >= 240
    assert all(layer.left_out == 0 for layer in graphs.health.layers.values())
    assert f"stay: only what is silent on {FRAMES + 1} frames" in caplog.text


def test_what_came_near_to_firing_stays() -> None:
    seen = ReluInputs()
    # four channels of a scale of 1: far below, near, at and above 0
    rows = torch.tensor([-1.0, -MARGIN / 2, 0.0, 1.0])[None, :, None, None]
    spread = torch.tensor([-1.0, -1.0, -1.0, -1.0])[None, :, None, None]
    seen.watch("head/a", rows)
    seen.watch("head/a", spread)
    highest, scale = seen.layer("head/a", 4)
    np.testing.assert_allclose(highest, [-1.0, -MARGIN / 2, 0.0, 1.0])
    assert scale == pytest.approx(np.sqrt(np.median([1.0, 0.5 * (1 + 1e-4), 0.5, 1.0])), rel=1e-3)
    assert (highest < -MARGIN * scale).tolist() == [True, False, False, False]


def test_cells_of_a_pixel_shuffle_are_one_channel() -> None:
    seen = ReluInputs()
    # position * channels + channel: the first fires in one of its cells, the second in none
    rows = torch.tensor([-1.0, -2.0, -3.0, -4.0, 5.0, -6.0, -7.0, -8.0])
    seen.watch("head/a", rows[None, :, None, None])
    np.testing.assert_array_equal(seen.layer("head/a", 2)[0], [5.0, -2.0])


def test_a_quantized_network_is_not_pruned_again(
    network: QuantV2XNetwork, quantized: NetworkGraphs
) -> None:
    with pytest.raises(PruningError, match="before a network is quantized"):
        quantized.pruned({})


def test_a_bundle_that_reproduces_a_published_checkpoint_keeps_everything(
    network: QuantV2XNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LEAST_FRAMES", 1)
    frames = random_frames(5, GRID, (1,))
    bundle = export_bundle(
        network,
        tmp_path / "b",
        name="b",
        precision="fp32",
        calibration_frames=frames,
        settings=BundleSettings(reproduces_published=True),
    )
    record = bundle.manifest.health
    assert record is not None
    assert record.layers["head/shrink0"].never_fired >= 240
    assert record.operations["head"].computed == record.operations["head"].trained


def test_a_manifest_keeps_the_record(
    network: QuantV2XNetwork, quantized: NetworkGraphs, tmp_path: Path
) -> None:
    manifest = write_bundle(network, quantized, tmp_path / "b", "b", BundleSettings()).manifest
    assert manifest.health == quantized.health
    text = manifest.as_yaml()
    assert parse_manifest(text.encode()) == manifest
    assert "    head/shrink0: {channels: 256, never_fired: 24" in text
    with pytest.raises(ValueError, match=r"health: .*expected frames, margin"):
        parse_manifest(text.replace("never_fired:", "never:").encode())
    broken = text.replace("head/shrink0: {channels: 256", "head/shrink0: {channels: 2")
    with pytest.raises(ValueError, match="health: a layer says"):
        parse_manifest(broken.encode())


def test_the_command_leaves_them_out_and_says_so(
    network: QuantV2XNetwork, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LEAST_FRAMES", 2)
    checkpoint = tmp_path / "network.safetensors"
    save_checkpoint(network, checkpoint)
    arguments = ["export", "--checkpoint", str(checkpoint), "--data", str(dataset)]
    arguments += ["--frames", "2", "--agents", "1"]
    sizes = {}
    for way in ([], ["--keep-dead-channels"], ["--precision", "fp32"]):
        out = tmp_path / f"made{len(sizes)}"
        result = CliRunner().invoke(app, [*arguments, "--out", str(out), *way])
        assert result.exit_code == 0, result.output
        assert "channels never fired on 2 frames" in result.output
        record = ModelBundle.load(out).manifest.health
        assert record is not None
        sizes[tuple(way)] = record.layers["head/shrink0"].left_out
    assert sizes[("--keep-dead-channels",)] == 0
    assert sizes[()] >= 240
    assert sizes[("--precision", "fp32")] >= 240


def test_reconstruction_goes_on_from_what_is_left(
    network: QuantV2XNetwork, calibration: Calibration
) -> None:
    """The blocks, crops and steps of the smaller graphs fit each other."""
    graphs = quantize_calibrated(network, calibration, QuantizationConfig.parse("w4a8"))
    crops = CropMaker(graphs.pillars, GRID, (6.4, 6.4), 0)(random_frames(5, GRID, (1,)), 1)
    config = ReconstructionConfig(steps=1)
    learned = Reconstruction(graphs, crops, config).run(lambda *_: None)
    assert learned.health == graphs.health
    assert learned.graph_weights("head")["shrink0"].values.shape[0] <= 16
