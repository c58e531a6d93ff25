# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Between this network's parameter names and those of published QuantV2X checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

#: (published pattern, own replacement), first match wins; names below are NETWORK's "State dict".
RULES: tuple[tuple[str, str], ...] = (
    (r"encoder_m1\.pillar_vfe\.pfn_layers\.0\.(.+)", r"pillar_encoder.\1"),
    (r"backbone_m1\.resnet\.layer0\.(.+)", r"backbone.\1"),
    (r"pyramid_backbone\.resnet\.layer(\d)\.(.+)", r"pyramid.levels.\1.\2"),
    (r"pyramid_backbone\.deblocks\.(.+)", r"pyramid.deblocks.\1"),
    (r"pyramid_backbone\.single_head_(\d)\.(.+)", r"pyramid.occupancy_heads.\1.\2"),
    (r"shrink_conv\.layers\.0\.double_conv\.(.+)", r"shrink.\1"),
    (r"(cls|reg|dir)_head\.(.+)", r"\1_head.\2"),
    (r"codebook\._encoders\.(\d)\._quantizer\._codebook", r"codebook.levels.\1.codebook"),
    (r"codebook\._encoders\.(\d)\._latentStageEncoder\.(.+)", r"codebook.levels.\1.stage.\2"),
    (r"codebook\._encoders\.(\d)\._quantizationHead\.(.+)", r"codebook.levels.\1.head.\2"),
    (r"codebook\._encoders\.(\d)\._latentHead\.(.+)", r"codebook.levels.\1.latent.\2"),
    (
        r"codebook\._decoders\.(\d)\._dequantizationHead\.(.+)",
        r"codebook.levels.\1.dequantization.\2",
    ),
    (r"codebook\._decoders\.(\d)\._sideHead\.(.+)", r"codebook.levels.\1.side.\2"),
    (r"codebook\._decoders\.(\d)\._restoreHead\.(.+)", r"codebook.levels.\1.restore.\2"),
)

#: Without effect on inference, or another name of the same tensor.
IGNORED = re.compile(
    r"num_batches_tracked$|_temperature$|bound$|_freqEMA|_dequantizer\._codebook$|_codebook_alias$"
)

Tensors = Mapping[str, "torch.Tensor | npt.NDArray[np.generic]"]


class CheckpointError(ValueError):
    """A checkpoint that does not fit the network."""


def own_name(published: str) -> str | None:
    """Return this network's name of a published tensor; None for one without effect.

    Raises:
        CheckpointError: for a name of another architecture.
    """
    if IGNORED.search(published):
        return None
    for pattern, replacement in RULES:
        if re.fullmatch(pattern, published):
            return re.sub(pattern, replacement, published)
    raise CheckpointError(
        f"checkpoint: tensor '{published}' belongs to no part of the LiDAR pyramid network"
    )


def from_published(state: Tensors) -> dict[str, torch.Tensor]:
    """Rename a published state dict (arrays or tensors) to this network's names.

    Raises:
        CheckpointError: for a name of another architecture.
    """
    renamed = {}
    for name, value in state.items():
        own = own_name(name)
        if own is not None:
            renamed[own] = torch.as_tensor(np.asarray(value)).clone()
    return renamed


def to_published(state: Mapping[str, torch.Tensor]) -> dict[str, npt.NDArray[np.float32]]:
    """Rename this network's state dict to the published names, as float32 arrays.

    Raises:
        CheckpointError: for a name without a published counterpart.
    """
    renamed = {}
    for name, value in state.items():
        if IGNORED.search(name):
            continue
        renamed[_published_name(name)] = value.detach().cpu().numpy().astype(np.float32)
    return renamed


def _published_name(own: str) -> str:
    """Invert the rules: turn a replacement into a pattern and a pattern into a template."""
    for pattern, replacement in RULES:
        groups = re.findall(r"\\\d", replacement)
        matcher = re.escape(replacement)
        for group in groups:
            inner = r"(cls|reg|dir)" if pattern.startswith("(cls") and group == r"\1" else r"(\d)"
            is_tail = replacement.endswith(group)
            matcher = matcher.replace(re.escape(group), "(.+)" if is_tail else inner, 1)
        match = re.fullmatch(matcher, own)
        if match:
            template = pattern.replace("\\.", ".")
            for value in match.groups():
                template = re.sub(r"\([^)]*\)", lambda _, v=value: v, template, count=1)
            return template
    raise CheckpointError(f"checkpoint: '{own}' has no name in published checkpoints")
