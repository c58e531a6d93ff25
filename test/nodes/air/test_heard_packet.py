# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages to packets, and what is none."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.transport.packet import HEADERS, PacketError, seal, unpack
from quantv2x_ros.core.transport.packet_sizes import HEADER_BYTES, MAX_PACKET_BYTES, SIGNATURE_BYTES
from quantv2x_ros.nodes.air.heard_packet import HeardPacket, message_of
from quantv2x_ros.nodes.air.indices_subscription import packet_place
from test.nodes.packet_messages import message_with, plain_packet

WHOLE = serialize_message(message_with(plain_packet(payload=bytes(100)), "agent/lidar"))


@settings(deadline=None)  # the first call loads the type support
@given(
    st.binary(max_size=300),
    st.sampled_from(sorted(SIGNATURE_BYTES)),
    st.integers(0, 2**31 * 10**9 - 1),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30),
)
def test_a_packet_comes_back_as_it_was_sent(payload, kind, stamp_ns, frame_id):
    packet = plain_packet(payload=payload, signature_kind=kind, stamp_ns=stamp_ns)
    data = packet.content() + bytes(SIGNATURE_BYTES[kind])
    message = message_of(data, stamp_ns, frame_id)
    for heard in (HeardPacket.of(message), HeardPacket.read(serialize_message(message))):
        assert heard.data == data
        assert heard.frame_id == frame_id
        assert heard.packet.payload == payload
        assert heard.packet.stamp_ns == stamp_ns
        assert heard.packet.signature_kind == kind
        assert heard.packet.content() == packet.content()


def test_the_message_tells_time_and_frame_to_tools():
    message = message_of(b"abc", 3_000_000_005, "lidar")
    assert message.header.stamp == Time(sec=3, nanosec=5)
    assert message.header.frame_id == "lidar"
    assert bytes(message.packet) == b"abc"


def test_what_the_message_says_of_the_time_does_not_count():
    message = message_with(plain_packet(stamp_ns=7))
    message.header.stamp = Time(sec=99)
    assert HeardPacket.read(serialize_message(message)).packet.stamp_ns == 7


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_are_refused(content):
    with pytest.raises(PacketError) as error:
        HeardPacket.read(content)
    assert error.value.reason in ("malformed", "crc")


@pytest.mark.parametrize("size", [0, 4, 15, 16, 20, 27, 32, len(WHOLE) - 100, len(WHOLE) - 8])
def test_a_message_that_was_cut_is_refused(size):
    with pytest.raises(PacketError, match=f"{size} bytes are no BevIndices") as error:
        HeardPacket.read(WHOLE[:size])
    assert error.value.reason == "malformed"


def test_a_frame_that_is_no_text_spoils_no_packet():
    broken = bytearray(WHOLE)
    broken[16] = 0xFF
    heard = HeardPacket.read(bytes(broken))
    assert heard.frame_id == "\ufffdgent/lidar"
    assert heard.packet.station_id == 7


@pytest.mark.parametrize(
    ("data", "reason", "text"),
    [
        (b"", "malformed", "0 bytes are no packet"),
        (bytes(min(HEADERS.values()) - 1), "malformed", "51 bytes are no packet"),
        (bytes(HEADER_BYTES), "malformed", "kind 0"),
        (bytes([0x13]) + bytes(200), "malformed", "signature 3"),
        (bytes([0x11]) + bytes(HEADER_BYTES), "malformed", "hold no header and signature"),
        (bytes([0x10]) + bytes(MAX_PACKET_BYTES), "malformed", f"up to {MAX_PACKET_BYTES}"),
        (b"\x10\x2a" + bytes(200), "crc", "packet of station 42"),
    ],
)
def test_a_message_whose_packet_is_none_is_refused(data, reason, text):
    message = message_of(data, 0, "lidar")
    for read in (HeardPacket.of, lambda m: HeardPacket.read(serialize_message(m))):
        with pytest.raises(PacketError, match=text) as error:
            read(message)
        assert error.value.reason == reason


def test_a_packet_that_claims_to_be_longer_than_its_message_is_refused():
    for length in (2**32 - 1, 2**31, len(WHOLE)):
        broken = bytearray(WHOLE)
        struct.pack_into("<I", broken, packet_place(WHOLE) - 4, length)
        with pytest.raises(PacketError) as error:
            HeardPacket.read(bytes(broken))
        assert error.value.reason == "malformed"


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=4),
    st.integers(0, 200),
    st.booleans(),
)
def test_no_mutation_of_a_message_does_anything_but_be_read_or_refused(changes, cut, has_right_crc):
    mutated = bytearray(WHOLE)
    for place, change in changes:
        mutated[place % len(mutated)] ^= change
    del mutated[len(mutated) - cut :]
    place = packet_place(WHOLE)
    if has_right_crc and len(mutated) >= place + HEADER_BYTES + max(SIGNATURE_BYTES.values()):
        mutated[place] = mutated[place] & ~3 | mutated[place] % len(SIGNATURE_BYTES)
        seal(mutated, place)
    reason = ""
    try:
        heard = HeardPacket.read(bytes(mutated))
    except PacketError as error:
        reason = error.reason
    if reason:
        assert reason in ("malformed", "crc", "tiles", "pose")
        return
    assert heard.packet.content() == unpack(heard.data).content()
    assert bytes(deserialize_message(bytes(mutated), BevIndices).packet) == heard.data
