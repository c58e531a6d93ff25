# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Signatures of both kinds, and the bytes of a packet that they are made over."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from quantv2x_ros.core.geometry.packed_pose import PoseSpread
from quantv2x_ros.core.peers.signing import (
    CONTEXT,
    ECDSA_P256,
    ED25519,
    KINDS,
    UNSIGNED,
    is_signed_by,
    kind_of,
    sign,
)
from quantv2x_ros.core.transport import packet as packets
from quantv2x_ros.core.transport.packet import Packet, PacketError, parts, seal, unpack
from quantv2x_ros.core.transport.packet_sizes import HEADER_BYTES, SIGNATURE_BYTES
from quantv2x_ros.core.transport.tiles import TilePlace

KEYS = {
    "ed25519": Ed25519PrivateKey.from_private_bytes(bytes(range(32))),
    "ecdsa_p256": ec.derive_private_key(2**200 + 12345, ec.SECP256R1()),
}
STRANGERS = {
    "ed25519": Ed25519PrivateKey.from_private_bytes(bytes(32)),
    "ecdsa_p256": ec.derive_private_key(54321, ec.SECP256R1()),
}
#: Order of the group of P-256: no half of a signature is as large.
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SIZE = 64
kinds = pytest.mark.parametrize("kind", KEYS)


@functools.cache
def signature_of(kind, content):
    return sign(KEYS[kind], content)


def is_signed(kind, signature, content):
    return is_signed_by(KEYS[kind].public_key(), signature, content)


def test_each_kind_has_its_number_and_its_size_in_a_packet():
    assert (
        KINDS == {"ed25519": ED25519, "ecdsa_p256": ECDSA_P256} == {"ed25519": 1, "ecdsa_p256": 2}
    )
    assert SIGNATURE_BYTES == {UNSIGNED: 0, ED25519: SIZE, ECDSA_P256: SIZE}
    for kind, key in KEYS.items():
        assert kind_of(key) == kind_of(key.public_key()) == KINDS[kind]
        assert len(signature_of(kind, b"content")) == SIZE


@kinds
def test_a_signature_holds_for_its_content_and_key_alone(kind):
    key, stranger = KEYS[kind], STRANGERS[kind]
    signature = sign(key, b"content")
    assert is_signed_by(key.public_key(), signature, b"content")
    assert not is_signed_by(key.public_key(), signature, b"Content")
    assert not is_signed_by(key.public_key(), signature, b"content\x00")
    assert not is_signed_by(key.public_key(), signature, b"")
    assert not is_signed_by(stranger.public_key(), signature, b"content")
    assert not is_signed_by(key.public_key(), b"", b"content")
    assert not is_signed_by(key.public_key(), signature[:-1], b"content")
    assert not is_signed_by(key.public_key(), signature + b"\x00", b"content")


@kinds
def test_a_signature_of_the_other_kind_is_none(kind):
    other = next(name for name in KEYS if name != kind)
    assert not is_signed(kind, signature_of(other, b"content"), b"content")


def test_signatures_over_anything_but_a_packet_are_none():
    assert CONTEXT == b"quantv2x packet 1\0", "a change of it changes the packet's layout, too"
    bare = KEYS["ed25519"].sign(b"content")
    assert not is_signed("ed25519", bare, b"content")
    assert is_signed("ed25519", KEYS["ed25519"].sign(CONTEXT + b"content"), b"content")
    for content, expected in ((b"content", False), (CONTEXT + b"content", True)):
        encoded = KEYS["ecdsa_p256"].sign(content, ec.ECDSA(hashes.SHA256()))
        r, s = decode_dss_signature(encoded)
        assert is_signed("ecdsa_p256", in_halves(r, s), b"content") == expected


def in_halves(r, s):
    """An ECDSA signature as IEEE 1609.2 and ETSI TS 103 097 write its numbers."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@settings(deadline=None)
@given(st.sampled_from(sorted(KEYS)), st.binary(max_size=300))
def test_whatever_is_signed_is_signed_in_64_bytes(kind, content):
    signature = sign(KEYS[kind], content)
    assert len(signature) == SIZE
    assert is_signed(kind, signature, content)


def test_halves_of_ecdsa_that_begin_with_zeros_keep_their_size():
    content, short = b"content", []
    while len(short) < 3:  # one in 128 signatures
        signature = sign(KEYS["ecdsa_p256"], content)
        assert len(signature) == SIZE
        if 0 in (signature[0], signature[SIZE // 2]):
            short.append(signature)
    assert all(is_signed("ecdsa_p256", signature, content) for signature in short)


@settings(deadline=None)
@given(st.sampled_from(sorted(KEYS)), st.integers(0, SIZE * 8 - 1))
def test_no_bit_of_a_signature_may_change(kind, bit):
    signature = bytearray(signature_of(kind, b"content"))
    signature[bit // 8] ^= 1 << bit % 8
    assert not is_signed(kind, bytes(signature), b"content")


@settings(deadline=None)
@given(st.sampled_from(sorted(KEYS)), st.binary(min_size=SIZE, max_size=SIZE))
def test_no_bytes_are_a_signature_or_an_error(kind, signature):
    assert not is_signed(kind, signature, b"content")


@kinds
@pytest.mark.parametrize("r", [0, 1, ORDER - 1, ORDER, ORDER + 1, 2**256 - 1])
@pytest.mark.parametrize("s", [0, 1, ORDER - 1, ORDER, ORDER + 1, 2**256 - 1])
def test_extreme_numbers_are_no_signature(kind, r, s):
    assert not is_signed(kind, in_halves(r, s), b"content")


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
        ec.generate_private_key(ec.SECP224R1()),
        ed448.Ed448PrivateKey.generate(),
        x25519.X25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 1024),
    ],
    ids=lambda key: type(key).__name__,
)
def test_a_key_of_another_kind_is_refused(key):
    for half in (key, key.public_key()):
        curve = f" on {half.curve.name}" if hasattr(half, "curve") else ""
        expected = f"{type(half).__name__}{curve}, expected Ed25519 or ECDSA on the curve P-256"
        with pytest.raises(ValueError, match=expected):
            kind_of(half)


def packet(kind):
    return Packet(
        station_id=7,
        sequence=3,
        stamp_ns=1_700_000_000_100_000_000,
        pose=np.eye(4),
        spread=PoseSpread(0.1, 0.1, 0.0, 0.01),
        format_id=99,
        tile_index=0,
        tile_count=2,
        parity_count=1,
        place=TilePlace(0, 2, 4, 8, 16, 32),
        sent_levels=2,
        omitted_cells=5,
        encoding=packets.CONTEXT,
        payload=bytes(range(120)),
        signature_kind=KINDS[kind],
    )


@functools.cache
def signed_packet(kind):
    content = packet(kind).content()
    return content + sign(KEYS[kind], content)


@kinds
def test_every_byte_of_a_packet_but_its_signature_is_signed(kind):
    data = signed_packet(kind)
    content, signature = parts(data)
    assert is_signed(kind, signature, content)
    assert len(content) == HEADER_BYTES + 120
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        assert not is_signed(kind, signature, bytes(changed)), place


OTHER_VALUES = {
    "station_id": 8,
    "sequence": 4,
    "stamp_ns": 1_700_000_000_100_000_001,
    "pose": np.diag([-1.0, -1.0, 1.0, 1.0]),
    "spread": PoseSpread(0.2, 0.1, 0.0, 0.01),
    "format_id": 98,
    "tile_index": 1,
    "tile_count": 3,
    "parity_count": 2,
    "place": TilePlace(0, 2, 4, 8, 16, 33),
    "sent_levels": 1,
    "omitted_cells": 6,
    "encoding": packets.BIT_PACKED,
    "payload": bytes(range(1, 121)),
    "signature_kind": 0,
}


@kinds
@pytest.mark.parametrize("name", OTHER_VALUES)
def test_every_value_of_a_packet_is_signed(kind, name):
    signature = parts(signed_packet(kind))[1]
    other = packet(kind).with_values(**{name: OTHER_VALUES[name]}).content()
    assert other != packet(kind).content()
    assert not is_signed(kind, signature, other)


def test_every_value_of_a_packet_is_tried():
    assert set(OTHER_VALUES) == set(Packet.__dataclass_fields__)


@kinds
def test_a_signature_survives_the_wire(kind):
    received = unpack(signed_packet(kind))
    assert received.signature_kind == KINDS[kind]
    assert received.payload == bytes(range(120))
    assert received.content() == parts(signed_packet(kind))[0]


@kinds
def test_a_packet_that_denies_its_signature_has_none(kind):
    data = bytearray(signed_packet(kind))
    data[0] &= ~3
    seal(data)
    content, signature = parts(data)
    assert signature == b""
    assert unpack(data).payload == bytes(range(120)) + signed_packet(kind)[-SIZE:]
    assert not is_signed(kind, signature, content)
    assert not is_signed(kind, signed_packet(kind)[-SIZE:], content)


@kinds
def test_a_signature_that_claims_the_other_kind_is_none(kind):
    data = bytearray(signed_packet(kind))
    data[0] ^= 3
    seal(data)
    content, signature = parts(data)
    assert signature == signed_packet(kind)[-SIZE:]
    assert unpack(data).signature_kind not in (UNSIGNED, KINDS[kind])
    assert not is_signed(kind, signature, content)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(sorted(KEYS)),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=4),
    st.integers(0, 40),
    st.booleans(),
)
def test_no_mutation_of_the_bytes_passes_for_another_packet(kind, changes, cut, has_right_crc):
    whole = signed_packet(kind)
    mutated = bytearray(whole)
    for place, change in changes:
        mutated[place % len(mutated)] ^= change
    del mutated[len(mutated) - cut :]
    if has_right_crc and mutated[0] & 3 in SIGNATURE_BYTES:
        seal(mutated)
    try:
        content, signature = parts(mutated)
    except PacketError:
        return  # no packet at all
    if is_signed(kind, signature, content):
        assert content == parts(whole)[0]
