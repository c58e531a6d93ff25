# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Between this network's parameter names and those of published QuantV2X checkpoints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

#: (published name, own name), first match wins; see docs/network.md, "Tensor names".
RULES: tuple[tuple[str, str], ...] = (
    ("encoder_m1.pillar_vfe.pfn_layers.0.{tail}", "pillar_encoder.{tail}"),
    ("backbone_m1.resnet.layer0.{tail}", "backbone.{tail}"),
    ("pyramid_backbone.resnet.layer{level}.{tail}", "pyramid.levels.{level}.{tail}"),
    ("pyramid_backbone.deblocks.{tail}", "pyramid.deblocks.{tail}"),
    ("pyramid_backbone.single_head_{level}.{tail}", "pyramid.occupancy_heads.{level}.{tail}"),
    ("shrink_conv.layers.0.double_conv.{tail}", "shrink.{tail}"),
    ("{head}_head.{tail}", "{head}_head.{tail}"),
    ("codebook._encoders.{level}._quantizer._codebook", "codebook.levels.{level}.codebook"),
    # this package's own: published codebooks know no prices
    ("codebook._encoders.{level}._quantizer._price", "codebook.levels.{level}.price"),
    (
        "codebook._encoders.{level}._latentStageEncoder.{tail}",
        "codebook.levels.{level}.stage.{tail}",
    ),
    ("codebook._encoders.{level}._quantizationHead.{tail}", "codebook.levels.{level}.head.{tail}"),
    ("codebook._encoders.{level}._latentHead.{tail}", "codebook.levels.{level}.latent.{tail}"),
    (
        "codebook._decoders.{level}._dequantizationHead.{tail}",
        "codebook.levels.{level}.dequantization.{tail}",
    ),
    ("codebook._decoders.{level}._sideHead.{tail}", "codebook.levels.{level}.side.{tail}"),
    ("codebook._decoders.{level}._restoreHead.{tail}", "codebook.levels.{level}.restore.{tail}"),
)

#: What the placeholders of a rule stand for.
PLACEHOLDERS = {"level": r"\d", "head": "cls|reg|dir", "tail": ".+"}

#: Without effect on inference, or another name of the same tensor.
IGNORED = re.compile(r"num_batches_tracked$|_temperature$|bound$|_freqEMA|_dequantizer\._codebook$")

#: What a checkpoint may lack.
OPTIONAL = re.compile(r"num_batches_tracked$|^codebook\.levels\.\d\.price$")

#: Differences that an error names; it counts the rest.
_MOST_NAMED = 5

Tensors = Mapping[str, "torch.Tensor | npt.NDArray[np.generic]"]


class CheckpointError(ValueError):
    """A checkpoint that does not fit the network."""


def check_fit(state: Tensors, expected: Tensors, known: Tensors, what: str, hint: str = "") -> None:
    """Check that tensors are a network's.

    Args:
        state: the tensors found, by this network's names.
        expected: those that must be there, but for the optional ones, in these shapes.
        known: all that the network has.
        what: where they come from, for the error.
        hint: added to the error.

    Raises:
        CheckpointError: naming what is missing, superfluous or of another shape.
    """
    wrong = [f"{k} is missing" for k in expected if k not in state and not OPTIONAL.search(k)]
    wrong += [f"{k} is not of this architecture" for k in state if k not in known]
    wrong += [
        f"{k} has shape {tuple(state[k].shape)}, expected {tuple(v.shape)}"
        for k, v in expected.items()
        if k in state and state[k].shape != v.shape
    ]
    if wrong:
        more = f" and {len(wrong) - _MOST_NAMED} more" if len(wrong) > _MOST_NAMED else ""
        named = "; ".join(wrong[:_MOST_NAMED])
        raise CheckpointError(f"{what} does not fit: {named}{more}{hint}")


def own_name(published: str) -> str | None:
    """Return this network's name of a published tensor; None for one without effect.

    Raises:
        CheckpointError: for a name of another architecture.
    """
    if IGNORED.search(published):
        return None
    for template, own in RULES:
        match = _pattern(template).fullmatch(published)
        if match:
            return own.format(**match.groupdict())
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
        if IGNORED.search(name) or (OPTIONAL.search(name) and not value.any()):
            continue
        renamed[_published_name(name)] = value.detach().cpu().numpy().astype(np.float32)
    return renamed


def _published_name(own: str) -> str:
    """Return the published name of one of this network's tensors."""
    for published, template in RULES:
        match = _pattern(template).fullmatch(own)
        if match:
            return published.format(**match.groupdict())
    raise CheckpointError(f"checkpoint: '{own}' has no name in published checkpoints")


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """Compile a rule's template."""
    parts = re.split(r"\{(\w+)\}", template)
    names = [f"(?P<{name}>{PLACEHOLDERS[name]})" for name in parts[1::2]]
    literals = [re.escape(text) for text in parts[0::2]]
    return re.compile("".join(a + b for a, b in zip(literals, [*names, ""], strict=True)))
