# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Index payloads: what goes in comes out, and what was damaged never does."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.coding.index_model import IndexModel, ways
from quantv2x_ros.core.coding.wire import (
    CONTEXT,
    HEADER_BYTES,
    MAX_INDICES,
    PACKED,
    VERSION,
    EntropyModel,
    WireError,
    decode_indices,
    encode_indices,
    packed_size,
)

Indices = npt.NDArray[np.uint8]
Models = Callable[[int, int, int], IndexModel]


@st.composite
def index_maps(
    draw: st.DrawFn, models: Callable[[int, int, int], IndexModel]
) -> tuple[Indices, EntropyModel, int]:
    """Maps of any shape, codebook and model with the number of their first plane.

    Background and the extreme indices occur often.
    """
    size = draw(st.sampled_from([2, 3, 5, 128, 255, 256]) | st.integers(2, 256))
    model = None
    planes, first = draw(st.integers(1, 4)), 0
    if draw(st.booleans()):
        first = draw(st.integers(0, 4 - planes))
        model = models(4, draw(st.sampled_from([2, 3, 128, 256])), draw(st.integers(0, 3)))
        size = model.dict_size
    shape = (planes, draw(st.integers(1, 9)), draw(st.integers(1, 12)))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    indices = generator.integers(0, size, shape).astype(np.uint8)
    kind = draw(st.sampled_from(["noise", "extreme", "background"]))
    if kind == "extreme":
        indices[generator.random(shape) < 0.5] = size - 1
    elif kind == "background" and model is not None:
        empty = np.broadcast_to(model.background[first : first + planes, None, None], shape)
        indices = np.where(generator.random(shape) < draw(st.floats(0, 1)), indices, empty)
    return indices, EntropyModel(size, model), first


@given(st.data())
def test_indices_survive_the_wire(index_model: Models, data: st.DataObject) -> None:
    indices, entropy_model, first = data.draw(index_maps(index_model))
    payload = encode_indices(indices, entropy_model, first)
    assert len(payload) <= packed_size(indices.shape, entropy_model, first)
    for form in (payload, bytearray(payload), memoryview(payload)):
        decoded = decode_indices(form, entropy_model, indices.shape, first)
        np.testing.assert_array_equal(decoded, indices)
        assert decoded.dtype == np.uint8


@given(st.data())
def test_any_damaged_byte_is_noticed(index_model: Models, data: st.DataObject) -> None:
    indices, entropy_model, first = data.draw(index_maps(index_model))
    payload = bytearray(encode_indices(indices, entropy_model, first))
    position = data.draw(st.integers(0, len(payload) - 1))
    payload[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(WireError):
        decode_indices(bytes(payload), entropy_model, indices.shape, first)


@given(st.data())
def test_any_wrong_length_is_noticed(index_model: Models, data: st.DataObject) -> None:
    indices, entropy_model, first = data.draw(index_maps(index_model))
    payload = encode_indices(indices, entropy_model, first)
    cut = data.draw(st.integers(0, len(payload) - 1))
    with pytest.raises(WireError):
        decode_indices(payload[:cut], entropy_model, indices.shape, first)
    with pytest.raises(WireError):
        decode_indices(payload + b"\0", entropy_model, indices.shape, first)


@given(st.data())
def test_whoever_expects_something_else_notices(index_model: Models, data: st.DataObject) -> None:
    """The same bytes under another model, plane or shape are refused, not misread."""
    model, other = index_model(3, 128, 0), index_model(3, 128, 1)
    indices = np.full((1, 4, 6), model.background[0], np.uint8)
    indices[0, 2, data.draw(st.integers(0, 5))] = 5
    payload = encode_indices(indices, EntropyModel(128, model))
    for entropy_model, shape, first in (
        (EntropyModel(128, other), (1, 4, 6), 0),
        (EntropyModel(128), (1, 4, 6), 0),
        (EntropyModel(128, model), (1, 6, 4), 0),
        (EntropyModel(128, model), (1, 4, 6), 1),
    ):
        with pytest.raises(WireError, match="CRC-32"):
            decode_indices(payload, entropy_model, shape, first)


@given(st.data(), st.binary(max_size=60))
def test_any_body_decodes_to_indices_of_the_codebook_or_is_refused(
    index_model: Models, data: st.DataObject, body: bytes
) -> None:
    """A correct checksum over nonsense: bounded work, and no index outside of the codebook."""
    model = index_model(3, data.draw(st.sampled_from([2, 3, 128, 256])), 2)
    entropy_model, shape, first = (
        EntropyModel(model.dict_size, model),
        (2, 5, 7),
        data.draw(st.integers(0, 1)),
    )
    payload = forge(VERSION, CONTEXT, body, entropy_model, shape, first)
    try:
        decoded = decode_indices(payload, entropy_model, shape, first)
    except WireError:
        assert len(body) > 4  # more bytes than the indices need
        return
    assert decoded.shape == shape
    assert int(decoded.max()) < model.dict_size


def test_a_trained_model_makes_them_small(index_model: Models) -> None:
    """What a model expects takes few bytes: here, a map that is all background."""
    model = index_model(3, 128, 0)
    likely = replace(model, weight_bias=_towards(model))
    empty = np.empty((3, 100, 352), np.uint8)
    empty[:] = likely.background[:, None, None]
    entropy_model = EntropyModel(128, likely)
    assert len(encode_indices(empty, entropy_model)) < 300
    np.testing.assert_array_equal(
        decode_indices(encode_indices(empty, entropy_model), entropy_model, empty.shape), empty
    )


def _towards(model: IndexModel) -> npt.NDArray[np.int32]:
    """Biases that make the way to the background's code certain."""
    bias = np.zeros_like(model.weight_bias)
    for plane, tree in enumerate(model.children):
        branch = 0
        for bit in ways(tree)[int(model.background[plane])]:
            bias[plane, branch] = (1 << 29) if bit else -(1 << 29)
            branch = int(tree[branch, bit])
    return bias


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(WireError):
        decode_indices(noise, EntropyModel(128), (2, 3, 4))


def test_a_frame_has_the_size_the_link_is_planned_for() -> None:
    full = (3, 100, 352)
    assert packed_size(full, EntropyModel(128)) - HEADER_BYTES == 92_400
    assert packed_size((1, 100, 352), EntropyModel(128)) - HEADER_BYTES == 30_800
    assert HEADER_BYTES <= 16
    assert [EntropyModel(size).bits for size in (2, 3, 4, 5, 128, 129, 255, 256)] == [
        1, 2, 2, 3, 7, 8, 8, 8,
    ]  # fmt: skip


def forge(
    version: int,
    coding: int,
    body: bytes,
    entropy_model: EntropyModel,
    shape: tuple[int, int, int],
    first_plane: int = 0,
) -> bytes:
    """A payload with a correct checksum, whatever it says."""
    model = 0 if entropy_model.model is None else entropy_model.model.fingerprint
    fields = struct.pack("<BB", version, coding)
    known = struct.pack("<HHHHHQ", *shape, first_plane, entropy_model.dict_size, model)
    return fields + struct.pack("<I", zlib.crc32(fields + known + body)) + body


def test_a_correct_checksum_does_not_excuse_the_content(index_model: Models) -> None:
    entropy_model, shape = EntropyModel(5), (1, 1, 5)  # three bits each, 15 of 16 bits used
    good = forge(VERSION, PACKED, bytes([0b00000101, 0b00111000]), entropy_model, shape)
    assert decode_indices(good, entropy_model, shape).tolist() == [[[0, 1, 2, 3, 4]]]
    for version, coding, body, complaint in (
        (VERSION, PACKED, b"\xff\xfe", "index 7 is outside of 5 codes"),
        (VERSION, PACKED, bytes([5, 0b00111001]), "last byte"),
        (VERSION + 1, PACKED, b"\0\0", f"version {VERSION + 1}"),
        (VERSION, 2, b"\0\0", "coding 2"),
        (VERSION, CONTEXT, b"\0\0", "has none"),
        (VERSION, CONTEXT, b"\0\0\0", "at most"),
    ):
        with pytest.raises(WireError, match=complaint):
            decode_indices(forge(version, coding, body, entropy_model, shape), entropy_model, shape)
    modelled = EntropyModel(5, index_model(1, 5, 0))
    with pytest.raises(WireError, match="more than its indices need"):
        decode_indices(
            forge(VERSION, CONTEXT, bytes(50), modelled, (1, 10, 20)), modelled, (1, 10, 20)
        )


@pytest.mark.parametrize(
    "shape", [(3, 60_000, 60_000), (0, 1, 1), (1, -1, 1), (1, 1), (1, 70_000, 1)]
)
def test_sizes_are_bounded_before_anything_is_allocated(shape: tuple[int, ...]) -> None:
    with pytest.raises(WireError, match="shape"):
        decode_indices(b"", EntropyModel(128), shape)  # type: ignore[arg-type]


def test_the_bound_leaves_room_for_large_maps() -> None:
    assert packed_size((16, 1024, 1024), EntropyModel(256)) == MAX_INDICES + HEADER_BYTES


@pytest.mark.parametrize("size", [0, 1, 257, -5])
def test_codebook_sizes_are_2_to_256(size: int) -> None:
    with pytest.raises(WireError, match="dict_size must be 2 to 256"):
        EntropyModel(size)


def test_indices_that_no_payload_holds_are_refused(index_model: Models) -> None:
    with pytest.raises(WireError, match="index 128 is outside of 128"):
        encode_indices(np.full((1, 2, 2), 128, np.uint8), EntropyModel(128))
    with pytest.raises(WireError, match="must be uint8"):
        encode_indices(np.zeros((1, 2, 2), np.int64), EntropyModel(128))  # type: ignore[arg-type]
    with pytest.raises(WireError, match="shape"):
        encode_indices(np.zeros((0, 2, 2), np.uint8), EntropyModel(128))
    with pytest.raises(WireError, match="the model is of 5 codes, the codebook has 6"):
        EntropyModel(6, index_model(1, 5, 0))
    with pytest.raises(WireError, match="planes 2 to 3: there are 3 planes"):
        encode_indices(np.zeros((2, 2, 2), np.uint8), EntropyModel(5, index_model(3, 5, 0)), 2)
