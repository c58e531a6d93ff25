# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that are whole or not there: a full disk never costs the last good one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import safetensors
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from quantv2x_ros.training.checkpoint import save_checkpoint
from quantv2x_ros.training.network import QuantV2XNetwork


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write; it takes the place of ``path`` if, and only if, all went well.

    Raises:
        OSError: naming ``path``: what was there before is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        # torch and safetensors report a full disk as errors of their own
        kept = "the file before is kept" if path.exists() else "nothing was saved"
        raise OSError(f"{path} could not be written, {kept}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def save_network(network: QuantV2XNetwork, path: Path) -> None:
    """Write a network's weights with its configuration, or leave the file before.

    Raises:
        OSError: it could not be written.
    """
    with replacing(path) as partial:
        save_checkpoint(network, partial)


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes Lightning's checkpoints beside the one before, then renames."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint; see `replacing`."""
        with replacing(Path(path)) as partial:
            torch.save(checkpoint, partial)


class LastState(Checkpoint):
    """Keeps the newest state of a run in one file, to resume from.

    Args:
        path: the file.
        every: steps between states, besides those at the end of each epoch and of the run.
    """

    def __init__(self, path: Path, every: int) -> None:
        self._path = path
        self._every = every

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        index: int,
    ) -> None:
        """Save every few steps, and after the last one."""
        if trainer.global_step % self._every == 0 or trainer.global_step == trainer.max_steps:
            trainer.save_checkpoint(self._path)

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        """Save after each epoch, unless the run stopped within it: that state is saved already."""
        if trainer.global_step != trainer.max_steps:
            trainer.save_checkpoint(self._path)
