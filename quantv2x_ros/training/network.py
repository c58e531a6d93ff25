# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The cooperative detection network in torch (docs/network.md, "The network")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from quantv2x_ros.core.geometry.grid import V2X_REAL_RANGE, V2X_REAL_VOXEL, BevGrid
from quantv2x_ros.core.geometry.pose import warp_theta
from quantv2x_ros.training.blocks import BasicBlock, NormedConvolution, PillarFeatureNet
from quantv2x_ros.training.codebook import TrainableCodebook
from quantv2x_ros.training.head_outputs import HeadOutputs, anchor_heads
from quantv2x_ros.training.light import (
    BLOCKS,
    PILLAR_CHANNELS,
    LightBackbone,
    LightHead,
    LightPyramid,
)
from quantv2x_ros.training.points import PillarInput, pillar_input
from quantv2x_ros.training.published import Tensors, check_fit, from_published
from quantv2x_ros.training.pyramid import PublishedPyramid, Pyramid
from quantv2x_ros.training.revqom import ReVQomCodebook

#: Architectures of the network.
ARCHITECTURES = ("published", "light")


class NetworkConfigError(ValueError):
    """An architecture that cannot be."""


@dataclass(frozen=True)
class NetworkConfig:
    """Architecture of the network.

    Attributes:
        grid: the grid at inference.
        classes: number of classes.
        yaws: anchor headings.
        levels: codebook levels; 0 is a network without codebook.
        segments: codebook segments.
        dict_size: codewords a level and segment.
        coded_ego: whether the ego's own feature goes through the codebook, too, as published; if
            not, only what is sent does.
        codebook: residual (docs/network.md, "Codebook") or revqom (docs/network.md, "ReVQom"),
            whose stages are the levels.
        reduced: channels after ReVQom's bottleneck.
        groups: groups of its group normalisation.
        ema: decay of its codewords' running averages.
        architecture: published, or light (docs/network.md, "The light architecture").
        block: kind of the light architecture's residual blocks, of `light.BLOCKS`.
        score_gain: factor on the fusion scores before their softmax over agents. 1 is as
            published; larger lets the agent that sees something outweigh those that do not.
        shrink_norm: BatchNorm behind the two shrink convolutions, which have none as published; it
            keeps their channels firing in training, and folds away at export.
    """

    grid: BevGrid = field(default_factory=BevGrid)
    classes: int = 3
    yaws: int = 2
    levels: int = 3
    segments: int = 1
    dict_size: int = 128
    score_gain: float = 1.0
    coded_ego: bool = True
    codebook: str = "residual"
    reduced: int = 16
    groups: int = 4
    ema: float = 0.95
    architecture: str = "published"
    block: str = BLOCKS[0]
    shrink_norm: bool = False

    def __post_init__(self) -> None:
        """Raise NetworkConfigError for an architecture or a codebook that cannot be."""
        for name, allowed in (("architecture", ARCHITECTURES), ("block", BLOCKS)):
            if getattr(self, name) not in allowed:
                raise NetworkConfigError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )
        if self.codebook not in ("residual", "revqom"):
            raise NetworkConfigError(f"codebook must be residual or revqom, got {self.codebook!r}")
        if self.codebook == "revqom":
            fits = self.groups >= 1 and self.reduced % self.groups == 0
            if self.segments != 1 or not fits or not 0.8 <= self.ema <= 0.99:
                raise NetworkConfigError(
                    "revqom needs one segment, reduced channels that fall into groups and an ema"
                    f" of 0.8 to 0.99, got {self.segments}, {self.reduced} in {self.groups} and"
                    f" {self.ema}"
                )

    def make_codebook(self) -> TrainableCodebook | ReVQomCodebook | None:
        """Return a new codebook; None for a network without one."""
        if not self.levels:
            return None
        if self.codebook == "revqom":
            return ReVQomCodebook(
                64, self.reduced, self.groups, self.levels, self.dict_size, self.ema
            )
        return TrainableCodebook(64, self.levels, self.segments, self.dict_size)


class QuantV2XNetwork(nn.Module):
    """Pillars, encoder, codebook, pyramid fusion and heads."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self._frozen: list[nn.Module] = []
        if config.architecture == "light":
            self._make_light()
        else:
            self._make_published()

    def _make_light(self) -> None:
        config = self.config
        self.pillar_encoder = PillarFeatureNet(PILLAR_CHANNELS)
        self.backbone: nn.Sequential = LightBackbone(config.block)
        self.codebook = config.make_codebook()
        self.pyramid: Pyramid = LightPyramid(config.score_gain, config.block)
        self.head = LightHead(config.block, config.classes, config.yaws)

    def _make_published(self) -> None:
        config = self.config
        self.pillar_encoder = PillarFeatureNet()
        self.backbone = nn.Sequential(
            BasicBlock(64, 64, 2), BasicBlock(64, 64, 1), BasicBlock(64, 64, 1)
        )
        self.codebook = config.make_codebook()
        self.pyramid = PublishedPyramid(config.score_gain)
        self.shrink = nn.Sequential(
            self._shrink_convolution(384), nn.ReLU(), self._shrink_convolution(256), nn.ReLU()
        )
        heads = anchor_heads(256, config.classes, config.yaws)
        self.cls_head, self.reg_head, self.dir_head = heads

    def _shrink_convolution(self, channels: int) -> nn.Conv2d:
        if self.config.shrink_norm:
            return NormedConvolution(channels, 256)
        return nn.Conv2d(channels, 256, 3, 1, 1)

    def freeze(self, parts: Iterable[nn.Module]) -> None:
        """Keep parts as they are from now on: weights, and BatchNorm's statistics."""
        self._frozen = list(parts)
        for part in self._frozen:
            part.requires_grad_(False)
        self.train(self.training)

    def freeze_sender(self) -> None:
        """Train from now on only what a receiver runs: indices keep their meaning."""
        sender = [self.pillar_encoder, self.backbone, self.codebook]
        self.freeze(part for part in sender if part is not None)

    def train(self, mode: bool = True) -> QuantV2XNetwork:
        """Switch to training or evaluation; frozen parts stay in evaluation."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self

    def scatter(self, pillars: PillarInput) -> torch.Tensor:
        """Return pillar features scattered into (N, C, rows, columns)."""
        # bfloat16 has 8 bits: a coordinate of 100 m would be known to half a metre
        with torch.autocast(pillars.features.device.type, enabled=False):
            values = self.pillar_encoder(pillars.features, pillars.point_pillar, pillars.counts)
        rows, columns = pillars.shape
        canvas = values.new_zeros((pillars.agents * rows * columns, values.shape[1]))
        canvas = canvas.index_copy(0, pillars.cells, values)
        return canvas.view(pillars.agents, rows, columns, -1).permute(0, 3, 1, 2)

    def encode(self, pillars: PillarInput) -> torch.Tensor:
        """Return the BEV feature (N, 64, H, W) of N agents."""
        features: torch.Tensor = self.backbone(self.scatter(pillars))
        return features

    def encode_points(self, points: Sequence[npt.NDArray[np.float32]]) -> torch.Tensor:
        """Return the BEV feature (N, 64, H, W) of N clouds (P, 4) on the network's own grid."""
        return self.encode(pillar_input(points, [self.config.grid] * len(points)))

    def heads(self, fused: Sequence[torch.Tensor]) -> HeadOutputs:
        """Return the outputs of the heads for the fused levels (B, C_i, H_i, W_i)."""
        if not isinstance(self.pyramid, PublishedPyramid):
            outputs: HeadOutputs = self.head(fused)
            return outputs
        shared = self.shrink(self.pyramid.merge(fused))
        return HeadOutputs(self.cls_head(shared), self.reg_head(shared), self.dir_head(shared))

    def code_ego(self, coded: bool | None) -> None:
        """Choose whether the ego's own feature is coded, too; None leaves it as it is."""
        if coded is not None:
            self.config = replace(self.config, coded_ego=coded)

    def heard(
        self, features: torch.Tensor, decoded: torch.Tensor, agents: Sequence[int]
    ) -> torch.Tensor:
        """Return what a receiver fuses: decoded features, and its own as they are, if so made.

        Args:
            features: (sum of agents, C, H, W) of the encoder, frame by frame, ego first.
            decoded: the same after the codebook.
            agents: number of agents of each frame.
        """
        if self.config.coded_ego:
            return decoded
        own = torch.tensor([i == 0 for count in agents for i in range(count)])
        return torch.where(own.to(decoded.device)[:, None, None, None], features.float(), decoded)

    def detect(
        self, features: torch.Tensor, thetas: torch.Tensor, agents: Sequence[int]
    ) -> tuple[HeadOutputs, list[torch.Tensor]]:
        """Fuse decoded features and run the heads.

        Args:
            features: (sum of agents, 64, H, W), frame by frame, the ego first in each.
            thetas: (sum of agents, 2, 3) float64.
            agents: number of agents of each frame.

        Returns:
            The head outputs (B, ...) and the occupancy logits of the three levels, before the warp.
        """
        levels, occupancy = self.pyramid.extract(features)
        fused = self.pyramid.fuse(levels, occupancy, thetas, agents)
        return self.heads(fused), occupancy

    @torch.no_grad()
    def forward_points(
        self,
        points: Sequence[npt.NDArray[np.float32]],
        ego_to_agent: npt.NDArray[np.float64],
    ) -> dict[str, torch.Tensor]:
        """Run one frame, as on the vehicle.

        Args:
            points: one (P, 4) float32 cloud an agent, each in its own LiDAR frame, ego first.
            ego_to_agent: (N, 4, 4) float64, identity for the ego.

        Returns:
            ``indices`` (N, levels * segments, H, W) uint8 (absent without codebook), ``cls``
            (1, 18, H, W), ``reg`` (1, 42, H, W), ``dir`` (1, 12, H, W) float32.
        """
        features = self.encode_points(points)
        result = {}
        if self.codebook is not None:
            decoded, result["indices"], _ = self.codebook(features)
            features = self.heard(features, decoded, [len(points)])
        thetas = np.stack([warp_theta(m, self.config.grid) for m in np.asarray(ego_to_agent)])
        out, _ = self.detect(features, torch.from_numpy(thetas), [len(points)])
        return {**result, **out._asdict()}


def load_published(
    state_dict: Tensors,
    *,
    lidar_range: Sequence[float] = V2X_REAL_RANGE,
    voxel_size: Sequence[float] = V2X_REAL_VOXEL,
) -> QuantV2XNetwork:
    """Build the network from a checkpoint in the published naming.

    Args:
        state_dict: published name to array or tensor. Levels, segments and dictionary size are
            read from the codebook's shape.
        lidar_range: x, y, z minimum, then maximum, metres.
        voxel_size: metres.

    Returns:
        The network in eval mode.

    Raises:
        CheckpointError: naming tensors that are missing, superfluous or of another shape.
    """
    renamed = from_published(state_dict)
    books = [v for k, v in renamed.items() if re.fullmatch(r"codebook\.levels\.\d\.codebook", k)]
    low_x, low_y, low_z, high_x, high_y, high_z = (float(v) for v in lidar_range)
    voxel_x, voxel_y, voxel_z = (float(v) for v in voxel_size)
    config = NetworkConfig(
        grid=BevGrid((low_x, low_y, low_z, high_x, high_y, high_z), (voxel_x, voxel_y, voxel_z)),
        levels=len(books),
        segments=books[0].shape[0] if books else 1,
        dict_size=books[0].shape[1] if books else 128,
    )
    network = QuantV2XNetwork(config)
    own = network.state_dict()
    check_fit(renamed, own, own, "checkpoint")
    network.load_state_dict(renamed, strict=False)
    return network.eval()
