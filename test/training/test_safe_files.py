# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A disk that is full while a checkpoint is saved costs nothing that was there before."""

import resource
import signal

import pytest
import torch

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.training.network import NetworkConfig, QuantV2XNetwork
from quantv2x_ros.training.safe_files import SafeCheckpointIO, save_network

GRID = BevGrid((-12.8, -12.8, -5.0, 12.8, 12.8, 1.0), (0.4, 0.4, 6.0))


@pytest.fixture
def disk_for_a_megabyte():
    """No file may grow beyond a megabyte: writes fail as on a full disk."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, old[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, old)
    signal.signal(signal.SIGXFSZ, handler)


def save_state(path, value):
    SafeCheckpointIO().save_checkpoint({"weights": torch.full((500_000,), value)}, path)


def save_weights(path, value):
    network = QuantV2XNetwork(NetworkConfig(grid=GRID, levels=0))
    torch.nn.init.constant_(network.cls_head.bias, value)
    save_network(network, path)


@pytest.mark.parametrize("save", [save_state, save_weights])
def test_the_last_good_file_survives_a_full_disk(tmp_path, disk_for_a_megabyte, save):
    path = tmp_path / "file"
    save(path, 1.0)
    before = path.read_bytes()
    disk_for_a_megabyte()
    with pytest.raises(OSError, match="could not be written, the file before is kept"):
        save(path, 2.0)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("save", [save_state, save_weights])
def test_a_first_file_is_whole_or_not_there(tmp_path, disk_for_a_megabyte, save):
    disk_for_a_megabyte()
    with pytest.raises(OSError, match="nothing was saved"):
        save(tmp_path / "file", 1.0)
    assert not list(tmp_path.iterdir())
