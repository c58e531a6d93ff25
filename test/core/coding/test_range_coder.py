# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The binary arithmetic coder: any bits with any probabilities, in about as many bits as due."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from quantv2x_ros.core.coding.index_kernels import (
    PROBABILITY_BITS,
    code_bit,
    exact_probabilities,
    finish,
    first_value,
    probability_table,
)


@njit
def run(decoding, buffer, size, probabilities, bits):  # type: ignore[no-untyped-def]
    low, high = np.uint64(0), np.uint64(0xFFFFFFFF)
    value = first_value(buffer, size) if decoding else np.uint64(0)
    position = 4 if decoding else 0
    for i in range(len(bits)):
        bit, low, high, value, position = code_bit(
            decoding, buffer, size, low, high, value, position, probabilities[i], bits[i]
        )
        bits[i] = bit
    return position if decoding else finish(buffer, size, low, high, position)


def coded(bits: npt.NDArray[np.int64], probabilities: npt.NDArray[np.int64]) -> bytes:
    buffer = np.zeros(4 * len(bits) + 4, np.uint8)
    return buffer[: run(False, buffer, len(buffer), probabilities, bits.copy())].tobytes()


def read(payload: bytes, probabilities: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    bits = np.zeros(len(probabilities), np.int64)
    run(True, np.frombuffer(payload, np.uint8).copy(), len(payload), probabilities, bits)
    return bits


decisions = st.lists(
    st.tuples(st.booleans(), st.integers(1, 65535) | st.sampled_from([1, 2, 65534, 65535])),
    max_size=300,
)


@given(decisions)
def test_all_bits_come_back(drawn: list[tuple[bool, int]]) -> None:
    bits = np.array([bit for bit, _ in drawn], np.int64)
    probabilities = np.array([probability for _, probability in drawn], np.int64)
    np.testing.assert_array_equal(read(coded(bits, probabilities), probabilities), bits)


@given(st.binary(max_size=40), st.integers(0, 2**32 - 1))
def test_any_bytes_give_some_bits(noise: bytes, seed: int) -> None:
    probabilities = np.random.default_rng(seed).integers(1, 65536, 200)
    bits = read(noise, probabilities)
    assert set(bits.tolist()) <= {0, 1}


def test_the_length_is_that_of_the_surprise() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.integers(1, 65536, 20_000)
    share = probabilities / 2**PROBABILITY_BITS
    bits = (generator.random(20_000) < share).astype(np.int64)
    surprise = -np.log2(np.where(bits == 1, share, 1 - share)).sum() / 8
    assert surprise - 1 < len(coded(bits, probabilities)) < 1.001 * surprise + 4


def test_a_buffer_too_small_is_said_and_not_overrun() -> None:
    bits = np.tile(np.array([0, 1], np.int64), 200)
    probabilities = np.full(400, 1 << 15)
    buffer = np.full(60, 7, np.uint8)
    assert run(False, buffer, 20, probabilities, bits) > 20
    assert (buffer[20:] == 7).all()


def test_every_correct_exp_gives_the_same_table() -> None:
    """A last-place error of exp moves a value by less than 1e-10; none is that near a border."""
    exact = exact_probabilities()
    assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-7
    table = probability_table()
    assert table.min() == 1
    assert table.max() == 65535
    assert (np.diff(table) >= 0).all()
