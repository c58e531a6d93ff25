# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Learned rounding: what it starts from, what it changes, and that it lowers the error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.training.export.random_bundle import (
    SMALL_RANGE,
    VOXEL,
    random_frames,
    random_network,
)
from quantv2x_ros.training.graphs.executor import round_to_scale
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.graphs.scales import (
    QuantizationError,
    TensorScale,
)
from quantv2x_ros.training.quantization.alignment import FusedMapAlignment
from quantv2x_ros.training.quantization.block_learning import ReconstructionConfig
from quantv2x_ros.training.quantization.blocks import split_blocks
from quantv2x_ros.training.quantization.crops import Crop, CropMaker
from quantv2x_ros.training.quantization.learnable import (
    AdaptiveRounding,
    LearnableNodes,
    LearnedStep,
    LearnedWeight,
)
from quantv2x_ros.training.quantization.post_training import (
    QuantizationConfig,
    quantize_network,
)
from quantv2x_ros.training.quantization.reconstruction import BlockResult, Reconstruction

GRID = BevGrid(SMALL_RANGE, VOXEL)
CONFIG = ReconstructionConfig(
    steps=20, batch=2, window=(12.8, 12.8), crops=2, rounding_rate=0.15, bfloat16=False
)


@pytest.fixture(scope="module")
def graphs() -> NetworkGraphs:
    frames = random_frames(5, GRID, (1, 2))
    return quantize_network(random_network(5, GRID), frames, QuantizationConfig.parse("w4a8"))


@pytest.fixture(scope="module")
def crops(graphs: NetworkGraphs) -> list[Crop]:
    frames = [replace(frame, objects=np.zeros((1, 2))) for frame in random_frames(5, GRID, (2, 3))]
    return CropMaker(graphs.pillars, GRID, CONFIG.window, seed=0)(frames, CONFIG.crops)


@pytest.fixture(scope="module")
def outcome(graphs: NetworkGraphs, crops: list[Crop]) -> tuple[NetworkGraphs, list[BlockResult]]:
    reconstruction = Reconstruction(graphs, crops, CONFIG)
    learned = reconstruction.run(lambda result, done, total: None)
    return learned, reconstruction.results


def test_a_graph_splits_into_its_residual_blocks(graphs: NetworkGraphs) -> None:
    outputs = {name: [b.output for b in split_blocks(g)] for name, g in graphs.graphs.items()}
    assert outputs["encoder"] == ["block0", "block1", "feature"]
    assert outputs["head"] == ["merged", "shrink0", "shrink1"]
    assert len(outputs["pyramid"]) == 3 + 5 + 8
    for graph in graphs.graphs.values():
        blocks = split_blocks(graph)
        rounded = [c.name for c in graph.convolutions if c.rounded]
        assert [c.name for block in blocks for c in block.convolutions] == rounded
        assert all(len(block.inputs) == 1 for block in blocks if block.output != "merged")


def test_crops_show_all_agents_the_same_place(crops: list[Crop]) -> None:
    assert [len(crop.pillars) for crop in crops] == [2, 2, 3, 3]
    for crop in crops:
        assert crop.pillars.shape[1:] == (64, 32, 32)
        assert crop.thetas.shape == (len(crop.pillars), 2, 3)
        torch.testing.assert_close(crop.thetas[0], torch.eye(2, 3).double())
        assert (crop.pillars.amax((1, 2, 3)) > 0).all()


def test_learned_rounding_lowers_the_error_of_the_blocks(
    outcome: tuple[NetworkGraphs, list[BlockResult]],
) -> None:
    _, results = outcome
    assert len(results) == 3 + 16 + 3
    assert all(result.before > 0 for result in results), "a loss of zero would teach nothing"
    kept = [result for result in results if result.kept]
    assert len(kept) > len(results) / 2
    assert all(result.turned > 0.01 for result in kept)
    assert np.median([result.after / result.before for result in kept]) < 0.9


def test_fused_maps_are_aligned_at_the_end_of_each_level(
    outcome: tuple[NetworkGraphs, list[BlockResult]],
) -> None:
    _, results = outcome
    aligned = {r.name for r in results if r.fused_before is not None}
    assert aligned == {f"pyramid/level{i}" for i in range(3)}
    for result in results:
        if result.fused_before is not None and result.kept:
            assert result.fused_after is not None
            assert result.fused_after > 0
            total = result.after / result.before + result.fused_after / result.fused_before
            assert total < 2


def test_only_decisions_change_and_by_one_step(
    graphs: NetworkGraphs, outcome: tuple[NetworkGraphs, list[BlockResult]]
) -> None:
    learned, _ = outcome
    changed = 0
    for name, weight in learned.weights.items():
        before = graphs.weights[name]
        assert weight.bits == before.bits
        np.testing.assert_array_equal(weight.scales, before.scales)
        moved = np.abs(weight.values.astype(int) - before.values)
        assert moved.max() <= 1
        changed += int(moved.sum())
    assert changed > 0
    assert learned.scales != graphs.scales
    assert {n: s.bits for n, s in learned.scales.items()} == {
        n: s.bits for n, s in graphs.scales.items()
    }


def test_an_error_of_the_levels_is_an_error_of_the_fused_map(
    graphs: NetworkGraphs, crops: list[Crop]
) -> None:
    full = replace(graphs, scales={}, weights={})
    torch.manual_seed(0)
    target = [torch.rand(len(crop.pillars), 64, 16, 16) for crop in crops]
    alignment = FusedMapAlignment(full, 0, crops, target, full)
    assert alignment.error(target) == 0.0
    peers = [maps.clone() for maps in target]
    for maps in peers:
        maps[1:] += 0.5  # only the peers' features are off
    assert alignment.error(peers) > 0


def test_soft_rounding_starts_at_the_real_weight(graphs: NetworkGraphs) -> None:
    node = graphs.graphs["encoder"].convolutions[0]
    start = graphs.weights[f"encoder/{node.name}"]
    weight = torch.from_numpy(node.weight)
    rounding = AdaptiveRounding(weight, start)
    inside = (weight / rounding.scales).abs() <= 7
    torch.testing.assert_close(rounding()[inside], weight[inside], rtol=1e-4, atol=1e-6)
    decided = rounding.decided()
    half = (weight / rounding.scales - rounding.floor - 0.5).abs() < 1e-3
    same = torch.from_numpy(decided.values == start.values)
    assert same[~half].all()
    with torch.no_grad():
        rounding.logits += 10
    assert float(rounding.indecision(2.0).detach()) == 0.0


def test_undecided_rounding_costs_and_decided_rounding_does_not(graphs: NetworkGraphs) -> None:
    node = graphs.graphs["encoder"].convolutions[0]
    start = graphs.weights[f"encoder/{node.name}"]
    rounding = AdaptiveRounding(torch.from_numpy(node.weight), start)
    torch.nn.init.zeros_(rounding.logits)
    assert float(rounding.indecision(20.0).detach()) == pytest.approx(1.0)
    assert float(rounding.indecision(2.0).detach()) == pytest.approx(1.0)


def test_the_learnable_blocks_compute_what_the_simulation_does(graphs: NetworkGraphs) -> None:
    torch.manual_seed(0)
    name = "head"
    inputs = {
        spec.name: round_to_scale(
            torch.rand(1, spec.channels, 32 // spec.reduction, 32 // spec.reduction),
            graphs.graph_scales(name)[spec.name],
        )
        for spec in graphs.graphs[name].inputs
    }
    expected = graphs.executor(name)(inputs)
    learnable = LearnableNodes(
        graphs.graphs[name].nodes,
        graphs.graph_scales(name),
        graphs.graph_weights(name),
        LearnedWeight,
        bfloat16=False,
    )
    with torch.no_grad():
        actual = learnable(inputs)
    for output in ("merged", "shrink0", "cls", "reg"):
        difference = (actual[output] - expected[output]).abs()
        scale = float(expected[output].abs().max())
        # the order of float sums can move a value by a step
        assert float((difference > 1e-4 * scale).float().mean()) < 0.01, output


def test_a_learned_step_rounds_as_its_scale_and_gets_a_gradient() -> None:
    scale = TensorScale(0.1, bits=4)
    step = LearnedStep(scale)
    value = torch.linspace(-0.3, 3.0, 500)
    with torch.no_grad():
        torch.testing.assert_close(step(value), round_to_scale(value, scale))
    ((step(value) - value) ** 2).sum().backward()
    gradient = step.log_ratio.grad
    assert gradient is not None
    assert float(gradient) < 0, "clipped values want a larger step"
    torch.manual_seed(0)
    inside = torch.linspace(0.02, 1.48, 500)
    real = (step(inside, 0.5) == inside).float().mean()
    assert 0.4 < float(real) < 0.6


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"drop": 1.0}, {"window": (0.0, 8.0)}])
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(QuantizationError, match="reconstruction"):
        replace(CONFIG, **wrong)  # type: ignore[arg-type]
    assert CONFIG.exponent(0) is None
    assert CONFIG.exponent(CONFIG.steps) == pytest.approx(2.0)
