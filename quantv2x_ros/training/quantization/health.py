# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which channels never fire on calibration frames, and which of those may be left out."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from quantv2x_ros.inference.model.health import Health, LayerHealth, Operations
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs, tensor_name
from quantv2x_ros.training.graphs.operations import multiply_accumulates
from quantv2x_ros.training.graphs.pruning import Masks, tensor_channels

Float64 = npt.NDArray[np.float64]

#: Frames below which nothing is left out: what is rare may not have been seen.
LEAST_FRAMES = 64
#: Parts of a layer's scale that a channel must stay below 0 by. Rounding to INT8 moves the input
#: of a ReLU by about one part in a hundred.
MARGIN = 0.02

_LOGGER = logging.getLogger(__name__)


@dataclass
class _Rows:
    """What went into the ReLU of each row of a convolution, over all frames."""

    highest: Float64
    squares: Float64
    cells: int

    def add(self, value: torch.Tensor) -> None:
        self.highest = np.maximum(self.highest, value.amax((0, 2, 3)).numpy())
        self.squares += value.square().sum((0, 2, 3)).numpy()
        self.cells += value[:, 0].numel()


class ReluInputs:
    """Collects what goes into every ReLU.

    Attributes:
        frames: frames seen, counted by who runs them.
    """

    def __init__(self) -> None:
        self.frames = 0
        self._rows: dict[str, _Rows] = {}

    def watch(self, name: str, value: torch.Tensor) -> None:
        """Take in a value (N, C, H, W), before its ReLU and a pixel shuffle, by tensor_name."""
        known = self._rows.get(name)
        if known is None:
            count = value.shape[1]
            known = self._rows[name] = _Rows(np.full(count, -np.inf), np.zeros(count), 0)
        known.add(value)

    def layer(self, name: str, channels: int) -> tuple[Float64, float]:
        """A layer's channels.

        Args:
            name: by tensor_name.
            channels: channels behind a pixel shuffle, if there is one.

        Returns:
            (C,) the highest input of each channel's ReLUs, and the layer's scale: the root mean
            square of these inputs in the middle one of its channels.
        """
        rows = self._rows[name]
        highest = rows.highest.reshape(-1, channels).max(axis=0)
        squares = rows.squares.reshape(-1, channels).mean(axis=0) / rows.cells
        return highest, float(np.sqrt(np.median(squares)))

    def layers(self, network: NetworkGraphs) -> dict[str, tuple[Float64, float]]:
        """All layers of a network, by tensor_name; see `layer`."""
        return {
            tensor_name(graph.name, tensor): self.layer(tensor_name(graph.name, tensor), channels)
            for graph in network.graphs.values()
            for tensor, channels in tensor_channels(graph).items()
            if tensor_name(graph.name, tensor) in self._rows
        }

    def dead(self, network: NetworkGraphs) -> Mapping[str, Masks]:
        """Channels that may be left out, by graph and tensor; none of too few frames."""
        found = {
            name: highest < -MARGIN * scale
            for name, (highest, scale) in self.layers(network).items()
        }
        if self.frames < LEAST_FRAMES:
            count = sum(int(mask.sum()) for mask in found.values())
            if count:
                _LOGGER.warning(
                    "%d channels never fired on %d frames and stay: only what is silent on %d"
                    " frames or more is left out; calibrate on more frames",
                    count,
                    self.frames,
                    LEAST_FRAMES,
                )
            return {}
        return {
            name: {
                tensor.partition("/")[2]: mask
                for tensor, mask in found.items()
                if tensor.startswith(tensor_name(name, ""))
            }
            for name in network.graphs
        }


def record_health(whole: NetworkGraphs, kept: NetworkGraphs, seen: ReluInputs) -> Health:
    """Sum up for a manifest.

    Args:
        whole: the network with all channels.
        kept: what is exported of it, before its groups are widened.
        seen: on the calibration frames, of the whole network.
    """
    left = {
        tensor_name(name, tensor): channels
        for name, graph in kept.graphs.items()
        for tensor, channels in tensor_channels(graph).items()
    }
    layers = {}
    for name, (highest, scale) in seen.layers(whole).items():
        silent = highest <= 0
        layers[name] = LayerHealth(
            channels=len(highest),
            never_fired=int(silent.sum()),
            doubtful=int((silent & (highest >= -MARGIN * scale)).sum()),
            left_out=len(highest) - left[name],
        )
    shape = whole.grid.pillar_shape
    operations = {
        name: Operations(
            multiply_accumulates(whole.graphs[name], shape),
            multiply_accumulates(kept.graphs[name], shape),
        )
        for name in whole.graphs
    }
    return Health(seen.frames, MARGIN, layers, operations)
