# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How well a station knows where it is, by the covariance that it sends."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


class PoseUncertaintyError(ValueError):
    """A covariance that none can have, or a pose that is too uncertain.

    Attributes:
        reason: ``pose`` or ``pose_uncertain``.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def check_uncertainty(
    covariance: npt.ArrayLike, max_position: float, max_heading: float, name: str
) -> None:
    """Check how uncertain a pose says it is; a covariance of zeros tells nothing and passes.

    Args:
        covariance: 36 numbers, row-major over x, y, z [m], rotations about x, y, z [rad].
        max_position: largest standard deviation on the ground, metres, in its worst direction.
        max_heading: largest standard deviation of the heading, radians.
        name: whose pose, for the error.

    Raises:
        PoseUncertaintyError: ``pose`` for numbers that are no covariance of x, y and heading,
            ``pose_uncertain`` beyond a limit, with both values.
    """
    matrix = np.asarray(covariance, dtype=np.float64).reshape(6, 6)
    ground, heading = matrix[:2, :2], float(matrix[5, 5])
    worst = float(np.linalg.eigvalsh((ground + ground.T) / 2)[-1]) if _finite(matrix) else np.nan
    if not (worst >= 0 and heading >= 0 and ground[0, 0] >= 0 and ground[1, 1] >= 0):
        raise PoseUncertaintyError(
            "pose", f"pose of {name}: its covariance is not one of x, y and heading"
        )
    for sigma, limit, text, unit in (
        (np.sqrt(worst), max_position, "position", "m"),
        (np.sqrt(heading), max_heading, "heading", "rad"),
    ):
        if sigma > limit:
            raise PoseUncertaintyError(
                "pose_uncertain",
                f"{text} of {name} has a standard deviation of {sigma:.3g} {unit}, allowed are "
                f"{limit:.3g} {unit}",
            )


def _finite(matrix: npt.NDArray[np.float64]) -> bool:
    return bool(np.isfinite(matrix).all())
