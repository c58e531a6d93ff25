# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs one stage of training with Lightning."""

from __future__ import annotations

import logging
import signal
import sys
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import (
    Callback,
    ModelCheckpoint,
    ProgressBar,
    RichProgressBar,
    WeightAveraging,
)
from lightning.pytorch.loggers import TensorBoardLogger

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.training.codebook import TrainableCodebook
from quantv2x_ros.training.codebook_init import initialise_codebook, set_prices
from quantv2x_ros.training.config import TrainingConfig, TrainingConfigError
from quantv2x_ros.training.data_module import SplitModule
from quantv2x_ros.training.firing import ChannelHealth
from quantv2x_ros.training.float_precision import choose_precision
from quantv2x_ros.training.module import StageModule
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.revival import revive_channels
from quantv2x_ros.training.safe_files import LastState, SafeCheckpointIO, save_network
from quantv2x_ros.training.samples import Sample
from quantv2x_ros.training.start import NETWORK_FILE, has_own_norm, load_start, read_weights


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


_LOGGER = logging.getLogger(__name__)

#: Frames on which codewords are counted before they are priced.
_PRICED_FRAMES = 20

#: The newest state of a run, to resume from.
LAST_FILE = "last.ckpt"

#: The weights of the best epoch, where there were frames to validate on.
BEST_FILE = "best.safetensors"


@dataclass(frozen=True)
class Devices:
    """What trains: Lightning's settings of the same names."""

    accelerator: str = "auto"
    devices: str = "auto"
    nodes: int = 1
    strategy: str = "auto"
    sync_batchnorm: bool = False


@dataclass(frozen=True)
class StageRun:
    """One run of one stage.

    Attributes:
        config: the stage.
        data: the dataset, see `SplitModule`.
        out: folder of this stage: checkpoints, logs, and at the end the network.
        start: weights to start from, see `start.read_weights`; None for random ones.
        new_codebook: forget the codebook of ``start`` and make a new one from its features.
        resume: go on from the last checkpoint in ``out``.
        validation: another dataset to validate on.
        workers: processes that make samples.
        skip_broken: go on without files that are damaged.
        devices: what trains.
        max_steps: stop after so many steps, a checkpoint left behind; -1 trains all epochs.
    """

    config: TrainingConfig
    data: Path
    out: Path
    start: Path | None = None
    new_codebook: bool = False
    resume: bool = False
    validation: Path | None = None
    workers: int = 0
    skip_broken: bool = False
    devices: Devices = Devices()
    max_steps: int = -1


@torch.no_grad()
def collect_features(
    network: QuantV2XNetwork, samples: Iterable[tuple[Sample, list[int]]], frames: int
) -> torch.Tensor:
    """Return the cells (P, 64) of the encoder's maps of the first samples, one in three."""
    network.eval()
    cells = []
    for number, (sample, _) in enumerate(samples):
        maps = network.encode(sample.pillars).float()
        cells.append(maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])[::3])
        if number + 1 == frames:
            break
    return torch.cat(cells)


def build_network(run: StageRun, data: SplitModule) -> QuantV2XNetwork:
    """Return the network that a stage starts with.

    Raises:
        CheckpointError: if ``start`` does not fit.
        TrainingConfigError: for a stage 2 or a frozen sender without weights to start from, or a
            new codebook where there can be none.
    """
    config = run.config
    if run.start is None and not run.resume and (config.stage == 2 or config.frozen):
        raise TrainingConfigError(
            f"stage {config.stage} keeps a part of the network as it is: give the checkpoint of the"
            " stage before as start"
        )
    torch.manual_seed(config.seed)
    network = QuantV2XNetwork(config.network_config())
    if run.new_codebook:
        _check_new_codebook(run, network)
    coded = load_start(network, run.start, new_codebook=run.new_codebook) if run.start else False
    frames = config.codebook.kmeans_frames
    if network.codebook is not None and not coded and frames and not run.resume:
        features = collect_features(network, data.train_dataloader(), frames)
        initialise_codebook(network.codebook, features, config.seed)
    if config.codebook.bit_cost and not run.resume:
        _set_prices(network, data, config)
    if run.start is not None and not run.resume:
        _start_alive(network, data, run)
    return network


def _start_alive(network: QuantV2XNetwork, data: SplitModule, run: StageRun) -> None:
    """Make channels anew that no longer fire, and new BatchNorms begin as what was without them."""
    config = run.config
    assert run.start is not None
    if not config.revive_frames:
        if config.network.shrink_norm and not has_own_norm(read_weights(run.start)):
            raise TrainingConfigError(
                f"network shrink_norm is true, but {run.start} was trained without: set"
                " revive_frames to 16 or so, on which its statistics are taken"
            )
        return
    batches = islice(iter(data.train_dataloader()), config.revive_frames)
    for name, count in revive_channels(network, batches, config.seed).items():
        print(f"{name}: {count} channels made anew", flush=True)


def _check_new_codebook(run: StageRun, network: QuantV2XNetwork) -> None:
    """Refuse a new codebook where nothing would come of it, or indices must keep their meaning."""
    if run.start is None:
        raise TrainingConfigError("new_codebook replaces that of a checkpoint: give it as start")
    if network.codebook is None:
        raise TrainingConfigError(
            f"new_codebook: this stage {run.config.stage} has no codebook; give stage 2, or"
            " network levels of 1 or more"
        )
    if run.config.frozen:
        raise TrainingConfigError(
            f"new_codebook: this stage keeps the {run.config.frozen} as it is, with its codebook;"
            " give stage 2, which trains the codebook alone"
        )


def _set_prices(network: QuantV2XNetwork, data: SplitModule, config: TrainingConfig) -> None:
    """Price the codewords by what they cost on whole maps of the training frames."""
    if not isinstance(network.codebook, TrainableCodebook):
        raise TrainingConfigError(
            f"codebook bit_cost is {config.codebook.bit_cost}, but this stage has no residual"
            " codebook, whose codewords alone can have prices; set it to 0"
        )
    features = collect_features(network, data.whole_frames(), _PRICED_FRAMES)
    bits = set_prices(network.codebook, features, config.codebook.bit_cost)
    mean = (torch.exp2(-bits) * bits).sum(dim=1)
    _LOGGER.info("bits a cell before prices: %s", ", ".join(f"{b:.2f}" for b in mean.tolist()))


def _callbacks(run: StageRun, validated: bool) -> list[Callback]:
    config = run.config
    callbacks: list[Callback] = [
        LastState(run.out / LAST_FILE, config.save_every),
        training_progress(),
        EndOnTermination(),
    ]
    if validated:
        callbacks.append(ChannelHealth())
        best = ModelCheckpoint(
            run.out,
            filename="best",
            monitor="validate/mAP_0.5",
            mode="max",
            enable_version_counter=False,
        )
        callbacks.append(best)
    if config.optimizer.average:
        average = torch.optim.swa_utils.get_ema_multi_avg_fn(config.optimizer.average)
        callbacks.append(WeightAveraging(multi_avg_fn=average))
    return callbacks


def _trainer(run: StageRun, validated: bool, samples: int) -> lightning.Trainer:
    config, devices = run.config, run.devices
    callbacks = _callbacks(run, validated)
    options: dict[str, Any] = {"precision": choose_precision(config.precision, devices.accelerator)}
    if config.optimizer.clip:
        options["gradient_clip_val"] = config.optimizer.clip
    return lightning.Trainer(
        accelerator=devices.accelerator,
        devices=devices.devices,
        num_nodes=devices.nodes,
        strategy=devices.strategy,
        sync_batchnorm=devices.sync_batchnorm,
        max_epochs=config.epochs,
        max_steps=run.max_steps,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        limit_val_batches=None if validated else 0,
        log_every_n_steps=min(10, config.steps_per_epoch(samples, 1)),
        logger=TensorBoardLogger(run.out, name="tensorboard", version=""),
        callbacks=callbacks,
        plugins=[SafeCheckpointIO()],
        enable_model_summary=False,
        enable_progress_bar=any(isinstance(c, ProgressBar) for c in callbacks),
        **options,
    )


def _quiet() -> None:
    """Silence what Lightning says about itself, but for warnings that a user can act on."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    for message in (
        ".*exists and is not empty",
        ".*LeafSpec",
        ".*does not have many workers",
        ".*in eval mode at the start of training",  # what a stage freezes
        ".*sync_dist=True",  # all processes have the same results already
        ".*dataloader is not resumable",  # it is: EpochSampler leaves out what was done
    ):
        warnings.filterwarnings("ignore", message)


def run_stage(run: StageRun) -> Path:
    """Train one stage.

    Returns:
        The file with the trained network: averaged weights, if the configuration says so.

    Raises:
        TrainingConfigError: for settings that do not fit each other, or nothing to resume.
        CheckpointError: if ``start`` does not fit.
        DatasetError: for a dataset that is empty or damaged.
        OSError: if a file cannot be read or written.
        DivergedError: if the loss is no longer finite.
    """
    _quiet()
    last = run.out / LAST_FILE
    if run.resume and not last.is_file():
        raise TrainingConfigError(f"nothing to resume: there is no {last}")
    anchors = AnchorSet.v2x_real()
    data = SplitModule(
        run.data,
        run.config,
        anchors,
        workers=run.workers,
        validation=run.validation,
        skip_broken=run.skip_broken,
    )
    module = StageModule(build_network(run, data), run.config, anchors, data.epoch_samples)
    trainer = _trainer(run, data.validation is not None, data.epoch_samples)
    if run.resume:
        data.resume_at(int(torch.load(last, weights_only=True, mmap=True)["global_step"]))
    trainer.fit(
        module, datamodule=data, ckpt_path=str(last) if run.resume else None, weights_only=True
    )
    file = run.out / NETWORK_FILE
    if trainer.is_global_zero:
        save_network(module.network, file)
        _save_best(trainer, run)
    return file


def _save_best(trainer: lightning.Trainer, run: StageRun) -> None:
    """Write the weights of the best epoch as a file of their own."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.best_model_path:
            network = QuantV2XNetwork(run.config.network_config())
            load_start(network, Path(callback.best_model_path))
            save_network(network, run.out / BEST_FILE)
