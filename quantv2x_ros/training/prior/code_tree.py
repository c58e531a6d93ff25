# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Binary trees over the codes of a codebook: similar codes part late, frequent ones are near."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.floating]


def code_tree(
    vectors: Float, counts: npt.NDArray[np.integer], background: int
) -> npt.NDArray[np.int16]:
    """Build a tree for the entropy coder.

    The root asks whether a code is the background's. All other branches halve the occurrences of
    their codes along the direction in which their vectors differ most.

    Args:
        vectors: (k, C) what each code decodes to.
        counts: (k,) occurrences.
        background: the commonest code.

    Returns:
        (k - 1, 2) int16, as in `IndexModel.children`.
    """
    weights = counts.astype(np.float64) + 0.5  # codes that were never seen still have a place
    children: list[list[int]] = [[-1, -1]]
    others = np.setdiff1d(np.arange(len(vectors)), [background])
    children[0][1] = ~background
    waiting = [(0, 0, others)]  # parent, bit, codes below
    while waiting:
        parent, bit, codes = waiting.pop()
        if len(codes) == 1:
            children[parent][bit] = ~int(codes[0])
            continue
        children[parent][bit] = len(children)
        children.append([-1, -1])
        low, high = _halves(codes, vectors[codes].astype(np.float64), weights[codes])
        waiting += [(len(children) - 1, 0, low), (len(children) - 1, 1, high)]
    return np.array(children, np.int16)


def _halves(
    codes: npt.NDArray[np.int64], vectors: Float, weights: Float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Two parts, neither empty, of about equal weight along the first principal direction."""
    centred = vectors - np.average(vectors, axis=0, weights=weights)
    _, _, directions = np.linalg.svd(centred * np.sqrt(weights)[:, None], full_matrices=False)
    order = np.argsort(centred @ directions[0], kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    cut = int(np.clip(np.abs(share - 0.5).argmin() + 1, 1, len(codes) - 1))
    return codes[order[:cut]], codes[order[cut:]]
