# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training sees channels that never fire, and makes those behind the fusion anew."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.data.simulator import write_scenario
from quantv2x_ros.training.checkpoint import load_checkpoint, save_checkpoint
from quantv2x_ros.training.config import (
    GridSection,
    NetworkSection,
    OptimizerSection,
    SampleSection,
    TrainingConfig,
    TrainingConfigError,
)
from quantv2x_ros.training.data_module import SplitModule
from quantv2x_ros.training.export.random_bundle import random_network
from quantv2x_ros.training.firing import FiringChannels, report
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.module import step_losses
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.stage import Devices, StageRun, build_network, run_stage

RANGE = (-12.8, -12.8, -5.0, 12.8, 12.8, 1.0)
VOXEL = (0.4, 0.4, 6.0)
GRID = BevGrid(RANGE, VOXEL)
CONFIG = TrainingConfig(
    stage=3,
    frozen="sender",
    epochs=1,
    epoch_samples=1,
    batch=1,
    validate_frames=1,
    revive_frames=2,
    grid=GridSection(RANGE, VOXEL),
    network=NetworkSection(shrink_norm=True),
    samples=SampleSection(window=(12.8, 12.8), max_agents=2, jitter=(1.0, 1.0), reach=12.0),
    optimizer=OptimizerSection(learning_rate=1e-4, milestones=()),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    for split, seed in (("train", 5), ("validate", 8)):
        write_scenario(root / split / f"scene_{seed}", seed=seed, frames=1, agents=2)
    return root


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained network that has lost channels."""
    network = random_network(5, GRID, score_gain=1.0)
    with torch.no_grad():
        network.shrink[0].bias[16:] -= 1e5
        network.shrink[2].bias[:30] -= 1e5
        network.pyramid.deblocks[1][1].bias[:40] -= 1e5
    path = tmp_path_factory.mktemp("start") / "network.safetensors"
    save_checkpoint(network, path)
    return path


def stage(world: Path, start: Path, out: Path, config: TrainingConfig = CONFIG) -> StageRun:
    return StageRun(config, world, out, start=start, devices=Devices("cpu", "1"))


def built(run: StageRun) -> QuantV2XNetwork:
    return build_network(run, SplitModule(run.data, run.config, AnchorSet.v2x_real()))


def silent_on(network: QuantV2XNetwork, run: StageRun) -> dict[str, int]:
    """Channels that never fire on the frames that a stage starts with."""
    data = SplitModule(run.data, run.config, AnchorSet.v2x_real())
    network.eval()
    with FiringChannels(network) as firing, torch.no_grad():
        for _, (sample, agents) in zip(range(2), data.train_dataloader(), strict=False):
            step_losses(network, sample, agents, run.config.losses)
    return {name: int((~fired).sum()) for name, fired in firing.fired.items()}


@pytest.mark.parametrize("norm", [True, False])
def test_a_stage_begins_alive_and_with_the_function_that_it_starts_from(
    world: Path, start: Path, tmp_path: Path, norm: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(CONFIG, network=NetworkSection(shrink_norm=norm))
    run = stage(world, start, tmp_path, config)
    before = load_checkpoint(start)
    lost = silent_on(before, run)
    assert lost["shrink.1.relu0"] >= 240
    after = built(run)
    assert "shrink 0: 24" in capsys.readouterr().out
    assert (
        max(
            count
            for name, count in silent_on(after, run).items()
            if name.startswith(("shrink", "py"))
            if "deblock" in name or "shrink" in name
        )
        <= 3
    )
    data = SplitModule(run.data, run.config, AnchorSet.v2x_real())
    for _, (sample, agents) in zip(range(2), data.train_dataloader(), strict=False):
        with torch.no_grad():
            _, expected, _ = step_losses(before, sample, agents, config.losses)
            _, found, _ = step_losses(after.eval(), sample, agents, config.losses)
        for wanted, given in zip(expected, found, strict=True):
            assert float((given - wanted).abs().max()) < 1e-3 * float(wanted.abs().max())
    # BatchNorm folds into the graphs; a codebook's near ties would tell otherwise
    fused = {f"fused{i}": torch.rand(1, c, 32 >> i, 32 >> i) for i, c in enumerate((64, 128, 256))}
    values = NetworkGraphs.fold(after).executor("head")(fused)
    with torch.no_grad():
        heads = after.heads(list(fused.values()))
    for name, wanted in heads._asdict().items():
        assert float((values[name] - wanted).abs().max()) < 1e-4 * float(wanted.abs().max())


def test_training_logs_layers_and_the_network_comes_back(
    world: Path,
    start: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = replace(CONFIG, network=NetworkSection(), revive_frames=0)
    with caplog.at_level(logging.WARNING):
        run_stage(stage(world, start, tmp_path / "as_is", config))
    assert "channels never fired on the validation frames" in capsys.readouterr().out
    assert "shrink.1.relu0: 24" in caplog.text
    events = EventAccumulator(str(tmp_path / "as_is" / "tensorboard"))
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith("silent/")]
    assert "silent/backbone.0.relu0" in tags
    assert events.Scalars("silent/shrink.1.relu0")[-1].value > 0.9
    # a ReLU of each residual block and bottleneck's convolutions, of deblocks, shrink and pillars
    assert len(tags) == 2 * 3 + 3 * 16 + 3 + 2 + 1

    file = run_stage(stage(world, start, tmp_path / "normed"))
    trained = load_checkpoint(file)
    assert trained.config.shrink_norm
    assert bool((trained.shrink[0].norm.running_var > 0).all())  # type: ignore[union-attr]


def test_new_norms_need_frames(world: Path, start: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingConfigError, match="set revive_frames"):
        built(stage(world, start, tmp_path, replace(CONFIG, revive_frames=0)))


class Relus(nn.Module):
    """ReLUs as layers, functions and methods, before a convolution as well."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(2, 4, 1), nn.ReLU(), nn.ReLU(inplace=True))
        with torch.no_grad():
            self.layer[0].weight.fill_(1.0)
            self.layer[0].bias.copy_(torch.tensor([0.0, -9.0, 0.0, -9.0]))  # type: ignore[union-attr]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.layer(x) - 1.0)
        x = nn.functional.relu(x - 1.0)
        return (x - 1.0).relu()


def test_relus_count_however_they_are_called() -> None:
    network = Relus()
    with FiringChannels(network) as firing, torch.no_grad():
        network(torch.ones(1, 2, 3, 3))
        network(2 * torch.ones(1, 2, 3, 3))
    torch.relu(torch.ones(1, 2))  # not of the network
    assert {name: fired.tolist() for name, fired in firing.fired.items()} == {
        "layer.1.relu0": [True, False, True, False],
        "layer.2.relu0": [True, False, True, False],
        ".relu0": [True, False, True, False],
        ".relu1": [True, False, True, False],
        ".relu2": [True, False, True, False],
    }
    assert not network.layer[0]._forward_hooks


def test_a_warning_names_layers_above_a_tenth(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.WARNING):
        report({"a": (0, 64), "b": (6, 64), "c": (7, 64)})
    assert [record.message.split(" (")[0] for record in caplog.records] == [
        "c: 7 of 64 channels never fired, and learn nothing any more"
    ]
    out = capsys.readouterr().out
    assert "13 of 192 channels never fired on the validation frames (6.8 %); 1 of 3" in out
    assert "b: 6 of 64 channels never fired" in out
