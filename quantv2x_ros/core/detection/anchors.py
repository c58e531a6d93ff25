# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Anchor boxes of the detection heads (docs/network.md, "Anchors")."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.grid import BevGrid


@dataclass(frozen=True)
class AnchorClass:
    """The anchor of one class.

    Attributes:
        name: class name.
        size: length, width, height, metres.
        z: height of the anchor's centre in the LiDAR frame, metres.
        match_iou: at or above this BEV IoU an anchor is positive in training.
        unmatch_iou: below this an anchor is negative in training.
    """

    name: str
    size: tuple[float, float, float]
    z: float
    match_iou: float = 0.5
    unmatch_iou: float = 0.35

    def __post_init__(self) -> None:
        """Validate."""
        object.__setattr__(self, "size", tuple(float(v) for v in self.size))
        if len(self.size) != 3 or not all(0 < v < 100 for v in self.size):
            raise ValueError(f"anchor {self.name}: size {self.size}, expected three lengths in m")
        if not 0 < self.unmatch_iou <= self.match_iou < 1:
            raise ValueError(
                f"anchor {self.name}: unmatch_iou {self.unmatch_iou} and match_iou "
                f"{self.match_iou} must satisfy 0 < unmatch <= match < 1"
            )


@dataclass(frozen=True)
class AnchorSet:
    """The anchors of a cell: one of each class and heading.

    Attributes:
        classes: one anchor a class; label k is classes[k - 1].
        yaws: anchor headings, radians.
    """

    classes: tuple[AnchorClass, ...]
    yaws: tuple[float, ...] = (0.0, 1.57)

    def __post_init__(self) -> None:
        """Validate."""
        if not self.classes or not self.yaws:
            raise ValueError("anchors: at least one class and one yaw are needed")

    @classmethod
    def v2x_real(cls) -> AnchorSet:
        """Return the anchors of the published V2X-Real configuration."""
        return cls(
            (
                AnchorClass("vehicle", (3.9, 1.6, 1.56), -1.78, 0.38, 0.25),
                AnchorClass("pedestrian", (0.8, 0.6, 1.73), -0.6, 0.3, 0.15),
                AnchorClass("truck", (8.0, 3.0, 3.0), -1.78, 0.38, 0.25),
            )
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in label order."""
        return tuple(anchor.name for anchor in self.classes)

    @property
    def per_cell(self) -> int:
        """Anchors a cell."""
        return len(self.classes) * len(self.yaws)

    def grid_anchors(self, grid: BevGrid) -> npt.NDArray[np.float32]:
        """Return (H*W*classes*yaws, 7) float32 x, y, z, l, w, h, yaw.

        Flat order: row, column, class, yaw; centres at the cells' centres.
        """
        y, x = grid.cell_centres()
        anchors = np.empty((len(y), len(x), len(self.classes), len(self.yaws), 7), np.float32)
        anchors[..., 0] = x[None, :, None, None]
        anchors[..., 1] = y[:, None, None, None]
        for index, anchor in enumerate(self.classes):
            anchors[:, :, index, :, 2] = anchor.z
            anchors[:, :, index, :, 3:6] = anchor.size
        anchors[..., 6] = np.asarray(self.yaws, dtype=np.float32)
        return anchors.reshape(-1, 7)
