# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pyramid engine in a few widths, so that columns which no box depends on cost nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.fusion.columns import NeededColumns
from quantv2x_ros.inference.backends import choose_backend, create_engine
from quantv2x_ros.inference.engine.engine import DECODED, Engine
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.results import SCALES, FeatureArray
from quantv2x_ros.inference.shapes import own_pyramid_shapes, pyramid_shapes
from quantv2x_ros.inference.window import ALIGNMENT

Maps = tuple[tuple[FeatureArray, ...], tuple[npt.NDArray[np.float32], ...]]

#: Widths against that which the ego's own map needs, by architecture: a peer that crosses needs
#: less. Each is an engine to compile, which pays where a column costs much.
FRACTIONS = {"published": (0.75, 0.5), "light": ()}


class PyramidEngines:
    """Computes pyramids of index maps and of own features, of all columns or of some.

    Beyond the columns that are computed a pyramid has nothing, and scores of exactly 0, which take
    no part in a fusion. A GPU, and a bundle with parity, compute all columns.

    Args:
        bundle: the model.
        backend: see create_engine.
        threads: CPU threads; None for one a core.
        streams: threads of the program that shall compute pyramids at the same time.

    Attributes:
        streams: how many may.
        channels: channels of the three scales.
    """

    def __init__(
        self, bundle: ModelBundle, backend: str, threads: int | None, streams: int
    ) -> None:
        path, width = bundle.engine_path("pyramid"), bundle.grid.shape[1]
        self._shape = bundle.grid.shape
        narrow = choose_backend(backend) == "openvino" and not bundle.reproduces_published
        widths = engine_widths(bundle) if narrow else (width,)
        self._engines: dict[int, Engine] = {
            each: create_engine(path, _narrowed(bundle, each), backend, threads, streams)
            for each in sorted(widths)
        }
        whole = self._engines[width]
        self._own = self._engines
        if bundle.own_feature is not None and whole.decoded is None:
            shapes = own_pyramid_shapes(bundle)
            self._own = {width: create_engine(path, shapes, backend, threads, streams)}
        self.streams = whole.streams
        self.channels = tuple(whole.outputs[f"level{i}_nhwc"].shape[3] for i in range(SCALES))

    @property
    def widths(self) -> tuple[int, ...]:
        """Columns that the engines compute, rising."""
        return tuple(self._engines)

    def of_indices(self, indices: npt.NDArray[np.uint8], needed: slice | None) -> Maps:
        """Return levels and scores of an index map (planes, H, W), see AgentPyramid.

        Args:
            indices: checked.
            needed: columns that matter; None for all.
        """
        columns = self._columns(self._engines, needed)
        part = np.ascontiguousarray(indices[None, :, :, columns])
        return self._run(self._engines, {"indices": part}, columns)

    def of_feature(self, own: FeatureArray, needed: slice | None) -> Maps:
        """Return the same of an own feature (H, W, C)."""
        columns = self._columns(self._own, needed)
        part = np.ascontiguousarray(own[None, :, columns])
        return self._run(self._own, {DECODED: part}, columns)

    def _columns(self, engines: dict[int, Engine], needed: slice | None) -> slice:
        """Return the columns of the narrowest engine that computes those needed."""
        whole = self._shape[1]
        if needed is None:
            return slice(0, whole)
        for width in engines:
            start = min(needed.start, whole - width) // ALIGNMENT * ALIGNMENT
            if start + width >= needed.stop:
                return slice(start, start + width)
        return slice(0, whole)

    def _run(
        self, engines: dict[int, Engine], inputs: dict[str, npt.NDArray[Any]], columns: slice
    ) -> Maps:
        """Run an engine and lay its maps where they belong."""
        outputs = engines[columns.stop - columns.start].run(inputs)
        height, width = self._shape
        is_whole = columns.stop - columns.start == width
        blank = np.empty if is_whole else np.zeros
        levels, scores = [], []
        for level in range(SCALES):
            size = (height >> level, width >> level)
            at = slice(columns.start >> level, columns.stop >> level)
            found = outputs[f"level{level}_nhwc"]
            features = blank((*size, found.shape[3]), found.dtype)
            features[:, at] = found[0]
            score = blank(size, np.float32)
            score[:, at] = outputs[f"score{level}_nhwc"][0, :, :, 0]
            levels.append(features)
            scores.append(score)
        return tuple(levels), tuple(scores)


def engine_widths(bundle: ModelBundle) -> tuple[int, ...]:
    """Return the numbers of columns that pyramid engines of a bundle are made for."""
    whole = bundle.grid.shape[1]
    own = NeededColumns(bundle.grid, bundle.detection).of(np.eye(4))
    lead = own.start % ALIGNMENT  # an engine starts at a multiple
    needed = own.stop - own.start + lead
    sizes = [needed, *(part * needed for part in FRACTIONS[bundle.manifest.architecture])]
    return (*{min(whole, math.ceil(n / ALIGNMENT) * ALIGNMENT) for n in sizes} | {whole},)


def _narrowed(bundle: ModelBundle, width: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the pyramid engine's inputs for so many columns."""
    return {name: (*shape[:-1], width) for name, shape in pyramid_shapes(bundle).items()}
