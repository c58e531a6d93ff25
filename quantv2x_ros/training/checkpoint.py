# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""FP32 checkpoints as safetensors, with what is needed to build the network again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.training.network import NetworkConfig, QuantV2XNetwork
from quantv2x_ros.training.published import OPTIONAL, CheckpointError

_CONFIG_KEY = "quantv2x_ros.network"


def save_checkpoint(network: QuantV2XNetwork, path: str | Path) -> None:
    """Write all parameters and running statistics, FP32, and the network's configuration."""
    state = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(state, str(path), {_CONFIG_KEY: json.dumps(asdict(network.config))})
    Path(path).chmod(0o644)  # it is created for the owner only, but bundles are shared


def load_checkpoint(path: str | Path, config: NetworkConfig | None = None) -> QuantV2XNetwork:
    """Build the network of a checkpoint, in eval mode.

    Args:
        path: a file of save_checkpoint, or a plain state dict as the trainer writes.
        config: configuration of a plain state dict; a configuration in the file comes first.

    Raises:
        CheckpointError: not such a file, no configuration, or tensors that do not fit it.
        OSError: the file cannot be read.
    """
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            state = {
                name: file.get_tensor(name).to(torch.float32)
                for name in list(file.keys())
                if not name.endswith("num_batches_tracked")
            }
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"checkpoint {path}: not a safetensors file: {error}") from error
    if _CONFIG_KEY in metadata:
        config = _parse_config(metadata[_CONFIG_KEY])
    if config is None:
        raise CheckpointError(
            f"checkpoint {path}: no network configuration in its metadata; it was not written by "
            "this package. For a published one, name the configuration of its stage: --config "
            "config/training/published/stage3.yaml"
        )
    network = QuantV2XNetwork(config)
    own = set(network.state_dict())
    missing = {k for k in own - set(state) if not OPTIONAL.search(k)}
    if missing or set(state) - own:
        raise CheckpointError(
            f"checkpoint {path}: missing {sorted(missing)[:5]}, "
            f"superfluous {sorted(set(state) - own)[:5]}"
        )
    try:
        network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise CheckpointError(f"checkpoint {path}: {error}") from error
    return network.eval()


def _parse_config(text: str) -> NetworkConfig:
    values = json.loads(text)
    grid = values.pop("grid")
    return NetworkConfig(
        grid=BevGrid(tuple(grid["lidar_range"]), tuple(grid["voxel_size"]), grid["stride"]),
        **values,
    )
