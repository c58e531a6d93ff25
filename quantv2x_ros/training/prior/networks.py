# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The networks of the entropy coder in floating point, and their rounding to integers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from quantv2x_ros.core import index_context as context
from quantv2x_ros.core import index_kernels as kernels
from quantv2x_ros.core.index_model import IndexModel

IndexArray = npt.NDArray[np.uint8]


class PlaneNetwork(nn.Module):
    """The network of one plane in floating point; `core.index_kernels` is its integer twin."""

    def __init__(self, tables: int, size: int) -> None:
        super().__init__()
        hidden = context.HIDDEN
        self.tables = nn.Parameter(0.1 * torch.randn(tables, size + 1, hidden))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.branches = nn.Linear(hidden, size - 1)
        self.offsets = torch.arange(tables) * (size + 1)

    def forward(self, neighbours: torch.Tensor) -> torch.Tensor:
        """Logits (N, k - 1) of all branches from neighbours' codes (N, tables)."""
        flat = self.tables.flatten(0, 1)
        hidden = functional.embedding_bag(neighbours + self.offsets, flat, mode="sum")
        limit = kernels.HIDDEN_MAX / 2**kernels.HIDDEN_BITS
        logits: torch.Tensor = self.branches((hidden + self.hidden_bias).clamp(0.0, limit))
        return logits


def assemble(
    networks: list[PlaneNetwork],
    children: npt.NDArray[np.int16],
    background: IndexArray,
    occupancy: npt.NDArray[np.float32],
) -> IndexModel:
    """Round the networks of all planes to the coder's integers."""

    def whole(values: torch.Tensor, bits: int, dtype: type[np.generic]) -> npt.NDArray[np.generic]:
        limits = np.iinfo(dtype)  # type: ignore[type-var]
        scaled = np.rint(values.detach().double().numpy() * 2.0**bits)
        return scaled.clip(limits.min, limits.max).astype(dtype)

    unit = kernels.HIDDEN_BITS
    tables, biases = [], []
    for plane, network in enumerate(networks):
        seen = [plane] * context.OWN + [e for e in range(plane) for _ in range(context.EARLIER)]
        empty = torch.from_numpy(background.astype(np.int64))[seen]
        common = network.tables[torch.arange(len(seen)), empty]
        tables.append(whole(network.tables - common[:, None], unit, np.int16))
        biases.append(whole(network.hidden_bias + common.sum(0), unit, np.int16))
    return IndexModel(
        tables=np.concatenate(tables),
        hidden_bias=np.stack(biases),
        weights=np.stack(
            [whole(n.branches.weight, kernels.WEIGHT_BITS, np.int16) for n in networks]
        ),
        weight_bias=np.stack(
            [whole(n.branches.bias, kernels.LOGIT_BITS, np.int32) for n in networks]
        ),
        children=children,
        background=background,
        occupancy=occupancy,
    )
