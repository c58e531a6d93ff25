# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training targets: anchors matched to boxes, and occupancy maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.core.geometry.boxes import direction_bin, encode_boxes
from quantv2x_ros.core.geometry.grid import BevGrid

IGNORED = -1
BACKGROUND = 0


@dataclass(frozen=True)
class AnchorTargets:
    """What the heads should say, anchors in flat order (row, column, class, yaw).

    Attributes:
        labels: (A,) int8: -1 ignored, 0 background, else the class label.
        positives: (K,) int64 indices of anchors with a positive label.
        deltas: (K, 7) float32 regression targets of the positives.
        directions: (K,) int64 direction bin, 0 or 1.
    """

    labels: npt.NDArray[np.int8]
    positives: npt.NDArray[np.int64]
    deltas: npt.NDArray[np.float32]
    directions: npt.NDArray[np.int64]


def axis_aligned_size(length: float, width: float, yaw: float) -> tuple[float, float]:
    """Return the x and y size of a box turned to its nearest axis, metres."""
    along_x = abs(np.cos(yaw)) >= abs(np.sin(yaw))
    return (length, width) if along_x else (width, length)


class TargetAssigner:
    """Matches anchors to boxes by the BEV IoU of both, turned to their nearest axis.

    Args:
        anchors: the anchors.
        grid: the ego's grid.
    """

    def __init__(self, anchors: AnchorSet, grid: BevGrid) -> None:
        self.anchors = anchors
        self.grid = grid
        self._y, self._x = grid.cell_centres()
        self._flat = anchors.grid_anchors(grid)

    def __call__(
        self, boxes: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
    ) -> AnchorTargets:
        """Match.

        Args:
            boxes: (G, 7) in the ego's LiDAR frame.
            labels: (G,) 1-based class of each.
        """
        rows, columns = self.grid.shape
        shape = (rows, columns, len(self.anchors.classes), len(self.anchors.yaws))
        best = np.zeros(shape, dtype=np.float32)
        owner = np.full(shape, -1, dtype=np.int64)
        forced: list[tuple[tuple[int, int, int], int]] = []
        for index, (box, label) in enumerate(zip(boxes, labels, strict=True)):
            match = self._overlaps(box, int(label) - 1)
            if match is None:
                continue
            row, column, iou = match
            window = (slice(row, row + iou.shape[0]), slice(column, column + iou.shape[1]))
            at = (*window, int(label) - 1)
            better = iou > best[at]
            best[at] = np.where(better, iou, best[at])
            owner[at] = np.where(better, index, owner[at])
            if iou.max() > 0:
                local = np.argwhere(iou >= iou.max() - 1e-5)[0]
                forced.append(((local[0] + row, local[1] + column, local[2]), index))
        return self._targets(best, owner, forced, boxes, labels)

    def _overlaps(
        self, box: npt.NDArray[np.float32], kind: int
    ) -> tuple[int, int, npt.NDArray[np.float32]] | None:
        """Return first row and column of a window and the IoU (h, w, yaws) with its anchors."""
        x, y, _, length, width, _, yaw = (float(v) for v in box)
        a_length, a_width, _ = self.anchors.classes[kind].size
        reach = (max(length, width) + max(a_length, a_width)) / 2
        low_row, high_row = np.searchsorted(self._y, (y - reach, y + reach))
        low_column, high_column = np.searchsorted(self._x, (x - reach, x + reach))
        if low_row == high_row or low_column == high_column:
            return None
        size_x, size_y = axis_aligned_size(length, width, yaw)
        offset_y = np.abs(self._y[low_row:high_row] - y)[:, None]
        offset_x = np.abs(self._x[low_column:high_column] - x)[None, :]
        iou = np.empty((high_row - low_row, high_column - low_column, len(self.anchors.yaws)))
        for k, anchor_yaw in enumerate(self.anchors.yaws):
            anchor_x, anchor_y = axis_aligned_size(a_length, a_width, anchor_yaw)
            along_x = (size_x + anchor_x) / 2 - offset_x
            along_y = (size_y + anchor_y) / 2 - offset_y
            along_x = np.clip(along_x, 0, min(size_x, anchor_x))
            along_y = np.clip(along_y, 0, min(size_y, anchor_y))
            both = along_x * along_y
            iou[:, :, k] = both / (size_x * size_y + anchor_x * anchor_y - both)
        return int(low_row), int(low_column), iou.astype(np.float32)

    def _targets(
        self,
        best: npt.NDArray[np.float32],
        owner: npt.NDArray[np.int64],
        forced: list[tuple[tuple[int, int, int], int]],
        boxes: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int64],
    ) -> AnchorTargets:
        """Turn overlaps into labels and regression targets."""
        state = np.full(best.shape, BACKGROUND, dtype=np.int8)
        for kind, anchor in enumerate(self.anchors.classes):
            overlap = best[:, :, kind]
            state[:, :, kind][overlap >= anchor.unmatch_iou] = IGNORED
            state[:, :, kind][overlap >= anchor.match_iou] = kind + 1
        for place, index in forced:
            row, column, yaw = (int(v) for v in place)
            kind = int(labels[index]) - 1
            state[row, column, kind, yaw] = kind + 1
            owner[row, column, kind, yaw] = index
        flat = state.reshape(-1)
        positives = np.flatnonzero(flat > 0)
        matched = np.asarray(boxes, dtype=np.float32).reshape(-1, 7)[owner.reshape(-1)[positives]]
        return AnchorTargets(
            labels=flat,
            positives=positives,
            deltas=encode_boxes(matched, self._flat[positives]),
            directions=direction_bin(matched[:, 6]),
        )


def occupancy_map(
    boxes: npt.NDArray[np.float32], grid: BevGrid, margin: float = 0.4
) -> npt.NDArray[np.float32]:
    """Return (H, W) float32: 1 where a cell's centre lies in a box grown by margin [m], else 0."""
    y, x = grid.cell_centres()
    occupied = np.zeros(grid.shape, dtype=np.float32)
    for box in boxes:
        reach = float(np.hypot(box[3], box[4])) / 2 + margin
        rows = slice(*np.searchsorted(y, (box[1] - reach, box[1] + reach)))
        columns = slice(*np.searchsorted(x, (box[0] - reach, box[0] + reach)))
        offset_y = y[rows][:, None] - box[1]
        offset_x = x[columns][None, :] - box[0]
        cosine, sine = np.cos(box[6]), np.sin(box[6])
        along = np.abs(offset_x * cosine + offset_y * sine) <= box[3] / 2 + margin
        across = np.abs(-offset_x * sine + offset_y * cosine) <= box[4] / 2 + margin
        occupied[rows, columns][along & across] = 1
    return occupied
