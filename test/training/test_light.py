# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The light architecture folds into the same function, and its engines give what torch gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.engine_set import openvino_engines
from quantv2x_ros.inference.model.manifest import BundleError
from quantv2x_ros.training.checkpoint import load_checkpoint, save_checkpoint
from quantv2x_ros.training.export.random_bundle import (
    SMALL_RANGE,
    VOXEL,
    build_random_bundle,
    random_cloud,
    random_network,
)
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.light import BLOCKS, PILLAR_CHANNELS, SCALES
from quantv2x_ros.training.network import NetworkConfig, NetworkConfigError, QuantV2XNetwork
from quantv2x_ros.training.published import CheckpointError
from quantv2x_ros.training.quantization.blocks import split_blocks
from quantv2x_ros.training.start import load_start

GRID = BevGrid(SMALL_RANGE, VOXEL)


def light(block: str = "depthwise") -> QuantV2XNetwork:
    return random_network(1, GRID, coded_ego=False, architecture="light", block=block)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("light") / "bundle"
    return build_random_bundle(folder, coded_ego=False, architecture="light")


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("block", BLOCKS)
def test_its_graphs_compute_what_the_network_computes(block):
    network, raised = light(block), np.full(64, 0.7, np.float32)
    graphs = NetworkGraphs.fold(network, raised)
    generator = torch.Generator().manual_seed(2)
    pillars = torch.rand((1, PILLAR_CHANNELS, 64, 64), generator=generator)
    feature = network.backbone(pillars)
    close(graphs.executor("encoder")({"pillars": pillars})["feature"], feature)
    levels, occupancy = network.pyramid.extract(feature)
    made = graphs.executor("pyramid")({"decoded": feature + 0.7})
    fused = {f"fused{level}": value for level, value in enumerate(levels)}
    outputs = graphs.executor("head")(fused)
    for level in range(3):
        close(made[f"level{level}"], levels[level])
        close(made[f"occupancy{level}"], occupancy[level])
    for name, value in network.heads(levels)._asdict().items():
        close(outputs[name], value)


def test_the_heads_reach_what_their_graph_says():
    """A change to one fused cell is seen in the outputs up to that distance, and no further."""
    graph = NetworkGraphs.fold(light())
    reach = graph.graphs["head"].reach
    run = graph.executor("head")
    maps = {
        f"fused{level}": torch.rand((1, channels, 64 >> level, 64 >> level))
        for level, (channels, _) in enumerate(SCALES)
    }
    before, seen = run(maps), []
    for level in range(3):
        changed = {name: value.clone() for name, value in maps.items()}
        cell = 32 >> level
        changed[f"fused{level}"][..., cell, cell] += 10.0
        columns = (run(changed)["reg"] != before["reg"]).any(dim=(0, 1, 2)).nonzero()
        seen.append((32 - int(columns.min()), int(columns.max()) + 1 - 32 - (1 << level)))
    assert max(max(pair) for pair in seen) <= reach
    assert reach - max(max(pair) for pair in seen) < 4, "no more than a coarse cell in vain"


def test_its_trunk_falls_into_blocks_that_can_be_reconstructed():
    graph = NetworkGraphs.fold(light()).graphs["head"]
    outputs = [block.output for block in split_blocks(graph)]
    assert outputs[-2:] == ["cls_tower", "box_tower"]
    assert sum(len(block.nodes) for block in split_blocks(graph)) == len(graph.nodes) - 3


def test_the_engines_find_what_torch_finds(bundle):
    """In FP32 the same numbers, up to rounding."""
    cloud = random_cloud(3, GRID)
    network = load_checkpoint(bundle.folder / "checkpoint.safetensors")
    expected = network.forward_points([cloud], np.eye(4)[None])
    sweep = AgentEncoder(bundle, threads=1, keep_own=True).encode(cloud)
    detector = CooperativeDetector(bundle, threads=1)
    maps = detector.head_maps([detector.own_pyramid(sweep.own)], np.eye(4)[None])
    found, wanted = maps.cls, expected["cls"][0].permute(1, 2, 0).numpy()
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.98, "INT8 is near FP32"


def test_a_cpu_compiles_four_engines_of_it(bundle):
    assert openvino_engines(bundle) <= 4


def test_the_bundle_says_its_architecture(bundle):
    assert bundle.manifest.architecture == "light"
    assert bundle.pillar_weights.channels == PILLAR_CHANNELS
    assert not bundle.manifest.sparse_heads
    with pytest.raises(BundleError, match="architecture: got 'heavy', this version runs"):
        replace(bundle.manifest, architecture="heavy")
    with pytest.raises(BundleError, match="parity and sparse_heads belong to the published"):
        replace(bundle.manifest, reproduces_published=True)


def test_a_checkpoint_brings_its_architecture(tmp_path: Path):
    save_checkpoint(light("csp"), tmp_path / "network.safetensors")
    config = load_checkpoint(tmp_path / "network.safetensors").config
    assert (config.architecture, config.block) == ("light", "csp")


def test_weights_of_the_other_architecture_are_refused(tmp_path: Path):
    save_checkpoint(random_network(1, GRID), tmp_path / "network.safetensors")
    with pytest.raises(CheckpointError, match="does not fit"):
        load_start(light(), tmp_path)


@pytest.mark.parametrize("key", ["architecture", "block"])
def test_an_unknown_kind_is_refused(key):
    with pytest.raises(NetworkConfigError, match=f"{key} must be one of .*, got 'heavy'"):
        NetworkConfig(**{key: "heavy"})
