# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Numba kernels that choose codes and sum table rows. The caller checks shapes and indices."""

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
    """Return the bytes of rows (cells, C) as the largest words that fit, to compare quickly."""
    rows = np.ascontiguousarray(rows)
    return rows.view(np.uint64 if rows.dtype.itemsize * rows.shape[1] % 8 == 0 else np.uint8)


def differing_rows(rows: npt.NDArray[Any], background: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the numbers, ascending, of rows (cells, C) that differ from background (C,)."""
    numbers: npt.NDArray[np.int64] = _differing(_words(rows), _words(background[None])[0])
    return numbers


def commonest_row(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the commonest row (C,) of an even sample of rows (cells, C); zeros without rows."""
    if len(rows) == 0:
        return np.zeros(rows.shape[1], rows.dtype)
    sample = _words(rows[:: max(1, len(rows) // _SAMPLES)])
    values, counts = np.unique(sample, axis=0, return_counts=True)
    commonest: npt.NDArray[Any] = values[counts.argmax()].view(rows.dtype)
    return commonest


Float32Array = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.uint8]

_INT32_MAX = np.int32(0x7FFFFFFF)
_BLOCK = 4


@njit(cache=True, nogil=True, inline="always")
def _ordered(bits: np.int32) -> np.int32:
    """Map the bits of a float32 to an int32 that sorts alike."""
    return bits ^ ((bits >> np.int32(31)) & _INT32_MAX)


@njit(cache=True, nogil=True, fastmath={"contract"})
def _score_block(
    block: Float32Array, weight: Float32Array, bias: Float32Array, scores: Float32Array
) -> None:
    """Write bias + block @ weight for four cells into scores (4, planes * k).

    Written out for four cells and four channels, so that each weight read serves four products.
    BLAS is no faster here on one thread, and its own threads wait for each other when other
    processes use the cores.
    """
    channels, width = weight.shape
    for cell in range(_BLOCK):
        for j in range(width):
            scores[cell, j] = bias[j]
    whole = channels // 4 * 4
    for c in range(0, whole, 4):
        a0, a1, a2, a3 = block[0, c], block[0, c + 1], block[0, c + 2], block[0, c + 3]
        b0, b1, b2, b3 = block[1, c], block[1, c + 1], block[1, c + 2], block[1, c + 3]
        d0, d1, d2, d3 = block[2, c], block[2, c + 1], block[2, c + 2], block[2, c + 3]
        e0, e1, e2, e3 = block[3, c], block[3, c + 1], block[3, c + 2], block[3, c + 3]
        for j in range(width):
            w0, w1, w2, w3 = weight[c, j], weight[c + 1, j], weight[c + 2, j], weight[c + 3, j]
            scores[0, j] = scores[0, j] + a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3
            scores[1, j] = scores[1, j] + b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3
            scores[2, j] = scores[2, j] + d0 * w0 + d1 * w1 + d2 * w2 + d3 * w3
            scores[3, j] = scores[3, j] + e0 * w0 + e1 * w1 + e2 * w2 + e3 * w3
    for c in range(whole, channels):
        for cell in range(_BLOCK):
            for j in range(width):
                scores[cell, j] += block[cell, c] * weight[c, j]


@njit(cache=True, nogil=True)
def _choose(
    scores: Float32Array,
    score_bits: npt.NDArray[np.int32],
    lookups: Float32Array,
    segments: int,
    codes: IndexArray,
) -> bool:
    """Pick the code of least score, plane by plane; False where a least score is not finite.

    The minimum is taken over the scores' bits as integers: compilers vectorise that, and the exact
    comparison of floats with its rules for NaN they do not.

    Args:
        scores: (planes * k,) of one cell, overwritten.
        score_bits: the same memory as int32.
        lookups: (pairs, k, k).
        segments: planes of a level.
        codes: (planes,), written.
    """
    planes = len(codes)
    size = len(scores) // planes
    pair = 0
    finite = True
    for plane in range(planes):
        start = plane * size
        for earlier in range(plane // segments * segments):
            code = codes[earlier]
            for k in range(size):
                scores[start + k] += lookups[pair, code, k]
            pair += 1
        least = _INT32_MAX
        for k in range(size):
            least = min(least, _ordered(score_bits[start + k]))
        chosen = _INT32_MAX
        for k in range(size):
            here = _ordered(score_bits[start + k]) == least
            chosen = min(chosen, np.int32(k) if here else _INT32_MAX)
        finite = finite and np.isfinite(scores[start + chosen])
        codes[plane] = chosen
    return finite


@njit(cache=True, nogil=True)
def encode_rows(
    features: npt.NDArray[Any],
    scale: np.float32,
    rows: npt.NDArray[np.int64],
    weight: Float32Array,
    bias: Float32Array,
    lookups: Float32Array,
    segments: int,
    indices: IndexArray,
) -> int:
    """Encode some rows of features (cells, C) times scale into indices (planes, rows).

    Weight, bias and lookups are those of ResidualCodebook. Returns how many rows had no finite
    score.
    """
    channels = features.shape[1]
    block = np.zeros((_BLOCK, channels), np.float32)
    scores = np.empty((_BLOCK, len(bias)), np.float32)
    bits = scores.view(np.int32)
    codes = np.empty(len(indices), np.uint8)
    failed = 0
    for start in range(0, len(rows), _BLOCK):
        count = min(_BLOCK, len(rows) - start)
        for cell in range(count):
            for c in range(channels):
                block[cell, c] = np.float32(features[rows[start + cell], c]) * scale
        _score_block(block, weight, bias, scores)
        for cell in range(count):
            if not _choose(scores[cell], bits[cell], lookups, segments, codes):
                failed += 1
            for plane in range(len(codes)):
                indices[plane, start + cell] = codes[plane]
    return failed


@njit(cache=True, nogil=True)
def sum_tables(tables: Float32Array, bias: Float32Array, indices: IndexArray) -> Float32Array:
    """Sum of the table rows that indices (planes, cells) pick, (cells, C)."""
    planes, cells = indices.shape
    features = np.empty((cells, len(bias)), np.float32)
    for cell in range(cells):
        for c in range(len(bias)):
            features[cell, c] = bias[c]
        for plane in range(planes):
            code = indices[plane, cell]
            for c in range(len(bias)):
                features[cell, c] += tables[plane, code, c]
    return features


@njit(cache=True, nogil=True)
def quantized_sums(
    tables: Float32Array,
    bias: Float32Array,
    indices: IndexArray,
    scale: np.float32,
    zero_point: int,
    features: npt.NDArray[np.uint8],
) -> None:
    """Write the sum of the table rows that indices pick, in steps of scale, to features.

    Multiplies with the scale's inverse, as OpenVINO does; at a tie the two may differ by a step.

    Cells with the same indices as the one before are copied: most are background.

    Args:
        tables: (planes, k, C).
        bias: (C,).
        indices: (planes, cells), each below k.
        scale: value of a step; what rounds to less than 0 or more than 255 steps is cut off.
        zero_point: added to the steps.
        features: (cells, C), written.
    """
    planes, cells = indices.shape
    channels = len(bias)
    sums = np.empty(channels, np.float32)
    inverse = np.float32(1.0) / scale
    low, high = np.float32(-zero_point), np.float32(255 - zero_point)
    for cell in range(cells):
        same = cell > 0
        for plane in range(planes):
            same = same and indices[plane, cell] == indices[plane, cell - 1]
        if same:
            for c in range(channels):
                features[cell, c] = features[cell - 1, c]
            continue
        for c in range(channels):
            sums[c] = bias[c]
        for plane in range(planes):
            code = indices[plane, cell]
            for c in range(channels):
                sums[c] += tables[plane, code, c]
        for c in range(channels):
            steps = min(max(np.rint(sums[c] * inverse), low), high)
            features[cell, c] = np.uint8(np.int32(steps) + zero_point)
