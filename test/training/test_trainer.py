# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training learns, survives a crash while saving, and codebooks start where features are."""

import itertools

import numpy as np
import pytest
import torch

from quantv2x_ros.core.anchors import AnchorSet
from quantv2x_ros.core.grid import BevGrid
from quantv2x_ros.training.codebook import ResidualCodebook
from quantv2x_ros.training.codebook_init import initialise_codebook
from quantv2x_ros.training.cooperative_frame import AgentView, CooperativeFrame
from quantv2x_ros.training.loader import collate
from quantv2x_ros.training.losses import LossWeights
from quantv2x_ros.training.network import NetworkConfig, QuantV2XNetwork
from quantv2x_ros.training.samples import SampleConfig, SampleMaker
from quantv2x_ros.training.trainer import TrainConfig, load_network, save_network, train

GRID = BevGrid((-12.8, -12.8, -5.0, 12.8, 12.8, 1.0), (0.4, 0.4, 6.0))


def small_network(levels: int) -> QuantV2XNetwork:
    torch.manual_seed(0)
    return QuantV2XNetwork(NetworkConfig(grid=GRID, levels=levels, score_gain=6.0))


def one_frame():
    rng = np.random.default_rng(0)
    boxes = np.array(
        [[4.0, 2.0, -1.0, 4.4, 1.8, 1.5, 0.1], [-5.0, -4.0, -1.0, 4.2, 1.8, 1.5, 1.5]], np.float32
    )
    clouds = [b[:3] + rng.uniform(-0.5, 0.5, (80, 3)) * [1.8, 1.8, 1.5] for b in boxes]
    points = np.column_stack([np.concatenate(clouds), np.zeros(160)]).astype(np.float32)
    view = AgentView(points, boxes, np.eye(4))
    frame = CooperativeFrame((view, view), boxes, np.array([1, 1]))
    return collate([SampleMaker(SampleConfig(GRID), AnchorSet.v2x_real())(frame)])


@pytest.mark.parametrize("levels", [0, 2])
def test_a_few_steps_on_one_frame_bring_every_loss_down(tmp_path, levels):
    network = small_network(levels)
    history = []
    schedule = TrainConfig(
        24, learning_rate=2e-3, average=0.5, save_every=12, report_every=8, bfloat16=False
    )
    train(
        network,
        itertools.repeat(one_frame()),
        schedule,
        LossWeights(),
        tmp_path / "network.safetensors",
        lambda step, losses, seconds: history.append(losses),
    )
    first, last = history[0], history[-1]
    assert last["cls"] < 0.7 * first["cls"]
    assert last["box"] < 0.7 * first["box"]
    assert last["occupancy"] < first["occupancy"]
    again = small_network(levels)
    assert load_network(again, tmp_path / "network.safetensors") == []
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_a_network_without_codebook_starts_one_with(tmp_path):
    save_network(small_network(0), tmp_path / "full.safetensors")
    network = small_network(3)
    missing = load_network(network, tmp_path / "full.safetensors")
    assert missing
    assert all(name.startswith("codebook.") for name in missing)


def test_another_architecture_is_refused_by_name(tmp_path):
    save_network(torch.nn.Linear(2, 2), tmp_path / "other.safetensors")
    with pytest.raises(RuntimeError, match=r"another architecture.*bias"):
        load_network(small_network(0), tmp_path / "other.safetensors")


def test_a_failed_save_leaves_the_last_good_file(tmp_path, monkeypatch):
    path = tmp_path / "network.safetensors"
    save_network(torch.nn.Linear(2, 2), path)
    before = path.read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("quantv2x_ros.training.trainer.save_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_network(torch.nn.Linear(2, 2), path)
    assert path.read_bytes() == before


def test_training_stops_with_a_clear_error_when_the_loss_is_not_finite(tmp_path):
    network = small_network(0)
    with torch.no_grad():
        network.cls_head.bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="step 1"):
        train(
            network,
            itertools.repeat(one_frame()),
            TrainConfig(2, bfloat16=False),
            LossWeights(),
            tmp_path / "n.safetensors",
            lambda *_: None,
        )


def test_every_level_of_the_initial_codebook_lowers_the_error():
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(4000, 16, generator=generator) @ torch.randn(16, 64, generator=generator)
    errors = []
    for levels in (1, 2, 3):
        codebook = ResidualCodebook(64, levels=levels, size=32)
        initialise_codebook(codebook, features, seed=0)
        codes, _ = codebook.encode(features)
        errors.append(float(((codebook.decode(codes) - features) ** 2).mean()))
    assert errors[0] < 0.7 * float((features**2).mean())
    assert errors[2] < errors[1] < errors[0]


def test_a_frozen_sender_keeps_its_weights_and_statistics_while_the_receiver_learns(tmp_path):
    network = small_network(2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.freeze_sender()
    schedule = TrainConfig(2, learning_rate=1e-3, average=0.5, bfloat16=False)
    batches = itertools.repeat(one_frame())
    train(network, batches, schedule, LossWeights(), tmp_path / "n.safetensors", lambda *_: None)
    for name, value in network.state_dict().items():
        sender = name.startswith(("pillar_encoder.", "backbone.", "codebook."))
        if sender or name.endswith("weight"):
            assert torch.equal(value, before[name]) == sender, name
