# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights of torch's convolutions, with their BatchNorm folded in where there is one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from quantv2x_ros.training.blocks import NormedConvolution

Float32 = npt.NDArray[np.float32]


def _double(tensor: torch.Tensor) -> npt.NDArray[np.float64]:
    return tensor.detach().cpu().double().numpy()


def fold_norm(
    conv: nn.Conv2d | nn.ConvTranspose2d, norm: nn.BatchNorm2d
) -> tuple[Float32, Float32]:
    """Fold a BatchNorm's running statistics into the convolution before it, in float64.

    Returns:
        Weight in the convolution's own layout and bias (O,), float32.
    """
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = _double(norm.weight) / np.sqrt(_double(norm.running_var) + norm.eps)
    out_axis = 1 if isinstance(conv, nn.ConvTranspose2d) else 0
    shape = [1, 1, 1, 1]
    shape[out_axis] = -1
    weight = _double(conv.weight) * scale.reshape(shape)
    bias = 0.0 if conv.bias is None else _double(conv.bias)
    folded = _double(norm.bias) + (bias - _double(norm.running_mean)) * scale
    return weight.astype(np.float32), folded.astype(np.float32)


def plain(conv: nn.Conv2d) -> tuple[Float32, Float32]:
    """Return the weight (O, I, k, k) and bias (O,) of a convolution outside a block, float32."""
    if isinstance(conv, NormedConvolution):
        return fold_norm(conv, conv.norm)
    assert conv.bias is not None
    return _double(conv.weight).astype(np.float32), _double(conv.bias).astype(np.float32)
