# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Index payloads: what goes in comes out, and what was damaged never does."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.wire import (
    HEADER_BYTES,
    MAX_INDICES,
    IndexPrior,
    WireError,
    decode_indices,
    encode_indices,
    packed_size,
)

Indices = npt.NDArray[np.uint8]


@st.composite
def index_maps(draw: st.DrawFn) -> tuple[Indices, IndexPrior]:
    """Maps of any shape and codebook size; the extreme indices occur often."""
    prior = IndexPrior(draw(st.integers(2, 256)))
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 12)))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    indices = generator.integers(0, prior.dict_size, shape).astype(np.uint8)
    if draw(st.booleans()):
        indices[generator.random(shape) < 0.5] = prior.dict_size - 1
    return indices, prior


@given(index_maps())
def test_indices_survive_the_wire(drawn: tuple[Indices, IndexPrior]) -> None:
    indices, prior = drawn
    payload = encode_indices(indices, prior)
    assert len(payload) == packed_size(indices.shape, prior)
    for form in (payload, bytearray(payload), memoryview(payload)):
        decoded = decode_indices(form, prior, indices.shape)
        np.testing.assert_array_equal(decoded, indices)
        assert decoded.dtype == np.uint8


@given(index_maps(), st.data())
def test_any_damaged_byte_is_noticed(
    drawn: tuple[Indices, IndexPrior], data: st.DataObject
) -> None:
    indices, prior = drawn
    payload = bytearray(encode_indices(indices, prior))
    position = data.draw(st.integers(0, len(payload) - 1))
    payload[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(WireError):
        decode_indices(bytes(payload), prior, indices.shape)


@given(index_maps(), st.data())
def test_any_wrong_length_is_noticed(
    drawn: tuple[Indices, IndexPrior], data: st.DataObject
) -> None:
    indices, prior = drawn
    payload = encode_indices(indices, prior)
    cut = data.draw(st.integers(0, len(payload) - 1))
    with pytest.raises(WireError, match="bytes, expected"):
        decode_indices(payload[:cut], prior, indices.shape)
    with pytest.raises(WireError, match="bytes, expected"):
        decode_indices(payload + b"\0", prior, indices.shape)


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(WireError):
        decode_indices(noise, IndexPrior(128), (2, 3, 4))


def test_a_frame_has_the_size_the_link_is_planned_for() -> None:
    full = (3, 100, 352)
    assert packed_size(full, IndexPrior(128)) - HEADER_BYTES == 92_400
    assert packed_size((1, 100, 352), IndexPrior(128)) - HEADER_BYTES == 30_800
    assert HEADER_BYTES <= 16
    assert [IndexPrior(size).bits for size in (2, 3, 4, 5, 128, 129, 255, 256)] == [
        1, 2, 2, 3, 7, 8, 8, 8,
    ]  # fmt: skip


def _forge(fields: tuple[int, int, int, int, int, int], body: bytes) -> bytes:
    """A payload with a correct checksum, whatever it says."""
    header = struct.pack("<2sBBHHHH", b"Q2", *fields)
    return header + struct.pack("<I", zlib.crc32(body, zlib.crc32(header))) + body


def test_a_correct_checksum_does_not_excuse_the_content() -> None:
    prior, shape = IndexPrior(5), (1, 1, 5)  # three bits each, 15 of 16 bits used
    good = _forge((1, 3, 1, 1, 5, 5), bytes([0b00000101, 0b00111000]))
    assert decode_indices(good, prior, shape).tolist() == [[[0, 1, 2, 3, 4]]]
    with pytest.raises(WireError, match="index 7 is outside of 5 codes"):
        decode_indices(_forge((1, 3, 1, 1, 5, 5), b"\xff\xfe"), prior, shape)
    with pytest.raises(WireError, match="last byte"):
        decode_indices(_forge((1, 3, 1, 1, 5, 5), bytes([5, 0b00111001])), prior, shape)
    with pytest.raises(WireError, match="version 2"):
        decode_indices(_forge((2, 3, 1, 1, 5, 5), b"\0\0"), prior, shape)
    with pytest.raises(WireError, match="of 6 codes"):
        decode_indices(_forge((1, 3, 1, 1, 5, 6), b"\0\0"), prior, shape)
    with pytest.raises(WireError, match=r"\(1, 5, 1\) indices"):
        decode_indices(_forge((1, 3, 1, 5, 1, 5), b"\0\0"), prior, shape)
    with pytest.raises(WireError, match="in 4 bits"):
        decode_indices(_forge((1, 4, 1, 1, 5, 5), b"\0\0"), prior, shape)


@pytest.mark.parametrize(
    "shape", [(3, 60_000, 60_000), (0, 1, 1), (1, -1, 1), (1, 1), (1, 70_000, 1)]
)
def test_sizes_are_bounded_before_anything_is_allocated(shape: tuple[int, ...]) -> None:
    with pytest.raises(WireError, match="shape"):
        decode_indices(b"", IndexPrior(128), shape)  # type: ignore[arg-type]


def test_the_bound_leaves_room_for_large_maps() -> None:
    assert packed_size((16, 1024, 1024), IndexPrior(256)) == MAX_INDICES + HEADER_BYTES


@pytest.mark.parametrize("size", [0, 1, 257, -5])
def test_codebook_sizes_are_2_to_256(size: int) -> None:
    with pytest.raises(WireError, match="dict_size must be 2 to 256"):
        IndexPrior(size)


def test_indices_that_no_payload_holds_are_refused() -> None:
    with pytest.raises(WireError, match="index 128 is outside of 128"):
        encode_indices(np.full((1, 2, 2), 128, np.uint8), IndexPrior(128))
    with pytest.raises(WireError, match="must be uint8"):
        encode_indices(np.zeros((1, 2, 2), np.int64), IndexPrior(128))  # type: ignore[arg-type]
    with pytest.raises(WireError, match="shape"):
        encode_indices(np.zeros((0, 2, 2), np.uint8), IndexPrior(128))
