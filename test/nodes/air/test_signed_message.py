# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A signature covers every field of a message."""

from __future__ import annotations

from array import array

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.peers.key_ring import KeyRing, KeyRingError, generate_keys
from quantv2x_ros.core.peers.signing import is_signed_by, sign
from quantv2x_ros.nodes.air.signed_message import signed_content
from quantv2x_ros.nodes.encoder.index_output import Signer


def leaves(message, prefix=()):
    """Paths of all fields that hold a value, into nested messages."""
    for name in message.get_fields_and_field_types():
        value = getattr(message, name)
        if hasattr(value, "get_fields_and_field_types"):
            yield from leaves(value, (*prefix, name))
        else:
            yield (*prefix, name)


def changed(value):
    """Another value of the same type."""
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, array):
        return array(value.typecode, [*value, 1])
    if hasattr(value, "dtype"):
        other = value.copy()
        other[-1] += 1
        return other
    return value + 1


@pytest.mark.parametrize("path", list(leaves(BevIndices())), ids=".".join)
def test_every_field_but_the_signature_changes_what_is_signed(path):
    message = BevIndices()
    before = signed_content(message)
    *parents, name = path
    holder = message
    for parent in parents:
        holder = getattr(holder, parent)
    setattr(holder, name, changed(getattr(holder, name)))
    assert (signed_content(message) != before) == (path != ("signature",))


def test_the_payload_counts_byte_by_byte():
    one, other = BevIndices(), BevIndices()
    one.payload, other.payload = array("B", [1, 2]), array("B", [2, 1])
    assert signed_content(one) != signed_content(other)


def test_a_signature_survives_the_wire(tmp_path):
    private_path, _ = generate_keys(tmp_path, 7)
    # 0.1 has another value in the 32 bits that travel than in the 64 of the sender's message
    message = BevIndices(station_id=7, cell_size_x=0.1, origin_y=-0.3, map_frame="Straße")
    message.payload = array("B", range(200))
    Signer(str(private_path)).sign(message)
    received = deserialize_message(serialize_message(message), BevIndices)
    key = KeyRing.load(tmp_path)[7]
    assert is_signed_by(key, bytes(received.signature), signed_content(received))
    received.payload[100] ^= 1
    assert not is_signed_by(key, bytes(received.signature), signed_content(received))


def test_without_a_key_nothing_is_signed():
    message = BevIndices()
    Signer("").sign(message)
    assert len(message.signature) == 0


def test_a_key_that_others_may_read_keeps_the_node_from_starting(tmp_path):
    private_path, _ = generate_keys(tmp_path, 7)
    private_path.chmod(0o644)
    with pytest.raises(KeyRingError, match="chmod 600"):
        Signer(str(private_path))


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def signed_bytes():
    """A signed message as it travels, and what was signed."""
    message = BevIndices(station_id=7, sequence=3, map_frame="map", rows=100, columns=352)
    message.payload = array("B", range(120))
    content = signed_content(message)
    message.signature = array("B", sign(KEY, content))
    return serialize_message(message), content


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=4),
    st.integers(0, 40),
)
def test_no_mutation_of_the_bytes_passes_for_another_message(changes, cut):
    whole, content = signed_bytes()
    mutated = bytearray(whole)
    for place, change in changes:
        mutated[place % len(mutated)] ^= change
    try:
        message = deserialize_message(bytes(mutated[: len(mutated) - cut]), BevIndices)
    except (RuntimeError, ValueError):
        return  # no message at all
    if is_signed_by(KEY.public_key(), bytes(message.signature), signed_content(message)):
        assert signed_content(message) == content, "only padding may differ"
