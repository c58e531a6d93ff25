# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The three stages: what each trains, what it starts from, and that it resumes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.simulator import write_scenario
from quantv2x_ros.training.checkpoint import load_checkpoint
from quantv2x_ros.training.config import (
    CodebookSection,
    GridSection,
    NetworkSection,
    OptimizerSection,
    SampleSection,
    TrainingConfig,
    TrainingConfigError,
)
from quantv2x_ros.training.data_module import EpochSampler, SplitModule
from quantv2x_ros.training.losses import LossWeights, occupancy_loss
from quantv2x_ros.training.module import StageModule, step_losses
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.stage import BEST_FILE, LAST_FILE, Devices, StageRun, run_stage
from quantv2x_ros.training.start import NETWORK_FILE, read_weights

GRID = GridSection((-25.6, -25.6, -5.0, 25.6, 25.6, 1.0), (0.4, 0.4, 6.0))


def small_stage(stage: int, **changes: object) -> TrainingConfig:
    """A stage of four steps in two epochs."""
    config = TrainingConfig(
        stage=stage,
        epochs=2,
        epoch_samples=2,
        batch=1,
        validate_frames=1,
        save_every=1000,
        grid=GRID,
        network=NetworkSection(levels=2, dict_size=16),
        samples=SampleSection(window=(6.4, 6.4), max_agents=2, jitter=(1.0, 1.0), reach=25.0),
        optimizer=OptimizerSection(learning_rate=1e-3, milestones=(), average=0.5),
        codebook=CodebookSection(kmeans_frames=2, revive_every=2),
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def run(config: TrainingConfig, data: Path, out: Path, **changes: object) -> Path:
    """Train a stage on the CPU."""
    values = {"devices": Devices("cpu", "1"), **changes}
    return run_stage(StageRun(config, data, out, **values))  # type: ignore[arg-type]


def assert_same(first: Path, second: Path) -> None:
    """Both files hold the same tensors, bit by bit."""
    one, other = read_weights(first), read_weights(second)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


SENDER = ("pillar_encoder.", "backbone.", "codebook.")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two training scenes, and one to validate on in a dataset of its own."""
    root = tmp_path_factory.mktemp("world")
    for folder, seed in (("data/train", 5), ("data/train", 6), ("other", 7)):
        write_scenario(root / folder / f"scene_{seed}", seed=seed, frames=1, agents=2)
    return root


@pytest.fixture(scope="module")
def data(world):
    return world / "data"


@pytest.fixture(scope="module")
def first_stage(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("stage1")
    run(small_stage(1), world / "data", out, validation=world / "other")
    return out


@pytest.fixture(scope="module")
def second_stage(data, first_stage, tmp_path_factory):
    out = tmp_path_factory.mktemp("stage2")
    run(small_stage(2), data, out, start=first_stage)
    return out


@pytest.fixture(scope="module")
def third_stage(data, second_stage, tmp_path_factory):
    out = tmp_path_factory.mktemp("stage3")
    run(noisy_stage(), data, out, start=second_stage)
    return out


def noisy_stage():
    """Stage 3 with all that is random: samples, Gumbel noise, codewords that are moved."""
    codebook = CodebookSection(sampling="gumbel", kmeans_frames=0, revive_every=2)
    return small_stage(3, codebook=codebook)


def changed(before: Path, after: Path) -> set[str]:
    """Names of tensors, statistics included, that differ."""
    old, new = read_weights(before), read_weights(after)
    return {name for name, value in old.items() if not torch.equal(value, new[name])}


def test_a_stage_leaves_network_last_and_best_state_and_logs(first_stage):
    names = {path.name for path in first_stage.iterdir()}
    assert {NETWORK_FILE, LAST_FILE, BEST_FILE, "tensorboard"} <= names
    assert load_checkpoint(first_stage / BEST_FILE).config == small_stage(1).network_config()
    assert list((first_stage / "tensorboard").glob("events.out.tfevents.*"))


def test_stage_one_has_no_codebook(first_stage):
    assert not any(name.startswith("codebook.") for name in read_weights(first_stage))


def test_stage_two_trains_the_codebook_and_leaves_all_else_batchnorm_too(first_stage, second_stage):
    assert changed(first_stage, second_stage) == set()
    assert any(name.startswith("codebook.") for name in read_weights(second_stage))


def test_stage_three_trains_every_part(second_stage, third_stage):
    parts = {name.split(".")[0] for name in changed(second_stage, third_stage)}
    assert parts == {name.split(".")[0] for name in read_weights(second_stage)}


def test_another_codebook_takes_the_place_of_the_checkpoints(data, second_stage, tmp_path):
    other = NetworkSection(codebook="revqom", levels=2, dict_size=8, reduced=8, groups=2, ema=0.9)
    run(small_stage(2, network=other), data, tmp_path, start=second_stage, new_codebook=True)
    before, after = read_weights(second_stage), read_weights(tmp_path)
    parts = {name: value for name, value in after.items() if not name.startswith("codebook.")}
    assert parts
    assert all(torch.equal(value, before[name]) for name, value in parts.items())
    network = load_checkpoint(tmp_path / NETWORK_FILE)
    assert network.codebook is not None
    assert network.config.codebook == "revqom"


@pytest.mark.parametrize(
    ("config", "start", "problem"),
    [
        ({"stage": 3}, False, "give it as start"),
        ({"stage": 1}, True, "stage 1 has no codebook"),
        ({"stage": 3, "frozen": "sender"}, True, "keeps the sender as it is"),
    ],
)
def test_a_new_codebook_where_there_can_be_none_is_refused(
    data, second_stage, tmp_path, config, start, problem
):
    with pytest.raises(TrainingConfigError, match=problem):
        run(
            small_stage(**config),
            data,
            tmp_path,
            start=second_stage if start else None,
            new_codebook=True,
        )


def test_a_frozen_sender_keeps_codes_and_statistics_while_the_receiver_learns(
    data, second_stage, tmp_path
):
    run(small_stage(3, frozen="sender"), data, tmp_path, start=second_stage)
    names = changed(second_stage, tmp_path)
    assert names
    assert not any(name.startswith(SENDER) for name in names)


def test_unused_codewords_move_where_convolutions_are_in_bfloat16(data, first_stage, tmp_path):
    config = small_stage(
        3,
        precision="bf16-mixed",
        network=NetworkSection(levels=2, dict_size=128),
        codebook=CodebookSection(kmeans_frames=0, revive_every=1),
    )
    run(config, data, tmp_path, start=first_stage)
    log = EventAccumulator(str(tmp_path / "tensorboard"))
    log.Reload()
    assert max(event.value for event in log.Scalars("codebook/revived")) > 0


@pytest.mark.parametrize("stage", [2, 3])
def test_a_frozen_part_needs_weights_to_start_from(data, tmp_path, stage):
    frozen = "sender" if stage == 3 else ""
    with pytest.raises(TrainingConfigError, match="give the checkpoint of the stage before"):
        run(small_stage(stage, frozen=frozen), data, tmp_path)


def test_a_run_interrupted_within_an_epoch_resumes_to_the_same_result(
    data, second_stage, third_stage, tmp_path
):
    run(noisy_stage(), data, tmp_path, start=second_stage, max_steps=3)
    assert changed(third_stage, tmp_path)
    run(noisy_stage(), data, tmp_path, resume=True)
    assert_same(third_stage, tmp_path)


def test_nothing_to_resume_is_said(data, tmp_path):
    with pytest.raises(TrainingConfigError, match=r"there is no .*last\.ckpt"):
        run(small_stage(1), data, tmp_path, resume=True)


def test_an_empty_split_is_named(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(DatasetError, match="train"):
        run(small_stage(1), tmp_path, tmp_path / "out")


def test_a_loss_that_is_not_finite_stops_training_and_says_where(data, first_stage, tmp_path):
    weights = read_weights(first_stage)
    weights["cls_head.bias"].fill_(float("nan"))
    torch.save(weights, tmp_path / "start.pt")
    with pytest.raises(FloatingPointError, match="step 1"):
        run(small_stage(1), data, tmp_path / "out", start=tmp_path / "start.pt")


def one_batch(data, config):
    module = SplitModule(data, config, AnchorSet.v2x_real())
    return next(iter(module.train_dataloader()))


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_occupancy_is_supervised_in_every_stage(data, stage):
    config = small_stage(stage, codebook=CodebookSection(kmeans_frames=0))
    network = QuantV2XNetwork(config.network_config())
    module = StageModule(network, config, AnchorSet.v2x_real(), 1).train()
    losses, _, _ = step_losses(network, *one_batch(data, config), config.losses)
    assert losses["occupancy"] > 0
    if stage != 2:
        losses["occupancy"].backward()
        for head in network.pyramid.occupancy_heads:
            assert head.weight.grad.abs().sum() > 0
    else:
        assert not module.network.pyramid.training


def test_occupancy_targets_hold_every_class_and_nothing_but_0_and_1(data):
    from quantv2x_ros.core.geometry.grid import BevGrid
    from quantv2x_ros.training.targets import occupancy_map

    grid = BevGrid(small_stage(1).grid.lidar_range, small_stage(1).grid.voxel_size)
    boxes = np.array(
        [[5, 5, -1, 4, 2, 1.5, 0], [-8, 3, -1, 0.6, 0.6, 1.7, 0], [0, -9, -1, 9, 2.6, 3, 0]],
        np.float32,
    )
    occupied = occupancy_map(boxes, grid)
    y, x = grid.cell_centres()
    for box in boxes:
        assert occupied[np.abs(y - box[1]).argmin(), np.abs(x - box[0]).argmin()] == 1
    assert set(np.unique(occupied)) == {0.0, 1.0}
    # a cell beside an object counts as free: a confident 1 there costs more than a 0
    free = torch.from_numpy(occupied)[None, None]
    sure = [torch.where(free > 0, 4.0, value) for value in (4.0, -4.0)]
    wrong, right = (occupancy_loss([s], free, LossWeights(occupancy=(1.0,))) for s in sure)
    assert wrong > 10 * right


def test_evaluation_takes_the_nearest_code_and_changes_nothing(data):
    config = small_stage(3, codebook=CodebookSection(sampling="gumbel", kmeans_frames=0))
    network = QuantV2XNetwork(config.network_config()).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rng = np.random.default_rng(0)
    cloud = np.column_stack([rng.uniform(-20, 20, (4000, 2)), rng.uniform(-2, 0, 4000)])
    cloud = np.column_stack([cloud, np.zeros(4000)]).astype(np.float32)
    first, second = (network.forward_points([cloud], np.eye(4)[None]) for _ in range(2))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("done", [0, 3, 5, 9])
def test_samples_go_on_where_a_run_stopped_on_every_rank(done):
    def numbers(skip):
        seen = []
        for rank in range(2):
            sampler = EpochSampler(3, 5, rank=rank, ranks=2)
            sampler.done = skip
            for epoch in range(skip // 5, 2):
                sampler.set_epoch(epoch)
                seen += [n for step in sampler for n in step]
        return sorted(seen)

    assert EpochSampler(1, 1).sampler.set_epoch  # what Lightning calls between epochs
    assert numbers(0) == list(range(60))
    assert numbers(done) == list(range(done * 6, 60))


def test_the_learning_rate_follows_the_published_schedule():
    settings = OptimizerSection()
    rates = [settings.factor(epoch * 10, 10, 300) for epoch in (0, 14, 15, 24, 25)]
    assert rates == pytest.approx([1.0, 1.0, 0.1, 0.1, 0.01])
    ramp = replace(settings, milestones=(), warm_up=10, decay=0.5)
    assert ramp.factor(0, 10, 100) < 0.1
    assert ramp.factor(40, 10, 100) == 1.0
    assert ramp.factor(75, 10, 100) == pytest.approx(0.5)
