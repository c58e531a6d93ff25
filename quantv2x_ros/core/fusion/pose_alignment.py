# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Corrects a peer's pose by the objects that it and the ego both see.

The estimate is the most probable planar motion, given the poses' covariance and the detections:
objects are paired (Hungarian method), then shift and turn are fitted by robust least squares with
the covariance as a prior, and both are repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares, linear_sum_assignment

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.boxes import check_boxes, transform_boxes

Float64 = npt.NDArray[np.float64]

_ROUNDS = 4


@dataclass(frozen=True)
class AlignmentSettings:
    """Settings of the correction of poses.

    Attributes:
        position_sigma: standard deviation of the relative position where the poses tell none,
            metres in x and in y.
        yaw_sigma: standard deviation of the relative heading, radians.
        detection_sigma: standard deviation of a detection's centre, metres.
        gate: farthest that two detections of one object are taken for one, metres.
        min_pairs: fewer pairs correct nothing.
        min_score: detections below this take no part.
        significance: a correction must make the pairs this much more probable (twice the logarithm
            of the ratio; 7.8 is chance in 5 % of cases, chi-squared with three degrees of freedom),
            lest good poses are made worse by what two agents see of an object's two sides.
    """

    position_sigma: float = 0.5
    yaw_sigma: float = np.radians(0.5)
    detection_sigma: float = 0.4
    gate: float = 2.5
    min_pairs: int = 3
    min_score: float = 0.3
    significance: float = 7.8

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: naming the field.
        """
        for name in ("position_sigma", "yaw_sigma", "detection_sigma", "gate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected a positive number")
        if self.min_pairs < 1:
            raise ValueError(f"min_pairs: got {self.min_pairs}, expected 1 or more")


@dataclass(frozen=True, eq=False)
class Alignment:
    """A corrected relative pose.

    Attributes:
        peer_to_ego: (4, 4) with the correction; as it was where too few pairs were found.
        pairs: objects that it rests on; 0 where nothing was corrected.
        shift: length of the correction at the peer, metres.
        turn: its rotation, radians.
        residual: root mean square distance of the pairs after it, metres.
    """

    peer_to_ego: Float64
    pairs: int
    shift: float
    turn: float
    residual: float


def align_peer(
    ego: Detections, peer: Detections, peer_to_ego: Float64, settings: AlignmentSettings
) -> Alignment:
    """Correct a peer's pose relative to the ego's.

    Args:
        ego: what the ego sees by itself, in its own frame.
        peer: what the peer sees by itself, in its own frame.
        peer_to_ego: (4, 4) by the poses that were sent.
        settings: how.

    Returns:
        The correction; with fewer pairs than wanted the pose as it was sent.
    """
    seen, reported = _confident(ego, settings), _confident(peer, settings)
    centres = transform_boxes(check_boxes(reported.boxes), peer_to_ego)[:, :2].astype(np.float64)
    pivot = peer_to_ego[:2, 3]
    motion, gain = np.zeros(3), 0.0
    pairs = np.zeros((0, 2), np.int64)
    for _ in range(_ROUNDS):
        found = _pair(seen, reported, _moved(centres, pivot, motion), settings.gate)
        if len(found) < settings.min_pairs:
            return Alignment(peer_to_ego, 0, 0.0, 0.0, 0.0)
        if np.array_equal(found, pairs):
            break
        pairs = found
        target = seen.boxes[pairs[:, 0], :2].astype(np.float64)
        motion, gain = _fit(target, centres[pairs[:, 1]], pivot, settings)
    if gain < settings.significance:
        return Alignment(peer_to_ego, 0, 0.0, 0.0, 0.0)
    gaps = _moved(centres[pairs[:, 1]], pivot, motion) - seen.boxes[pairs[:, 0], :2]
    return Alignment(
        peer_to_ego=_matrix(pivot, motion) @ peer_to_ego,
        pairs=len(pairs),
        shift=float(np.hypot(*motion[:2])),
        turn=float(motion[2]),
        residual=float(np.sqrt((gaps**2).sum(axis=1).mean())),
    )


def _confident(detections: Detections, settings: AlignmentSettings) -> Detections:
    return detections.select(detections.scores >= settings.min_score)


def _pair(
    seen: Detections, reported: Detections, centres: Float64, gate: float
) -> npt.NDArray[np.int64]:
    """Return pairs (P, 2) of the same class, at most ``gate`` metres apart."""
    if not len(seen) or not len(reported):
        return np.zeros((0, 2), np.int64)
    gaps = np.linalg.norm(seen.boxes[:, None, :2] - centres[None], axis=2)
    gaps[(gaps > gate) | (seen.labels[:, None] != reported.labels[None])] = 10.0 * gate
    rows, columns = linear_sum_assignment(gaps)
    near = gaps[rows, columns] <= gate
    return np.stack([rows[near], columns[near]], axis=1)


def _fit(
    target: Float64, source: Float64, pivot: Float64, settings: AlignmentSettings
) -> tuple[Float64, float]:
    """Return the motion (dx, dy, turn) that brings source points (P, 2) to their targets.

    Also returns how much more probable it is than none: twice the logarithm of the ratio.
    """
    sigmas = np.array([settings.position_sigma] * 2 + [settings.yaw_sigma])

    def residuals(scaled: Float64) -> Float64:
        motion = scaled * sigmas
        gaps = (_moved(source, pivot, motion) - target) / settings.detection_sigma
        return np.concatenate([gaps.ravel(), scaled])

    none = residuals(np.zeros(3))
    before = float((2.0 * (np.sqrt(1.0 + none**2) - 1.0)).sum())  # the same loss, of no motion
    fit = least_squares(residuals, np.zeros(3), loss="soft_l1")
    return np.asarray(fit.x * sigmas, dtype=np.float64), before - 2.0 * float(fit.cost)


def _moved(points: Float64, pivot: Float64, motion: Float64) -> Float64:
    cos, sin = np.cos(motion[2]), np.sin(motion[2])
    turned = (points - pivot) @ np.array([[cos, sin], [-sin, cos]])
    return np.asarray(turned + pivot + motion[:2], dtype=np.float64)


def _matrix(pivot: Float64, motion: Float64) -> Float64:
    """Return the motion as a (4, 4) transform of the ego's frame."""
    matrix = np.eye(4)
    cos, sin = np.cos(motion[2]), np.sin(motion[2])
    matrix[:2, :2] = [[cos, -sin], [sin, cos]]
    matrix[:2, 3] = pivot + motion[:2] - matrix[:2, :2] @ pivot
    return matrix
