# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How processes that train together are ended."""

from __future__ import annotations

import signal

import lightning
from lightning.pytorch.callbacks import Callback


class EndOnTermination(Callback):
    """Lets SIGTERM end a process that trains with others at once.

    Lightning's own handler tells the others by a collective operation. Where they are in another
    one, of the step, all wait for ever. The newest state on the disk is whole at any time, so
    nothing has to be done before the end.
    """

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Put the signal's own action back where several processes train."""
        if trainer.world_size > 1:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
