# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shapes of the inputs of a bundle's engines."""

from __future__ import annotations

from quantv2x_ros.inference.engine.engine import DECODED, Shapes
from quantv2x_ros.inference.model.bundle import ModelBundle

#: Channels of the pyramid's scales, by architecture (docs/network.md).
SCALE_CHANNELS = {"published": (64, 128, 256), "light": (64, 96, 192)}


def encoder_shapes(bundle: ModelBundle) -> Shapes:
    """Shapes of the encoder engine's inputs."""
    return {"pillars_nhwc": (1, *bundle.grid.pillar_shape, bundle.pillar_weights.channels)}


def pyramid_shapes(bundle: ModelBundle) -> Shapes:
    """Shapes of the pyramid engine's inputs."""
    return {"indices": (1, bundle.codebook.planes, *bundle.grid.shape)}


def own_pyramid_shapes(bundle: ModelBundle) -> Shapes:
    """Shapes of what the pyramid engine takes of the ego's own feature, see `DECODED`."""
    return {DECODED: (1, *bundle.grid.shape, bundle.codebook.channels)}


def fuse_shapes(bundle: ModelBundle) -> Shapes:
    """Shapes of the fuse engine's inputs; -1 stands for the number of agents."""
    height, width = bundle.grid.shape
    shapes: dict[str, tuple[int, ...]] = {"theta": (-1, 2, 3)}
    for level, channels in enumerate(SCALE_CHANNELS[bundle.manifest.architecture]):
        size = (height >> level, width >> level)
        shapes[f"level{level}_nhwc"] = (-1, *size, channels)
        shapes[f"score{level}_nhwc"] = (-1, *size, 1)
    return shapes
