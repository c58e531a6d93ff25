# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The training step of all three stages as a Lightning module."""

from __future__ import annotations

from typing import Any

import lightning
import numpy as np
import torch
from torch import nn

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.core.detection.detection import DetectionConfig, Detections, detect
from quantv2x_ros.core.detection.evaluation import AveragePrecision
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.training.codebook import Noise, Quantized
from quantv2x_ros.training.codebook_usage import CodebookUsage, revive
from quantv2x_ros.training.config import TrainingConfig, TrainingConfigError
from quantv2x_ros.training.head_outputs import HeadOutputs
from quantv2x_ros.training.losses import LossWeights, TargetBatch, detection_losses, occupancy_loss
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.samples import Sample

#: Low, so that the whole precision-recall curve counts.
DETECTION = DetectionConfig(score_threshold=0.05, class_aware=True)


class ValidationMetric:
    """Collects detections and truth of one pass over the validation frames.

    Args:
        anchors: the anchors.
        grid: the grid of the frames.
    """

    def __init__(self, anchors: AnchorSet, grid: BevGrid) -> None:
        self._names = anchors.names
        self._anchors = anchors.grid_anchors(grid)
        self._frames: list[tuple[Detections, Any, Any]] = []

    def reset(self) -> None:
        """Start a new pass."""
        self._frames.clear()

    def add(self, outputs: HeadOutputs, targets: TargetBatch) -> None:
        """Add a batch of frames: outputs of the heads, and the targets that hold the truth."""
        for index in range(len(outputs.cls)):
            maps = [
                np.ascontiguousarray(item[index].permute(1, 2, 0).float().cpu().numpy())
                for item in outputs
            ]
            found = detect(maps[0], maps[1], maps[2], self._anchors, DETECTION)
            self._frames.append((found, *self._truth(targets, index)))

    def _truth(self, targets: TargetBatch, index: int) -> tuple[Any, Any]:
        """Return one frame's boxes and labels."""
        first = sum(targets.box_counts[:index])
        part = slice(first, first + targets.box_counts[index])
        return targets.boxes[part].cpu().numpy(), targets.box_labels[part].cpu().numpy()

    def compute(self, strategy: Any) -> dict[str, float]:
        """Return average precision by name, of the frames of all processes.

        Raises:
            TrainingConfigError: if no frame holds an object.
        """
        gathered = [self._frames]
        if strategy.world_size > 1:
            gathered = [[] for _ in range(strategy.world_size)]
            torch.distributed.all_gather_object(gathered, self._frames)
        metric = AveragePrecision(self._names)
        for frames in gathered:
            for detections, boxes, labels in frames:
                metric.add(detections, boxes, labels)
        result: dict[str, Any] = dict(metric.compute())
        if not np.isfinite(result["mAP"]["0.5"]):
            raise TrainingConfigError("the validation frames hold no object: choose other frames")
        values = {f"validate/mAP_{iou}": value for iou, value in result["mAP"].items()}
        for name, by_iou in result["AP"].items():
            values |= {f"validate/{name}_{iou}": value for iou, value in by_iou.items()}
        return {name: value for name, value in values.items() if np.isfinite(value)}


class DivergedError(ValueError, FloatingPointError):
    """The loss is no longer finite."""


Batch = tuple[Sample, list[int]]

#: Cells that dead codewords may be moved to, drawn from a step's maps.
REVIVAL_CELLS = 20_000


def freeze_for_stage(network: QuantV2XNetwork, config: TrainingConfig) -> None:
    """Freeze what a stage does not train: its weights, and its BatchNorm in evaluation."""
    if config.stage == 2:
        network.freeze(part for name, part in network.named_children() if name != "codebook")
    elif config.frozen == "sender":
        network.freeze_sender()


def step_losses(
    network: QuantV2XNetwork,
    sample: Sample,
    agents: list[int],
    weights: LossWeights,
    noise: Noise | None = None,
) -> tuple[dict[str, torch.Tensor], HeadOutputs, Quantized | None]:
    """Run the network forward on a batch.

    Args:
        network: the network.
        sample: frames with their targets.
        agents: number of agents of each frame.
        weights: weights of the losses.
        noise: on the choice of codewords; None takes the nearest.

    Returns:
        The weighted losses, the outputs of the heads, and what the codebook made, if there is one.
    """
    features = network.encode(sample.pillars)
    losses, quantized = {}, None
    if network.codebook is not None:
        quantized = network.codebook(features, noise)
        features = network.heard(features, quantized.features, agents)
        losses["codebook"] = weights.codebook * quantized.loss
    outputs, occupancy = network.detect(features, sample.thetas, agents)
    losses.update(detection_losses(outputs, sample.targets, weights))
    losses["occupancy"] = occupancy_loss(occupancy, sample.targets.occupancy, weights)
    return losses, outputs, quantized


class StageModule(lightning.LightningModule):
    """One stage of training a network.

    Args:
        network: trained in place; channels last is set here.
        config: the stage.
        anchors: the anchors, for validation.
        epoch_samples: samples of an epoch, of all processes that train together.
    """

    def __init__(
        self,
        network: QuantV2XNetwork,
        config: TrainingConfig,
        anchors: AnchorSet,
        epoch_samples: int,
    ) -> None:
        super().__init__()
        self._epoch_samples = epoch_samples
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.config = config
        self.metric = ValidationMetric(anchors, config.bev_grid())
        self.usage: CodebookUsage | None = None
        if network.codebook is not None:
            self.usage = CodebookUsage(*network.codebook.shape)
        freeze_for_stage(network, config)

    def _noise(self) -> Noise | None:
        """Return this step's Gumbel noise: by seed, step and rank, so that resuming repeats it."""
        if self.config.codebook.sampling == "nearest":
            return None
        return Noise(self.config.codebook.temperature, self._generator(1))

    def _generator(self, purpose: int) -> torch.Generator:
        seed = (self.config.seed * 1_000_003 + self.global_step) * 8 + purpose
        return torch.Generator().manual_seed(seed * 4096 + self.global_rank)

    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        """Return the loss of a batch.

        Raises:
            DivergedError: if it is no longer finite.
        """
        sample, agents = batch
        self._maintain_codebook(sample)
        losses, _, quantized = step_losses(
            self.network, sample, agents, self.config.losses, self._noise()
        )
        total = torch.stack([loss.float() for loss in losses.values()]).sum()
        if not torch.isfinite(total):
            raise DivergedError(
                f"training: the loss is {float(total.detach())} at step {self.global_step + 1}:"
                f" { {name: float(loss.detach()) for name, loss in losses.items()} };"
                " lower the learning rate"
            )
        logged = {f"train/{name}": loss.detach().float() for name, loss in losses.items()}
        self.log_dict(logged, batch_size=len(agents))
        self.log("loss", total.detach(), prog_bar=True, logger=False, batch_size=len(agents))
        if quantized is not None and self.usage is not None:
            self.usage.add(quantized.indices)
        return total

    @torch.no_grad()
    def _maintain_codebook(self, sample: Sample) -> None:
        """Every few steps, report the codewords' use, and move those that nobody used.

        Before a step, not after it: its gradient needs the codewords that it took, and a run that
        resumes here finds the counts.
        """
        every, usage, codebook = (
            self.config.codebook.revive_every,
            self.usage,
            self.network.codebook,
        )
        if codebook is None or usage is None or not every:
            return
        if self.global_step == 0 or self.global_step % every:
            return
        for plane, (share, perplexity) in enumerate(
            zip(usage.used(), usage.perplexity(), strict=True)
        ):
            self.log(f"codebook/used_{plane}", share.float(), rank_zero_only=True)
            self.log(f"codebook/perplexity_{plane}", perplexity.float(), rank_zero_only=True)
        if any(parameter.requires_grad for parameter in codebook.parameters()):
            generator = self._generator(2)
            maps = self.network.encode(sample.pillars).float()
            cells = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])
            drawn = torch.randint(len(cells), (REVIVAL_CELLS,), generator=generator)
            with torch.autocast(cells.device.type, enabled=False):  # codewords are float32
                moved = revive(codebook, cells[drawn.to(cells.device)], usage, generator)
            self.log("codebook/revived", float(moved), rank_zero_only=True)
            for parameter in codebook.parameters():  # all ranks go on with the first one's
                parameter.data.copy_(self.trainer.strategy.broadcast(parameter.data))
        usage.reset()

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Detect on whole frames, with the nearest codewords, and compare with the truth."""
        sample, agents = batch
        losses, outputs, _ = step_losses(self.network, sample, agents, self.config.losses)
        total = torch.stack([loss.float() for loss in losses.values()]).sum()
        self.log("validate/loss", total, batch_size=len(agents), sync_dist=True)
        self.metric.add(outputs, sample.targets)

    def on_validation_epoch_end(self) -> None:
        """Log average precision by class and its mean."""
        results = self.metric.compute(self.trainer.strategy)
        self.log_dict(results, sync_dist=False)
        self.log("mAP", results["validate/mAP_0.5"], prog_bar=True, logger=False)
        self.metric.reset()

    def configure_optimizers(self) -> Any:
        """Return optimizer and schedule; the learning rate changes with every step."""
        settings = self.config.optimizer
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        kind = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
        optimizer = kind(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        # not the steps of this run: one that is to stop early and resume has the same schedule
        steps_per_epoch = self.config.steps_per_epoch(self._epoch_samples, self.trainer.world_size)
        steps = steps_per_epoch * self.config.epochs
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: settings.factor(step, steps_per_epoch, steps)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def trained_parts(network: nn.Module) -> list[str]:
    """Return the names of the network's parts that have something to train."""
    return [
        name
        for name, part in network.named_children()
        if any(parameter.requires_grad for parameter in part.parameters())
    ]
