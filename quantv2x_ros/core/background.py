# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the cells of a map that differ from its background: most of a sweep's cells are empty."""

from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit

_SAMPLES = 256


@njit(cache=True, nogil=True)
def _differing(rows: npt.NDArray[Any], background: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    differing = np.empty(len(rows), np.int64)
    count = 0
    for i in range(len(rows)):
        same = True
        for c in range(len(background)):
            if rows[i, c] != background[c]:
                same = False
                break
        if not same:
            differing[count] = i
            count += 1
    return differing[:count].copy()


def _words(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The bytes of rows (cells, C) in the largest words that fit, for quick comparisons."""
    rows = np.ascontiguousarray(rows)
    return rows.view(np.uint64 if rows.dtype.itemsize * rows.shape[1] % 8 == 0 else np.uint8)


def differing_rows(rows: npt.NDArray[Any], background: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Numbers, ascending, of the rows (cells, C) that differ from background (C,) in any bit."""
    numbers: npt.NDArray[np.int64] = _differing(_words(rows), _words(background[None])[0])
    return numbers


def commonest_row(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The commonest row (C,) in an even sample of rows (cells, C); zeros where there is no row."""
    if len(rows) == 0:
        return np.zeros(rows.shape[1], rows.dtype)
    sample = _words(rows[:: max(1, len(rows) // _SAMPLES)])
    values, counts = np.unique(sample, axis=0, return_counts=True)
    commonest: npt.NDArray[Any] = values[counts.argmax()].view(rows.dtype)
    return commonest
