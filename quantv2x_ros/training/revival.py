# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes channels behind the fusion anew that no longer fire, without a change of the function.

A ReLU that never fires passes no gradient: such a channel is lost for good. Its row gets new random
weights, centred and scaled like its living neighbours, and what reads it starts from 0
(docs/training.md, "Channels that never fire").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from quantv2x_ros.training.blocks import NormedConvolution
from quantv2x_ros.training.losses import LossWeights
from quantv2x_ros.training.module import step_losses
from quantv2x_ros.training.network import NetworkConfigError, QuantV2XNetwork
from quantv2x_ros.training.pyramid import PublishedPyramid
from quantv2x_ros.training.samples import Sample

#: Frames that the statistics of new rows are taken on, a pass for each layer.
_FEW = 16

Batches = Sequence[tuple[Sample, list[int]]]


@dataclass(frozen=True)
class _Layer:
    """A convolution before a ReLU, its BatchNorm, and what reads its channels from a first one."""

    name: str
    convolution: nn.Conv2d | nn.ConvTranspose2d
    norm: nn.BatchNorm2d | None
    readers: tuple[nn.Conv2d, ...]
    first: int = 0

    @property
    def weight(self) -> torch.Tensor:
        """The weights with the output channel first."""
        weight = self.convolution.weight
        return weight.transpose(0, 1) if self._transposed else weight

    @property
    def _transposed(self) -> bool:
        return isinstance(self.convolution, nn.ConvTranspose2d)

    @property
    def fan_in(self) -> int:
        """Products of an output value; a transposed convolution's kernel is its stride."""
        row = self.weight[0]
        return len(row) if self._transposed else row.numel()


@dataclass(frozen=True)
class _Seen:
    """Per channel: mean and variance before its BatchNorm; variance and maximum before its ReLU."""

    mean: torch.Tensor
    variance: torch.Tensor
    ahead_variance: torch.Tensor
    highest: torch.Tensor


def _layers(network: QuantV2XNetwork) -> list[_Layer]:
    """The layers behind the fusion in their order, the heads left out."""
    if not isinstance(network.pyramid, PublishedPyramid):
        raise NetworkConfigError(
            "channels are made anew in the published architecture alone: in the light one every"
            " convolution has a BatchNorm, so they do not die"
        )
    first, second = network.shrink[0], network.shrink[2]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(second, nn.Conv2d)
    found, start = [], 0
    for number, block in enumerate(network.pyramid.deblocks):
        assert isinstance(block, nn.Sequential)
        convolution, norm = block[0], block[1]
        assert isinstance(convolution, nn.ConvTranspose2d)
        assert isinstance(norm, nn.BatchNorm2d)
        found.append(_Layer(f"deblock {number}", convolution, norm, (first,), start))
        start += convolution.out_channels
    heads = (network.cls_head, network.reg_head, network.dir_head)
    for name, layer, readers in (("shrink 0", first, (second,)), ("shrink 1", second, heads)):
        own = layer.norm if isinstance(layer, NormedConvolution) else None
        found.append(_Layer(name, layer, own, readers))
    return found


class _Watch:
    """Looks at what goes into a layer's BatchNorm and its ReLU."""

    def __init__(self, layer: _Layer) -> None:
        self._inputs: list[torch.Tensor] = []
        self._outputs: list[torch.Tensor] = []
        self._normed = layer.norm is not None
        self.handle = (layer.norm or layer.convolution).register_forward_hook(self._take)

    def _take(self, module: nn.Module, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
        for kept, value in (
            (self._inputs, given[0] if self._normed else made),
            (self._outputs, made),
        ):
            value = value.double()
            axes = (0, 2, 3)
            kept.append(
                torch.stack([value.mean(axes), value.square().mean(axes), value.amax(axes)])
            )

    def seen(self) -> _Seen:
        """Sum up over all frames."""
        mean, square, _ = torch.stack(self._inputs).mean(0)
        ahead_mean, ahead_square, _ = torch.stack(self._outputs).mean(0)
        highest = torch.stack(self._outputs)[:, 2].amax(0)
        return _Seen(mean, square - mean**2, ahead_square - ahead_mean**2, highest)


def _observe(network: QuantV2XNetwork, layers: Sequence[_Layer], batches: Batches) -> list[_Seen]:
    """Run frames, and look at layers."""
    watches = [_Watch(layer) for layer in layers]
    for sample, agents in batches:
        step_losses(network, sample, agents, LossWeights())
    for watch in watches:
        watch.handle.remove()
    return [watch.seen() for watch in watches]


@torch.no_grad()
def revive_channels(
    network: QuantV2XNetwork, batches: Iterable[tuple[Sample, list[int]]], seed: int
) -> dict[str, int]:
    """Make the channels of deblocks and shrink convolutions anew that never fire on some frames.

    BatchNorm of shrink convolutions, if they have it, takes over the statistics of these frames, so
    that the network computes what it computed without. Afterwards, too, its outputs are what they
    were, in evaluation.

    Args:
        network: changed in place, and left in evaluation.
        batches: frames as training makes them.
        seed: of the new weights.

    Returns:
        The number of channels made anew, by layer.

    Raises:
        NetworkConfigError: for a network that is not of the published architecture.
    """
    network.eval()
    kept, generator = list(batches), torch.Generator().manual_seed(seed)
    layers = _layers(network)
    before = _observe(network, layers, kept)
    revived = {}
    for layer, seen in zip(layers, before, strict=True):
        dead = seen.highest <= 0
        revived[layer.name] = int(dead.sum())
        rows = torch.randn(layer.weight.shape, generator=generator)
        rows *= (2.0 / layer.fan_in) ** 0.5
        layer.weight[dead] = rows.to(layer.weight)[dead]
        if layer.convolution.bias is not None:
            layer.convolution.bias[dead] = 0.0
        for reader in layer.readers:
            columns = torch.arange(len(dead), device=dead.device)[dead] + layer.first
            reader.weight[:, columns] = 0.0
        (now,) = _observe(network, [layer], kept[:_FEW])
        _settle(layer, now, seen, dead)
    return revived


def _does_nothing(norm: nn.BatchNorm2d) -> bool:
    """Whether a BatchNorm is as it was made."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    ones = torch.cat([norm.running_var, norm.weight])
    return not norm.running_mean.any() and not norm.bias.any() and bool((ones == 1.0).all())


def _settle(layer: _Layer, now: _Seen, before: _Seen, dead: torch.Tensor) -> None:
    """Centre and scale new rows; let a BatchNorm that is new do nothing to the others."""
    spread = before.ahead_variance[~dead].sqrt()
    spread = spread.median() if len(spread) else now.variance.new_tensor(1.0)
    if layer.norm is None:
        assert layer.convolution.bias is not None
        gain = spread / now.variance.clamp_min(1e-12).sqrt()
        shape = (-1, *(1,) * (layer.weight.ndim - 1))
        layer.weight[dead] *= gain[dead].float().reshape(shape)
        fresh = layer.convolution.bias - now.mean.float()
        layer.convolution.bias[dead] = (fresh * gain.float())[dead]
        return
    norm = layer.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    new = torch.ones_like(dead) if _does_nothing(norm) else dead
    norm.running_mean[new] = now.mean.float()[new]
    norm.running_var[new] = now.variance.float()[new]
    deviation = (now.variance.float() + norm.eps).sqrt()
    norm.weight[new] = deviation[new]
    norm.bias[new] = now.mean.float()[new]
    norm.weight[dead] = spread.float()
    norm.bias[dead] = 0.0
