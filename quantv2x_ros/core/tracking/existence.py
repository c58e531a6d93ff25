# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The probability that a tracked object is there (integrated probabilistic data association).

Musicki, Evans and Stankovic, Integrated probabilistic data association, IEEE Transactions on
Automatic Control 39 (1994): existence is a Markov chain that detections and their absence update.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

#: Chance that an object that is there is detected in a frame. About 0.9 are; but misses come in
#: runs, behind what hides the object, so that each says less than if it were alone.
DETECTION = 0.6
#: Rate at which objects cease to be there (they leave, or go behind what nobody looks behind), 1/s.
LEAVING = 0.1
#: No detection, and no absence of one, makes it surer than this.
SUREST = 0.999


def after(probabilities: Float64, seconds: float) -> Float64:
    """Return the probabilities after some time without a look, (N,)."""
    return probabilities * np.exp(-LEAVING * seconds)


def when_detected(probabilities: Float64, scores: Float64) -> Float64:
    """Return the probabilities of objects that were detected, (N,).

    A detection's score is taken for the chance that it is of an object, before anything is known of
    the track: its odds are the ratio of likelihoods.

    Args:
        probabilities: (N,) before.
        scores: (N,) of the detections, 0 to 1.
    """
    score = np.clip(scores, 1e-3, SUREST)
    there = probabilities * score
    return np.clip(there / (there + (1.0 - probabilities) * (1.0 - score)), 0.0, SUREST)


def when_missed(probabilities: Float64) -> Float64:
    """Return the probabilities of objects that were looked for and not detected, (N,)."""
    unseen = probabilities * (1.0 - DETECTION)
    return unseen / (unseen + 1.0 - probabilities)
