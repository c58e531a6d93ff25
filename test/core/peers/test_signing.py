# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Signatures, and the bytes that they are made over."""

from __future__ import annotations

import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.peers.signing import SIGNATURE_SIZE, canonical_bytes, is_signed_by, sign

VALUES = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=9),
    st.binary(max_size=9),
    st.lists(st.floats(allow_nan=False), max_size=4),
)


def exact(values):
    """Values with their types and bits, so that 0.0 differs from -0.0 and 1 from 1.0."""
    return [
        (type(v).__name__, struct.pack("<d", v) if isinstance(v, float) else repr(v))
        for v in values
    ]


@given(st.lists(VALUES, max_size=5), st.lists(VALUES, max_size=5))
def test_different_values_have_different_bytes(one, other):
    same = canonical_bytes("test", one) == canonical_bytes("test", other)
    assert same == (exact(one) == exact(other))


def test_bytes_do_not_flow_from_one_value_into_the_next():
    assert canonical_bytes("c", ["ab", "c"]) != canonical_bytes("c", ["a", "bc"])
    assert canonical_bytes("c", [[1.0], [2.0]]) != canonical_bytes("c", [[1.0, 2.0]])


def test_the_context_keeps_kinds_of_messages_apart():
    assert canonical_bytes("one", [1]) != canonical_bytes("two", [1])


def test_the_bytes_are_those_of_version_one_for_ever():
    expected = b"c\x01\x00\x00\x00x" + b"u" + bytes([5]) + bytes(7) + b"n" + b"\xff" * 8
    expected += b"s\x01\x00\x00\x00a" + b"b\x01\x00\x00\x00\x07" + b"f" + bytes(6) + b"\xf0\x3f"
    assert canonical_bytes("x", [5, -1, "a", b"\x07", 1.0]) == expected


def test_a_number_beyond_64_bits_is_refused():
    with pytest.raises(struct.error):
        canonical_bytes("x", [2**64])


def test_a_signature_holds_for_its_content_and_key_alone():
    key, stranger = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    signature = sign(key, b"content")
    assert len(signature) == SIGNATURE_SIZE
    assert is_signed_by(key.public_key(), signature, b"content")
    assert not is_signed_by(key.public_key(), signature, b"Content")
    assert not is_signed_by(stranger.public_key(), signature, b"content")
    assert not is_signed_by(key.public_key(), b"", b"content")
    assert not is_signed_by(key.public_key(), signature + b"\x00", b"content")


@given(st.integers(0, SIGNATURE_SIZE * 8 - 1))
def test_no_bit_of_a_signature_may_change(bit):
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    signature = bytearray(sign(key, b"content"))
    signature[bit // 8] ^= 1 << bit % 8
    assert not is_signed_by(key.public_key(), bytes(signature), b"content")
