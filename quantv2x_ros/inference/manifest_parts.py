# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Sections of a bundle's manifest, and the error of what is wrong with it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from quantv2x_ros.core.detection_config import DetectionConfig


class BundleError(ValueError):
    """A model bundle that is incomplete, altered, or does not fit this version."""


@dataclass(frozen=True)
class CodebookInfo:
    """What the manifest says of the codebook.

    Attributes:
        id: of its tables and of the entropy coder's model; see core.codebook_id.
        levels: residual levels.
        segments: segments a level.
        dict_size: codes a segment.
        background: index of each plane in a cell where nothing is.
    """

    id: int
    levels: int
    segments: int
    dict_size: int
    background: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raise BundleError for numbers out of range."""
        if not 0 <= self.id < 1 << 64:
            raise BundleError(f"codebook id: got {self.id:x}, expected 64 bits")
        if not (1 <= self.levels <= 8 and 1 <= self.segments <= 64 and 2 <= self.dict_size <= 256):
            raise BundleError(
                f"codebook: levels {self.levels}, segments {self.segments}, dict_size "
                f"{self.dict_size}; allowed are 1 to 8, 1 to 64, 2 to 256"
            )
        planes = self.levels * self.segments
        wrong = [code for code in self.background if not 0 <= code < self.dict_size]
        if len(self.background) != planes or wrong:
            raise BundleError(
                f"codebook background: got {list(self.background)}, expected {planes} indices "
                f"below {self.dict_size}"
            )


@dataclass(frozen=True)
class SparseHeads:
    """Where the heads need computing, as measured on the calibration frames.

    Attributes:
        occupancy: least probability of an object, by any agent's pyramid on its second level, at
            which the heads are computed.
        score: for score thresholds from this on.
    """

    occupancy: float
    score: float

    def __post_init__(self) -> None:
        """Raise BundleError for numbers out of range."""
        if not (0.0 < self.occupancy < 1.0 and 0.0 < self.score < 1.0):
            raise BundleError(
                f"sparse_heads: occupancy {self.occupancy} and score {self.score} must lie between "
                "0 and 1"
            )


def check_sparse_heads(entries: Sequence[SparseHeads]) -> None:
    """Raise BundleError unless the entries' scores rise."""
    for one, after in itertools.pairwise(entries):
        if after.score <= one.score:
            raise BundleError(
                f"sparse_heads: score {after.score} stands behind {one.score}, they must rise"
            )


def detection_as_dict(detection: DetectionConfig, classes: Sequence[str]) -> dict[str, Any]:
    """Return the section `detection` as plain values: labels as names, what is empty left out."""
    plain = asdict(detection)
    thresholds, competing = plain.pop("class_thresholds"), plain.pop("competing")
    if thresholds:
        plain["class_thresholds"] = dict(zip(classes, thresholds, strict=True))
    if competing:
        plain["competing"] = [[classes[label - 1] for label in group] for group in competing]
    return plain


def parse_detection(section: Mapping[str, Any], classes: Sequence[str]) -> DetectionConfig:
    """Return the settings that a section `detection` says; detection_as_dict inverts it.

    Raises:
        BundleError: for a class that is not one, or thresholds of some classes alone.
        DetectionError: for a value out of range.
    """
    values = dict(section)
    thresholds = values.pop("class_thresholds", None) or {}
    groups = values.pop("competing", None) or []
    if thresholds and set(thresholds) != set(classes):
        raise BundleError(
            f"detection: class_thresholds has {sorted(thresholds)}, expected a score threshold of "
            f"each of {sorted(classes)}"
        )
    unknown = sorted({name for group in groups for name in group} - set(classes))
    if unknown:
        raise BundleError(f"detection: competing names {unknown}, classes are {list(classes)}")
    return DetectionConfig(
        **values,
        class_thresholds=tuple(float(thresholds[name]) for name in classes) if thresholds else (),
        competing=tuple(tuple(classes.index(n) + 1 for n in group) for group in groups),
    )


def parse_heights(value: Any) -> tuple[float, float] | None:
    """Return the range of sensor heights that a manifest says; None where it says none.

    Raises:
        BundleError: for anything but two heights that do not fall.
    """
    if value is None:
        return None
    heights = tuple(float(height) for height in value)
    if len(heights) != 2 or not np.isfinite(heights).all() or not 0 < heights[0] <= heights[1]:
        raise BundleError(
            f"sensor_heights: got {list(value)}, expected the lowest and the highest height above "
            "the ground in metres"
        )
    return heights[0], heights[1]
