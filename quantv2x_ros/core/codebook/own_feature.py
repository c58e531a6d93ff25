# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ego's own feature as its pyramid reads it: never sent, so no codebook need touch it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit


@njit(cache=True, nogil=True)
def _rescale(
    feature: npt.NDArray[np.uint8],
    ratio: np.float32,
    offset: npt.NDArray[np.float32],
    raised: npt.NDArray[np.uint8],
) -> None:
    """Write round(feature * ratio + offset), cut off at 0 and 255; rows are cells."""
    for cell in range(len(feature)):
        for c in range(len(offset)):
            steps = np.rint(np.float32(feature[cell, c]) * ratio + offset[c])
            raised[cell, c] = np.uint8(min(max(steps, np.float32(0.0)), np.float32(255.0)))


@dataclass(frozen=True, eq=False)
class OwnFeature:
    """Brings an encoder's feature map to where decoded feature maps are.

    Decoded features have both signs; raised by an offset a channel they fit unsigned numbers. The
    pyramid knows the offset, so the own feature is raised by it, too.

    Attributes:
        offset: (C,) float32, at least 0.
        feature_scale: value of a step of the encoder's uint8 map; None where it is float32.
        decoded_scale: value of a step of the raised map; None with the other one.
    """

    offset: npt.NDArray[np.float32]
    feature_scale: float | None = None
    decoded_scale: float | None = None

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: naming the field.
        """
        offset = self.offset
        if offset.ndim != 1 or offset.dtype != np.float32:
            raise ValueError(f"offset: got {offset.dtype} {offset.shape}, expected float32 (C,)")
        if not (np.isfinite(offset).all() and (offset >= 0).all()):
            raise ValueError("offset: got a value below 0 or not finite, expected 0 or more")
        scales = (self.feature_scale, self.decoded_scale)
        if (scales[0] is None) != (scales[1] is None):
            raise ValueError(f"scales: got {scales}, expected two, or none in full precision")
        if any(scale is not None and not 0 < scale < np.inf for scale in scales):
            raise ValueError(f"scales: got {scales}, expected positive numbers")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the feature map and of the raised one: uint8 or float32."""
        return np.dtype(np.float32 if self.feature_scale is None else np.uint8)

    def __call__(self, feature: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the raised map of a feature map (H, W, C), a new array of its shape and type.

        Raises:
            ValueError: for another type or number of channels.
        """
        if feature.ndim != 3 or feature.shape[2] != len(self.offset) or feature.dtype != self.dtype:
            raise ValueError(
                f"feature: got {feature.dtype} {feature.shape}, expected {self.dtype} (H, W, "
                f"{len(self.offset)})"
            )
        if self.feature_scale is None or self.decoded_scale is None:
            return np.asarray(feature + self.offset, dtype=np.float32)
        raised = np.empty(feature.shape, np.uint8)
        channels = len(self.offset)
        _rescale(
            np.ascontiguousarray(feature).reshape(-1, channels),
            np.float32(self.feature_scale / self.decoded_scale),
            self.offset / np.float32(self.decoded_scale),
            raised.reshape(-1, channels),
        )
        return raised
