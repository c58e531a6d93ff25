# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A binary arithmetic coder in integers: bits with probabilities to bytes and back.

The interval [low, high] of 32 bits is narrowed by each bit, and its common leading bytes leave (as
in Witten, Neal and Cleary 1987, in the byte-wise form without carry of the PAQ compressors).
Sender and receiver get the same bytes from the same probabilities on every machine.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.compiled import njit

#: Probabilities are in units of 2**-16, from 1 to 65535.
PROBABILITY_BITS = 16
#: Steps of a logit's unit in the table of probabilities, and the largest logit there.
LOGIT_STEPS = 128
LOGIT_LIMIT = 11

_WORD = np.uint64(0xFFFFFFFF)
_TOP = np.uint64(0xFF000000)


def exact_probabilities() -> npt.NDArray[np.float64]:
    """Probabilities in units of 2**-16 before they are rounded, by logit from the least."""
    logits = np.arange(-LOGIT_LIMIT * LOGIT_STEPS, LOGIT_LIMIT * LOGIT_STEPS + 1) / LOGIT_STEPS
    values: npt.NDArray[np.float64] = 2.0**PROBABILITY_BITS / (1.0 + np.exp(-logits))
    return values


@cache
def probability_table() -> npt.NDArray[np.int32]:
    """Probability of a set bit by its logit: entry ``(logit + LOGIT_LIMIT) * LOGIT_STEPS``.

    No value lies near the border of two integers, so every correct exp gives the same table.
    """
    rounded = np.rint(exact_probabilities()).astype(np.int32)
    return rounded.clip(1, (1 << PROBABILITY_BITS) - 1)


@njit(inline="always")
def code_bit(  # type: ignore[no-untyped-def]
    decoding, buffer, size, low, high, value, position, probability, bit
):
    """Code one bit.

    Args:
        decoding: read the bit from the buffer rather than write it there.
        buffer: (bytes,) uint8.
        size: bytes of it that may be used; beyond, nothing is written and zeros are read.
        low: uint64, first number of the interval, 0 at first.
        high: uint64, its last number, 2**32 - 1 at first.
        value: uint64, where in the interval the read number lies; see `first_value`.
        position: next byte of the buffer.
        probability: of a set bit, 1 to 65535.
        bit: what to write.

    Returns:
        The bit, low, high, value and position.
    """
    middle = low + (((high - low) * np.uint64(probability)) >> np.uint64(PROBABILITY_BITS))
    if decoding:
        bit = 1 if value <= middle else 0
    if bit:
        high = middle
    else:
        low = middle + np.uint64(1)
    while ((low ^ high) & _TOP) == np.uint64(0):
        if decoding:
            following = np.uint64(buffer[position]) if position < size else np.uint64(0)
            value = ((value << np.uint64(8)) & _WORD) | following
        elif position < size:
            buffer[position] = np.uint8(high >> np.uint64(24))
        position += 1
        low = (low << np.uint64(8)) & _WORD
        high = ((high << np.uint64(8)) & _WORD) | np.uint64(255)
    return bit, low, high, value, position


@njit(inline="always")
def first_value(buffer, size):  # type: ignore[no-untyped-def]
    """Return the value that decoding begins with; its first byte to read is then number 4."""
    value = np.uint64(0)
    for i in range(4):
        value = (value << np.uint64(8)) | (np.uint64(buffer[i]) if i < size else np.uint64(0))
    return value


@njit(cache=True, nogil=True)
def finish(buffer: npt.NDArray[np.uint8], size: int, low: Any, high: Any, position: int) -> int:
    """Write the fewest bytes that lie in the interval with zeros after them; return the end."""
    if low == np.uint64(0):
        return position
    for count in range(1, 5):
        unit = np.uint64(1) << np.uint64(32 - 8 * count)
        number = ((low + unit - np.uint64(1)) // unit) * unit
        if number <= high:
            for i in range(count):
                if position < size:
                    buffer[position] = np.uint8((number >> np.uint64(24 - 8 * i)) & np.uint64(255))
                position += 1
            break
    return position
