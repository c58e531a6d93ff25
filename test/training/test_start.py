# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A stage starts from this package's files and published ones, and refuses others by name."""

import pytest
import torch
from safetensors.torch import save_file

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.training.network import NetworkConfig, QuantV2XNetwork
from quantv2x_ros.training.published import CheckpointError, to_published
from quantv2x_ros.training.safe_files import save_network
from quantv2x_ros.training.start import NETWORK_FILE, load_start

GRID = BevGrid((-12.8, -12.8, -5.0, 12.8, 12.8, 1.0), (0.4, 0.4, 6.0))


def network(levels=2, size=16, seed=0):
    torch.manual_seed(seed)
    return QuantV2XNetwork(NetworkConfig(grid=GRID, levels=levels, dict_size=size))


def weights(source):
    state = source.state_dict()
    return {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}


def write(source, kind, folder):
    if kind == "folder":
        save_network(source, folder / NETWORK_FILE)
        return folder
    path = folder / f"weights.{'safetensors' if 'safe' in kind else 'ckpt'}"
    if kind == "safetensors":
        save_network(source, path)
    elif kind == "published safetensors":
        published = {k: torch.from_numpy(v) for k, v in to_published(weights(source)).items()}
        save_file(published, path)
    elif kind == "published torch":
        published = {k: torch.from_numpy(v) for k, v in to_published(weights(source)).items()}
        torch.save({"model_state_dict": published, "epoch": 3}, path)
    else:
        state = {f"network.{k}": v for k, v in source.state_dict().items()}
        torch.save({"state_dict": {**state, "usage.counts": torch.zeros(2)}}, path)
    return path


@pytest.mark.parametrize(
    "kind", ["folder", "safetensors", "lightning", "published torch", "published safetensors"]
)
def test_weights_come_back_whole_from_every_kind_of_file(tmp_path, kind):
    source, target = network(seed=0), network(seed=1)
    assert load_start(target, write(source, kind, tmp_path)) is True
    for name, value in weights(source).items():
        assert torch.equal(value, weights(target)[name]), name


def test_a_network_without_codebook_starts_one_with(tmp_path):
    source, target = network(levels=0), network(levels=2)
    before = target.codebook.levels[0].codebook.clone()
    assert load_start(target, write(source, "safetensors", tmp_path)) is False
    assert torch.equal(target.codebook.levels[0].codebook, before)
    assert torch.equal(target.cls_head.weight, source.cls_head.weight)


def test_a_codebook_of_another_size_is_named_with_both_shapes(tmp_path):
    path = write(network(size=8), "safetensors", tmp_path)
    with pytest.raises(CheckpointError, match=r"levels\.0\.codebook has shape \(1, 8, 64\), exp"):
        load_start(network(size=16), path)


@pytest.mark.parametrize("levels", [1, 3])
def test_a_codebook_can_be_forgotten_for_one_of_another_size(tmp_path, levels):
    source, target = network(levels=2, size=8), network(levels=levels, size=16, seed=1)
    before = {k: v.clone() for k, v in weights(target).items() if k.startswith("codebook.")}
    path = write(source, "safetensors", tmp_path)
    assert load_start(target, path, new_codebook=True) is False
    for name, value in weights(target).items():
        expected = before[name] if name in before else weights(source)[name]
        assert torch.equal(value, expected), name


def test_a_codebook_does_not_fit_a_stage_without_one(tmp_path):
    path = write(network(), "safetensors", tmp_path)
    with pytest.raises(CheckpointError, match="this stage has no codebook"):
        load_start(network(levels=0), path)


def test_another_architecture_is_refused_by_name(tmp_path):
    save_file(torch.nn.Linear(2, 2).state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"weight is missing.* more"):
        load_start(network(), tmp_path / "other.safetensors")


@pytest.mark.parametrize("name", ["broken.safetensors", "broken.pth"])
@pytest.mark.parametrize("content", [b"", b"no weights at all"])
def test_a_file_without_weights_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        load_start(network(), tmp_path / name)


def test_a_pickle_that_would_run_code_is_not_loaded(tmp_path):
    torch.save({"state_dict": print}, tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match=r"evil\.pth"):
        load_start(network(), tmp_path / "evil.pth")
