# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Several agents' pyramids to the heads' outputs: on the CPU, or whole on a GPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.fusion.active_cells import DECIDING_SCALE
from quantv2x_ros.core.fusion.fusion import ScaleFusion, highest_scores
from quantv2x_ros.inference.backends import choose_backend, create_engine
from quantv2x_ros.inference.engine.engine import Engine
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.results import SCALES, AgentPyramid, HeadMaps, StageTimer
from quantv2x_ros.inference.shapes import fuse_shapes
from quantv2x_ros.inference.window import HeadWindow

Thetas = npt.NDArray[np.float64]


class Heads(Protocol):
    """Fuses pyramids and runs the heads."""

    def __call__(
        self, pyramids: Sequence[AgentPyramid], thetas: Thetas, timer: StageTimer
    ) -> HeadMaps:
        """Return the heads' outputs in the window's kept columns.

        They may lie in the engine's memory: they last until this thread's next call.

        Args:
            pyramids: the ego's first.
            thetas: (N, 2, 3), see pose.warp_theta.
            timer: notes how long each step took.
        """


class HostHeads:
    """Warp and weighted sum in Numba, then the head engine on the window's columns.

    The published heads run on a few strips of columns one after the other, whose maps stay in the
    caches. They give what the whole window gives, in INT8 bit for bit.

    Args:
        bundle: the model.
        window: columns to compute.
        backend: backend of the head engine.
        threads: CPU threads.
        channels: channels of the pyramid's scales.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        window: HeadWindow,
        backend: str,
        threads: int | None,
        channels: Sequence[int],
    ) -> None:
        self._bundle = bundle
        height = bundle.grid.shape[0]
        is_wide = bundle.manifest.architecture == "published"
        cut = is_wide and not bundle.reproduces_published
        self._strips = window.strips(height) if cut else (window,)
        shapes = {}
        for level in range(SCALES):
            columns = self._strips[0].at_scale(level)
            size = (height >> level, columns.stop - columns.start)
            shapes[f"fused{level}_nhwc"] = (1, *size, channels[level])
        self._engine = create_engine(bundle.engine_path("head"), shapes, backend, threads)
        self._parts = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._parts, "warp")

    def __call__(
        self, pyramids: Sequence[AgentPyramid], thetas: Thetas, timer: StageTimer
    ) -> HeadMaps:
        """See Heads."""
        fused = self._fuse(pyramids, thetas)
        timer.stop("warp")
        if len(self._strips) == 1:
            maps = _cut(self._run(fused, self._strips[0]), self._strips[0].inner)
        else:  # the next strip is written where this one was
            parts = (_cut(self._run(fused, strip), strip.inner).copy() for strip in self._strips)
            maps = HeadMaps.joined(tuple(parts))
        timer.stop("head")
        return maps

    def _fuse(self, pyramids: Sequence[AgentPyramid], thetas: Thetas) -> list[npt.NDArray[Any]]:
        """Return the fused levels (H, W, C); this thread takes the first part of each."""
        scales = [
            ScaleFusion(
                [pyramid.features[level] for pyramid in pyramids],
                [pyramid.scores[level] for pyramid in pyramids],
                thetas,
                scale_in=self._bundle.scale(f"level{level}") or 1.0,
                scale_out=self._bundle.scale(f"fused{level}") or 1.0,
            )
            for level in range(SCALES)
        ]

        def fuse(part: int) -> None:
            for scale in scales:
                scale.fuse(part, self._parts)

        others = [self._pool.submit(fuse, part) for part in range(1, self._parts)]
        fuse(0)
        for other in others:
            other.result()
        shapes = (features.shape for features in pyramids[0].features)
        return [scale.cells.reshape(shape) for scale, shape in zip(scales, shapes, strict=True)]

    def _run(
        self, fused: Sequence[npt.NDArray[Any]], strip: HeadWindow
    ) -> dict[str, npt.NDArray[Any]]:
        """Run the engine on a strip of the fused levels (H, W, C)."""
        inputs = {
            f"fused{level}_nhwc": np.ascontiguousarray(features[None, :, strip.at_scale(level)])
            for level, features in enumerate(fused)
        }
        return self._engine.run(inputs)


class DeviceHeads:
    """The fuse engine: warp, weighted sum and heads in one, for any number of agents.

    Args:
        bundle: the model.
        window: columns that are kept of the whole grid.
        engine: engine of the bundle's fuse.onnx.
    """

    def __init__(self, bundle: ModelBundle, window: HeadWindow, engine: Engine) -> None:
        self._bundle = bundle
        self._window = window
        self._engine = engine

    def __call__(
        self, pyramids: Sequence[AgentPyramid], thetas: Thetas, timer: StageTimer
    ) -> HeadMaps:
        """See Heads."""
        inputs: dict[str, npt.NDArray[Any]] = {"theta": np.ascontiguousarray(thetas, np.float32)}
        for level in range(SCALES):
            inputs[f"level{level}_nhwc"] = np.stack([p.features[level] for p in pyramids])
            scores = np.stack([p.scores[level] for p in pyramids])
            inputs[f"score{level}_nhwc"] = scores[..., None]
        timer.stop("gather")
        outputs = self._engine.run(inputs)
        timer.stop("fuse")
        return _cut(outputs, self._window.kept)


def _cut(outputs: dict[str, npt.NDArray[Any]], columns: slice) -> HeadMaps:
    return HeadMaps(*(outputs[f"{name}_nhwc"][0, :, columns] for name in ("cls", "reg", "dir")))


def deciding_scores(
    pyramids: Sequence[AgentPyramid], thetas: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Return the scores that decide where heads are computed, (H / 2, W / 2): the agents' highest.

    Args:
        pyramids: pyramids of the agents, the ego's first.
        thetas: (N, 2, 3).
    """
    return highest_scores([pyramid.scores[DECIDING_SCALE] for pyramid in pyramids], thetas)


def create_heads(
    bundle: ModelBundle,
    window: HeadWindow,
    backend: str,
    threads: int | None,
    channels: Sequence[int],
) -> Heads:
    """Make what fuses on a backend; arguments as for HostHeads.

    Raises:
        EngineError: where the backend cannot run.
    """
    if choose_backend(backend) != "tensorrt":
        return HostHeads(bundle, window, backend, threads, channels)
    engine = create_engine(
        bundle.engine_path("fuse"),
        fuse_shapes(bundle),
        "tensorrt",
        threads,
        max_agents=bundle.max_agents,
    )
    return DeviceHeads(bundle, window, engine)
