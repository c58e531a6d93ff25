# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training: part by part, then with the full-precision teacher."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.training.export.random_bundle import (
    SMALL_RANGE,
    VOXEL,
    random_frames,
    random_network,
)
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.graphs.scales import QuantizationError
from quantv2x_ros.training.loader import training_loader
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.quantization.aware_training import (
    DISTILLATION,
    STAGES,
    AwareTraining,
    AwareTrainingConfig,
    Batches,
    Student,
    channel_divergence,
    view_distillation,
    view_masks,
)
from quantv2x_ros.training.quantization.post_training import (
    QuantizationConfig,
    quantize_network,
)
from quantv2x_ros.training.samples import SampleConfig

GRID = BevGrid(SMALL_RANGE, VOXEL)


@pytest.fixture(scope="module")
def network() -> QuantV2XNetwork:
    return random_network(9, GRID)


@pytest.fixture(scope="module")
def graphs(network: QuantV2XNetwork) -> NetworkGraphs:
    frames = random_frames(9, GRID, (2,))
    return quantize_network(network, frames, QuantizationConfig.parse("w4a4"))


@pytest.fixture
def batches(scenario_folder: Path) -> Batches:
    config = SampleConfig(GRID, window=(12.8, 12.8), alone=0.0)
    return training_loader(
        scenario_folder, config, AnchorSet.v2x_real(), seed=0, batch=2, workers=0
    )


def test_the_parts_are_trained_one_after_the_other_then_together(
    network: QuantV2XNetwork, graphs: NetworkGraphs, batches: Batches
) -> None:
    training = AwareTraining(network, graphs, AwareTrainingConfig(1, bfloat16=False))
    student = training.student
    before = {s: [p.detach().clone() for p in student.parameters_of(s)] for s in STAGES}
    moved: dict[str, set[str]] = {}
    losses: dict[str, dict[str, float]] = {}

    def report(phase: str, step: int, values: dict[str, float]) -> None:
        assert step == 1
        losses[phase] = values
        moved[phase] = set()
        for stage in STAGES:
            now = student.parameters_of(stage)
            if any(not torch.equal(a, b) for a, b in zip(now, before[stage], strict=True)):
                moved[phase].add(stage)

    trained = training.run(batches, report)
    assert moved["encoder"] == {"encoder"}
    assert moved["pyramid"] == {"encoder", "pyramid"}
    assert moved["head"] == set(STAGES)
    assert list(losses) == [*STAGES, DISTILLATION]
    assert [p for p, values in losses.items() if "distillation" in values] == [DISTILLATION]
    assert losses[DISTILLATION]["distillation"] > 0
    assert trained.scales.keys() == graphs.scales.keys()
    changed = [
        node.name
        for stage in STAGES
        for node, old in zip(
            trained.graphs[stage].convolutions, graphs.graphs[stage].convolutions, strict=True
        )
        if not np.array_equal(node.bias, old.bias)
    ]
    assert len(changed) > 50


def test_an_untrained_student_is_the_network_that_it_starts_from(
    network: QuantV2XNetwork, graphs: NetworkGraphs
) -> None:
    student = Student(network, graphs, bfloat16=False)
    decided = student.decided()
    assert decided.scales == graphs.scales
    for name, weight in decided.weights.items():
        # float32 here, float64 where weights are rounded: a tie may go the other way
        assert (weight.values != graphs.weights[name].values).mean() < 1e-3, name


def test_without_rounding_there_is_nothing_to_distil(
    network: QuantV2XNetwork, graphs: NetworkGraphs, batches: Batches
) -> None:
    student = Student(network, graphs, bfloat16=False)
    sample, agents = next(batches)
    assert max(agents) > 1
    with torch.no_grad():
        canvas = network.scatter(sample.pillars)
        exact = student(canvas, sample.thetas, agents, ())
        rounded = student(canvas, sample.thetas, agents, STAGES)
    none = view_distillation(exact, exact, sample.thetas, agents)
    some = view_distillation(rounded, exact, sample.thetas, agents)
    assert float(none) == pytest.approx(0, abs=1e-6)
    assert float(some) > 1e-4


def test_view_masks_are_where_an_agent_reaches() -> None:
    here = torch.eye(2, 3, dtype=torch.float64)
    half = here.clone()
    half[0, 2] = 1.0  # the agent's map lies half a map to the left
    away = here.clone()
    away[0, 2] = 4.0
    masks = view_masks((8, 8), torch.stack([here, half, away]))
    assert masks[0].min() == 1
    assert 0.4 < float(masks[1].mean()) < 0.7
    assert masks[2].max() == 0


def test_divergence_of_channels_is_zero_only_for_equal_distributions() -> None:
    torch.manual_seed(0)
    one, two = torch.rand(2, 1, 8, 3, 3)
    assert channel_divergence(one, two).shape == (1, 1, 3, 3)
    assert (channel_divergence(one, two) > 0).all()
    torch.testing.assert_close(channel_divergence(one, one), torch.zeros(1, 1, 3, 3))


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"steps": 1, "learning_rate": 0.0}])
def test_a_schedule_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(QuantizationError, match="aware training"):
        AwareTrainingConfig(**wrong)  # type: ignore[arg-type]
