# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What training shows: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
import time
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, RichProgressBar

#: Seconds between the lines of a log.
LINE_EVERY = 30.0


class ProgressLines(Callback):
    """Prints the losses now and then, where no terminal can show a bar."""

    def __init__(self) -> None:
        self._shown = -float("inf")

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        index: int,
    ) -> None:
        """Print a line if the one before is old."""
        if trainer.is_global_zero and time.monotonic() - self._shown >= LINE_EVERY:
            self._shown = time.monotonic()
            losses = {k: float(v) for k, v in trainer.callback_metrics.items() if "train/" in k}
            parts = "  ".join(f"{name[6:]} {value:.3f}" for name, value in losses.items())
            print(f"epoch {trainer.current_epoch} step {trainer.global_step}  {parts}", flush=True)

    def on_validation_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        """Print the mean average precision."""
        if trainer.is_global_zero:
            values = {k: float(v) for k, v in trainer.callback_metrics.items() if "/mAP" in k}
            parts = "  ".join(f"{name[9:]} {value:.3f}" for name, value in values.items())
            print(f"epoch {trainer.current_epoch} validation  {parts}", flush=True)


def training_progress() -> Callback:
    """Return the callback that shows progress here."""
    return RichProgressBar() if sys.stdout.isatty() else ProgressLines()
