# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets to bytes and back, and bytes that are none."""

from __future__ import annotations

import zlib
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.packed_pose import PoseSpread
from quantv2x_ros.core.transport.packet import (
    BIT_PACKED,
    CONTEXT,
    END_OF_TIME,
    HEADER_BYTES,
    MAX_OMITTED,
    PARITY,
    SIGNATURE_BYTES,
    STAMP_AT,
    Packet,
    PacketError,
    parts,
    seal,
    stamp_of,
    station_of,
    unpack,
)
from quantv2x_ros.core.transport.packet_format import format_id
from quantv2x_ros.core.transport.tiles import TilePlace

PLACES = st.builds(
    TilePlace,
    first_level=st.integers(0, 15),
    levels=st.integers(1, 16),
    first_row=st.integers(0, 4095),
    rows=st.integers(1, 4096),
    first_column=st.integers(0, 4095),
    columns=st.integers(1, 4096),
)


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    count, parity = draw(st.integers(1, 32)), draw(st.integers(0, 16))
    index = draw(st.integers(0, count + parity - 1))
    pose = np.eye(4)
    pose[:3, 3] = draw(st.tuples(*[st.integers(-200_000, 200_000)] * 3))
    pose[:3, 3] *= 0.005
    return Packet(
        station_id=draw(st.integers(0, 2**32 - 1)),
        sequence=draw(st.integers(0, 2**32 - 1)),
        stamp_ns=draw(st.integers(0, END_OF_TIME - 1)),
        pose=pose,
        spread=PoseSpread.unpack(draw(st.binary(min_size=4, max_size=4))),
        format_id=draw(st.integers(0, 2**64 - 1)),
        tile_index=index,
        tile_count=count,
        parity_count=parity,
        place=draw(PLACES) if index < count else None,
        sent_levels=draw(st.integers(0, 16)),
        omitted_cells=draw(st.integers(0, MAX_OMITTED)),
        encoding=draw(st.sampled_from((BIT_PACKED, CONTEXT))) if index < count else PARITY,
        payload=draw(st.binary(max_size=64)),
        signature_kind=draw(st.sampled_from(sorted(SIGNATURE_BYTES))),
    )


def packet(**values: Any) -> Packet:
    """Make a tile of station 7 with other values."""
    start = Packet(
        station_id=7,
        sequence=3,
        stamp_ns=1_700_000_000_100_000_000,
        pose=np.eye(4),
        spread=PoseSpread(),
        format_id=99,
        tile_index=0,
        tile_count=2,
        parity_count=1,
        place=TilePlace(0, 2, 4, 8, 16, 32),
        sent_levels=2,
        omitted_cells=5,
        encoding=CONTEXT,
        payload=b"payload",
    )
    return start.with_values(**values)


@given(packets())
def test_what_is_packed_comes_back(sent: Packet) -> None:
    content = sent.content()
    assert len(content) == HEADER_BYTES + len(sent.payload)
    signature = bytes(range(SIGNATURE_BYTES[sent.signature_kind]))
    got = unpack(content + signature)
    for each in fields(Packet):
        expected, value = getattr(sent, each.name), getattr(got, each.name)
        if each.name == "pose":
            np.testing.assert_allclose(value, expected, atol=1e-9)
        elif each.name == "spread":
            assert value.pack() == expected.pack()
        else:
            assert value == expected, each.name
    assert parts(content + signature) == (content, signature)
    assert station_of(b"abc" + content, 3) == sent.station_id
    assert stamp_of(b"abc" + content, 3) == sent.stamp_ns


@given(packets(), st.data())
def test_a_flipped_bit_is_noticed(sent: Packet, data: st.DataObject) -> None:
    content = bytearray(sent.with_values(signature_kind=0).content())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PacketError) as caught:
        unpack(content)
    assert caught.value.reason in ("malformed", "crc")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_packet_or_refused(data: bytes) -> None:
    with pytest.raises(PacketError) as caught:
        unpack(data)
    assert caught.value.reason in ("malformed", "crc")


@given(st.binary(min_size=HEADER_BYTES - 4, max_size=100))
def test_any_bytes_with_their_checksum_are_a_packet_or_refused(data: bytes) -> None:
    head, payload = bytearray(data[: HEADER_BYTES - 4]), data[HEADER_BYTES - 4 :]
    head[0] = 0x10 | head[0] & 0x0C
    head[STAMP_AT + 7] &= 0x0F
    crc = zlib.crc32(payload, zlib.crc32(head))
    reason = ""
    try:
        got = unpack(bytes(head) + crc.to_bytes(4, "little") + payload)
    except PacketError as error:
        reason = error.reason
    if reason:
        assert reason in ("tiles", "pose")
        return
    assert got.content()[:17] == bytes(head)[:17]
    assert got.payload == payload


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"tile_index": 3}, "tiles"),
        ({"tile_count": 0}, "tiles"),
        ({"tile_count": 1025}, "tiles"),
        ({"place": None}, "tiles"),
        ({"tile_index": 2}, "tiles"),
        ({"place": TilePlace(0, 17, 0, 1, 0, 1)}, "tiles"),
        ({"place": TilePlace(0, 1, 4096, 1, 0, 1)}, "tiles"),
        ({"station_id": 2**32}, "malformed"),
        ({"sequence": -1}, "malformed"),
        ({"stamp_ns": END_OF_TIME}, "malformed"),
        ({"stamp_ns": -1}, "malformed"),
        ({"sent_levels": 256}, "malformed"),
        ({"format_id": 2**64}, "malformed"),
        ({"encoding": 4}, "malformed"),
        ({"signature_kind": 3}, "malformed"),
        ({"pose": np.full((4, 4), np.nan)}, "pose"),
        ({"payload": bytes(65_444)}, "payload_size"),
    ],
)
def test_what_no_packet_holds_is_named(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(PacketError) as caught:
        packet(**values).content()
    assert caught.value.reason == reason


def test_more_omitted_cells_than_it_can_count_are_its_most() -> None:
    assert unpack(packet(omitted_cells=2**30).content()).omitted_cells == MAX_OMITTED


def test_a_signature_is_no_part_of_the_payload() -> None:
    content = packet(signature_kind=1).content()
    assert unpack(content + bytes(64)).payload == b"payload"
    with pytest.raises(PacketError, match="hold no header and signature"):
        unpack(content[:-1] + bytes(50))


def test_the_format_tells_codebook_grid_and_map_frame_apart() -> None:
    grid = BevGrid((-51.2, -12.8, -5.0, 51.2, 12.8, 1.0), (0.4, 0.4, 6.0))
    moved = BevGrid((-51.2, -12.8, -5.0, 51.2, 12.8, 2.0), (0.4, 0.4, 7.0))
    shorter = BevGrid((-44.8, -12.8, -5.0, 51.2, 12.8, 1.0), (0.4, 0.4, 6.0))
    own = format_id(5, grid, "map")
    assert format_id(5, moved, "map") == own  # heights are the sender's own business
    assert (
        len(
            {
                own,
                format_id(6, grid, "map"),
                format_id(5, shorter, "map"),
                format_id(5, grid, "utm"),
            }
        )
        == 4
    )
    assert own < 2**64


@pytest.mark.parametrize("stamp_ns", [-1, -(2**62), END_OF_TIME, 2**63 - 1])
def test_a_time_that_no_message_of_ros_holds_is_refused(stamp_ns: int) -> None:
    data = bytearray(packet().content())
    data[STAMP_AT : STAMP_AT + 8] = stamp_ns.to_bytes(8, "little", signed=True)
    seal(data)
    with pytest.raises(PacketError, match="its time is"):
        unpack(data)
