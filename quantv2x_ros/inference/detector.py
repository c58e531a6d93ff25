# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ego's part: index maps of several agents to boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import DetectionConfig, Detections, detect
from quantv2x_ros.core.fusion.columns import NeededColumns
from quantv2x_ros.core.fusion.fusion import agent_shares, mask_scores
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import check_pose, warp_theta
from quantv2x_ros.inference.backends import choose_backend
from quantv2x_ros.inference.heads import create_heads, deciding_scores
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.pyramid_engines import PyramidEngines
from quantv2x_ros.inference.results import (
    AgentPyramid,
    FeatureArray,
    FusionResult,
    HeadMaps,
    IndexMap,
    PipelineError,
    StageTimer,
)
from quantv2x_ros.inference.window import HeadWindow

if TYPE_CHECKING:
    from quantv2x_ros.inference.cell_heads import CellHeads

#: Transforms closer to the identity than this are the identity (metres, radians).
IDENTITY_TOLERANCE = 1e-9


class CooperativeDetector:
    """Index maps of several agents to boxes. One thread at a time may fuse.

    Args:
        bundle: the model bundle.
        backend: see create_engine.
        threads: CPU threads; None for one a core.
        streams: threads of the program that shall compute pyramids at the same time.

    Attributes:
        streams: how many threads may; one on a backend that has but one.
        detection: settings of the post-processing, the bundle's at first; thresholds may be
            changed between frames, ranges may not.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        backend: str = "auto",
        threads: int | None = None,
        streams: int = 1,
    ) -> None:
        self.bundle = bundle
        self.detection = bundle.detection
        height, width = bundle.grid.shape
        self._shape = (bundle.codebook.planes, height, width)
        self._background = bundle.background
        self._pyramids = PyramidEngines(bundle, backend, threads, streams)
        self.streams = self._pyramids.streams
        self._columns = (
            None if bundle.reproduces_published else NeededColumns(bundle.grid, bundle.detection)
        )
        self._window = HeadWindow.of(
            bundle.grid,
            bundle.detection,
            bundle.manifest.head_reach,
            exact=bundle.reproduces_published,
        )
        channels = self._pyramids.channels
        self._heads = create_heads(bundle, self._window, backend, threads, channels)
        self._cell_heads: CellHeads | None = None
        if bundle.manifest.sparse_heads and choose_backend(backend) == "openvino":
            # needs openvino, which a vehicle with TensorRT may lack
            from quantv2x_ros.inference.cell_heads import CellHeads

            self._cell_heads = CellHeads(bundle, self._window, threads, channels)
        anchors = bundle.anchors.grid_anchors(bundle.grid)
        per_row = anchors.reshape(height, width, bundle.anchors.per_cell, -1)
        kept = np.ascontiguousarray(per_row[:, self._window.kept])
        self._anchors = kept.reshape(-1, bundle.anchors.per_cell, 7)

    def pyramid(
        self,
        indices: IndexMap,
        received: npt.NDArray[np.bool_] | None = None,
        ego_to_agent: npt.NDArray[np.float64] | None = None,
    ) -> AgentPyramid:
        """Compute one agent's pyramid, as soon as its indices are there.

        Args:
            indices: (planes, H, W) uint8.
            received: (H, W) bool, False where a cell was lost; None if all arrived. Lost cells
                are taken for background and have no part in the fusion.
            ego_to_agent: (4, 4) from ego to agent coordinates as far as it is known, metres: what
                no box of the ego depends on is left out. None computes all.

        Raises:
            PipelineError: for another shape, type, or an index outside the codebook.
            PoseError: for a transform that is not finite and rigid.
        """
        timer = StageTimer()
        checked = self._check_indices(indices, received)
        levels, scores = self._pyramids.of_indices(checked, self._needed(ego_to_agent))
        if received is not None:
            scores = tuple(mask_scores(score, received) for score in scores)
        timer.stop("pyramid")
        return AgentPyramid(levels, scores, timer.stages)

    def columns(self, ego_to_agent: npt.NDArray[np.float64] | None) -> tuple[int, int] | None:
        """Return the first column of a pyramid that is computed and the one behind the last.

        Args:
            ego_to_agent: see `pyramid`.

        Returns:
            None where all are.

        Raises:
            PoseError: for a transform that is not finite and rigid.
        """
        needed = self._needed(ego_to_agent)
        return None if needed is None else (needed.start, needed.stop)

    def _needed(self, ego_to_agent: npt.NDArray[np.float64] | None) -> slice | None:
        if ego_to_agent is None or self._columns is None:
            return None
        return self._columns.of(check_pose(ego_to_agent, "ego_to_agent"))

    def own_pyramid(self, own: FeatureArray) -> AgentPyramid:
        """Compute the ego's pyramid from its own feature, which no codebook has touched.

        Args:
            own: (H, W, C), see `EncodedSweep.own`.

        Raises:
            PipelineError: for a bundle whose ego codes its own feature, too, or another shape or
                type.
        """
        wanted = self.bundle.own_feature
        if wanted is None:
            raise PipelineError(
                f"own: bundle {self.bundle.name} codes the ego's own feature as its peers do"
            )
        timer = StageTimer()
        shape = (*self._shape[1:], len(wanted.offset))
        if own.shape != shape or own.dtype != wanted.dtype:
            raise PipelineError(
                f"own: got {own.dtype} of shape {own.shape}, expected {wanted.dtype} {shape}"
            )
        needed = None if self._columns is None else self._columns.of(np.eye(4))
        levels, scores = self._pyramids.of_feature(own, needed)
        timer.stop("pyramid")
        return AgentPyramid(levels, scores, timer.stages)

    def _check_indices(self, indices: IndexMap, received: npt.NDArray[np.bool_] | None) -> IndexMap:
        if indices.shape != self._shape or indices.dtype != np.uint8:
            raise PipelineError(
                f"indices: got {indices.dtype} of shape {indices.shape}, this bundle needs uint8 "
                f"of shape {self._shape}"
            )
        if received is not None:
            if received.shape != self._shape[1:] or received.dtype != np.bool_:
                raise PipelineError(
                    f"received: got {received.dtype} of shape {received.shape}, expected bool of "
                    f"shape {self._shape[1:]}"
                )
            indices = indices.copy()
            indices[:, ~received] = self._background[:, None]
        if int(indices.max()) >= self.bundle.codebook.dict_size:
            raise PipelineError(
                f"indices: {int(indices.max())} is outside the codebook of "
                f"{self.bundle.codebook.dict_size} codes"
            )
        return np.ascontiguousarray(indices)

    def fuse(
        self, pyramids: Sequence[AgentPyramid], ego_to_agent: npt.NDArray[np.float64]
    ) -> FusionResult:
        """Fuse agents' pyramids in the ego's frame and detect.

        Args:
            pyramids: the ego's first, 1 to max_agents.
            ego_to_agent: (N, 4, 4) transforms from ego to agent coordinates, metres; the ego's is
                the identity.

        Raises:
            PipelineError: for no agent, too many, or another number of transforms.
            PoseError: for a transform that is not finite and rigid.
        """
        timer = StageTimer()
        thetas = self._thetas(pyramids, ego_to_agent)
        detections = self._detect(pyramids, thetas, self.detection, timer)
        contributions = box_contributions(pyramids, thetas, detections, self.bundle.grid)
        timer.stop("contributions")
        return FusionResult(detections, timer.stages, contributions)

    def detect_alone(self, pyramid: AgentPyramid, detection: DetectionConfig) -> Detections:
        """Return what an agent finds without others, in its own frame.

        Args:
            pyramid: the agent's own.
            detection: settings of the post-processing.
        """
        thetas = np.eye(2, 3)[None]
        return self._detect([pyramid], thetas, detection, StageTimer())

    def _detect(
        self,
        pyramids: Sequence[AgentPyramid],
        thetas: npt.NDArray[np.float64],
        detection: DetectionConfig,
        timer: StageTimer,
    ) -> Detections:
        maps = self._wanted_maps(pyramids, thetas, detection.lowest_threshold, timer)
        anchors = self._anchors if maps.cells is None else self._anchors[maps.cells]
        flat = anchors.reshape(-1, anchors.shape[-1])
        found = detect(maps.cls, maps.reg, maps.dir, flat, detection)
        timer.stop("detection")
        return found

    def head_maps(
        self, pyramids: Sequence[AgentPyramid], ego_to_agent: npt.NDArray[np.float64]
    ) -> HeadMaps:
        """Return the raw outputs of the heads everywhere; arguments and errors as for fuse."""
        return self._heads(pyramids, self._thetas(pyramids, ego_to_agent), StageTimer()).copy()

    def occupancy(
        self, pyramids: Sequence[AgentPyramid], ego_to_agent: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float32]:
        """Return how probable agents hold an object to be in the cells of head_maps, (H, columns).

        The highest of the agents' occupancies on the level that decides where heads are computed;
        0 where no agent reaches. Arguments and errors as for fuse.
        """
        scores = deciding_scores(pyramids, self._thetas(pyramids, ego_to_agent))
        by_cell = scores.repeat(2, axis=0).repeat(2, axis=1)[:, self._window.kept]
        return by_cell / np.float32(self.bundle.manifest.score_gain)

    def _wanted_maps(
        self,
        pyramids: Sequence[AgentPyramid],
        thetas: npt.NDArray[np.float64],
        threshold: float,
        timer: StageTimer,
    ) -> HeadMaps:
        """Return the heads' outputs; in cells alone where threshold and occupancy allow it."""
        sparse = self.bundle.manifest.sparse_heads_for(threshold)
        maps = None
        if self._cell_heads and sparse:
            maps = self._cell_heads(pyramids, thetas, sparse.occupancy, timer)
        return self._heads(pyramids, thetas, timer) if maps is None else maps

    def _thetas(
        self, pyramids: Sequence[AgentPyramid], ego_to_agent: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        if not 1 <= len(pyramids) <= self.bundle.max_agents:
            raise PipelineError(
                f"fusion of {len(pyramids)} agents: this bundle fuses 1 to {self.bundle.max_agents}"
            )
        if np.shape(ego_to_agent) != (len(pyramids), 4, 4):
            raise PipelineError(
                f"ego_to_agent: got shape {np.shape(ego_to_agent)}, expected "
                f"({len(pyramids)}, 4, 4)"
            )
        poses = [check_pose(m, f"ego_to_agent[{i}]") for i, m in enumerate(ego_to_agent)]
        return np.stack([self._theta(pose) for pose in poses])

    def _theta(self, pose: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        # a product of a pose and its inverse is the identity but for 1e-17; fusion reads the ego's
        # own map directly where theta is it exactly
        if np.abs(pose - np.eye(4)).max() < IDENTITY_TOLERANCE:
            return np.eye(2, 3)
        return warp_theta(pose, self.bundle.grid)


def box_contributions(
    pyramids: Sequence[AgentPyramid],
    thetas: npt.NDArray[np.float64],
    detections: Detections,
    grid: BevGrid,
) -> npt.NDArray[np.float32]:
    """Return the agents' shares in the cells of the boxes' centres, on the finest level.

    Args:
        pyramids: the ego's first.
        thetas: (N, 2, 3), see `warp_theta`.
        detections: boxes in the ego's frame.
        grid: the ego's.

    Returns:
        (boxes, agents), see `FusionResult`.
    """
    height, width = grid.shape
    size_y, size_x = grid.cell_size
    rows = np.floor((detections.boxes[:, 1] - grid.lidar_range[1]) / size_y).astype(int)
    columns = np.floor((detections.boxes[:, 0] - grid.lidar_range[0]) / size_x).astype(int)
    # a box may reach beyond the grid's edge by a fraction of its length
    rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
    shares = agent_shares([pyramid.scores[0] for pyramid in pyramids], thetas, rows)
    return np.ascontiguousarray(shares[:, rows, columns].T)
