# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets are signed with the station's key, of either kind."""

from __future__ import annotations

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from rclpy.serialization import serialize_message

from quantv2x_ros.core.peers.key_ring import KeyRing, KeyRingError, generate_keys
from quantv2x_ros.core.peers.signing import KINDS, UNSIGNED, is_signed_by
from quantv2x_ros.core.transport.packet import parts, unpack
from quantv2x_ros.core.transport.packet_sizes import SIGNATURE_BYTES
from quantv2x_ros.nodes.air.heard_packet import HeardPacket, message_of
from quantv2x_ros.nodes.encoder.signer import Signer
from test.nodes.packet_messages import plain_packet


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_survives_the_wire(tmp_path, kind):
    private_path, _ = generate_keys(tmp_path, 7, kind)
    signer = Signer(str(private_path))
    assert signer.kind == KINDS[kind]
    packet = plain_packet(payload=bytes(range(200)), signature_kind=signer.kind)
    data = signer.signed(packet)
    assert len(data) == len(packet.content()) + SIGNATURE_BYTES[signer.kind]
    heard = HeardPacket.read(serialize_message(message_of(data, packet.stamp_ns, "Straße")))
    assert heard.packet.signature_kind == KINDS[kind]
    assert heard.packet.payload == bytes(range(200))
    content, signature = parts(heard.data)
    key = KeyRing.load(tmp_path)[7]
    assert is_signed_by(key, signature, content)
    damaged = bytearray(content)
    damaged[100] ^= 1
    assert not is_signed_by(key, signature, bytes(damaged))


def test_without_a_key_nothing_is_signed():
    signer = Signer("")
    assert signer.kind == UNSIGNED
    data = signer.signed(plain_packet(signature_kind=signer.kind))
    assert parts(data) == (data, b"")
    assert unpack(data).signature_kind == UNSIGNED


def test_a_key_that_others_may_read_keeps_the_node_from_starting(tmp_path):
    private_path, _ = generate_keys(tmp_path, 7)
    private_path.chmod(0o644)
    with pytest.raises(KeyRingError, match="chmod 600"):
        Signer(str(private_path))
