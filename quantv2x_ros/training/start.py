# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights that a stage starts from: of the stage before, of a bundle, or published."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from quantv2x_ros.training.checkpoint import load_checkpoint
from quantv2x_ros.training.config import load_config
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.published import CheckpointError, check_fit, from_published

#: What a stage leaves in its folder.
NETWORK_FILE = "network.safetensors"

_LIGHTNING_PREFIX = "network."
_CODEBOOK_PREFIX = "codebook."
#: BatchNorm that published networks lack.
_OWN_NORM = re.compile(r"^shrink\.\d\.norm\.")


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict in this network's names.

    Args:
        path: a stage's folder, a ``.safetensors`` file, a Lightning checkpoint (``.ckpt``), or a
            torch file; the names may be published ones.

    Raises:
        CheckpointError: not such a file, or of another architecture.
        OSError: it cannot be read.
    """
    if path.is_dir():
        path = path / NETWORK_FILE
    try:
        if path.suffix == ".safetensors":
            state: Mapping[str, torch.Tensor] = safetensors.torch.load_file(path)
        else:
            state = _torch_state(path)
    except (safetensors.SafetensorError, pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise CheckpointError(f"checkpoint {path}: not readable as weights: {error}") from error
    if any(name.startswith(("encoder_m1.", "backbone_m1.", "pyramid_backbone.")) for name in state):
        return from_published(state)
    if any(name.startswith(_LIGHTNING_PREFIX) for name in state):
        cut = len(_LIGHTNING_PREFIX)
        state = {k[cut:]: v for k, v in state.items() if k.startswith(_LIGHTNING_PREFIX)}
    return {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}


def _torch_state(path: Path) -> Mapping[str, torch.Tensor]:
    """Read a torch file without running code of it; the weights may lie under a usual key."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    tensors = isinstance(content, Mapping) and all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in content.items()
    )
    if not tensors:
        raise CheckpointError(f"checkpoint {path}: holds no state dict")
    state: Mapping[str, torch.Tensor] = content
    return state


def open_network(path: Path, stage: Path | None = None) -> QuantV2XNetwork:
    """Build a trained network, in eval mode.

    Args:
        path: what `train` left; with a stage, whatever `read_weights` reads.
        stage: configuration of the stage whose network this is, for weights that do not say their
            architecture, such as published ones; None where they do.

    Raises:
        CheckpointError: not such a file, or another network, or one without a codebook.
        TrainingConfigError: the configuration makes no sense.
        OSError: a file cannot be read.
    """
    if stage is None:
        return load_checkpoint(path)
    network = QuantV2XNetwork(load_config(stage).network_config())
    if not load_start(network, path):
        raise CheckpointError(f"checkpoint {path}: has no codebook, which a bundle needs")
    return network.eval()


def has_own_norm(state: Mapping[str, torch.Tensor]) -> bool:
    """Whether weights have the BatchNorm of `shrink_norm`."""
    return any(_OWN_NORM.match(name) for name in state)


def load_start(network: QuantV2XNetwork, path: Path, *, new_codebook: bool = False) -> bool:
    """Load the weights that a stage starts from.

    Args:
        network: changed in place. If it has a codebook and the file has none, the codebook stays;
            likewise the BatchNorm of `shrink_norm`.
        path: see `read_weights`.
        new_codebook: forget the file's codebook, which may be of another kind or size.

    Returns:
        Whether the network has got the file's codebook.

    Raises:
        CheckpointError: naming what is missing, superfluous or of another shape.
        OSError: it cannot be read.
    """
    state = read_weights(path)
    if new_codebook:
        state = {k: v for k, v in state.items() if not k.startswith(_CODEBOOK_PREFIX)}
    own = network.state_dict()
    coded = any(name.startswith(_CODEBOOK_PREFIX) for name in state)
    normed = has_own_norm(state)
    expected = {
        k: v
        for k, v in own.items()
        if (coded or not k.startswith(_CODEBOOK_PREFIX)) and (normed or not _OWN_NORM.match(k))
    }
    hint = "; this stage has no codebook" if coded and network.codebook is None else ""
    check_fit(state, expected, own, f"checkpoint {path}", hint)
    network.load_state_dict(state, strict=False)
    return coded
