# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Announcements to bytes and back, and bytes that are none."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.transport.announcement import Announcement
from quantv2x_ros.core.transport.packet import END_OF_TIME, PacketError, unpack

METRES = st.floats(-1000.0, 1000.0, width=32)
ANNOUNCEMENTS = st.builds(
    Announcement,
    station_id=st.integers(0, 2**32 - 1),
    stamp_ns=st.integers(0, END_OF_TIME - 1),
    codebook_id=st.integers(0, 2**64 - 1),
    levels=st.integers(0, 255),
    segments=st.integers(0, 255),
    dict_size=st.integers(0, 65535),
    rows=st.integers(0, 65535),
    columns=st.integers(0, 65535),
    cell_size=st.tuples(METRES, METRES),
    origin=st.tuples(METRES, METRES),
    format_id=st.integers(0, 2**64 - 1),
    map_frame=st.text(max_size=60),
    bundle_name=st.text(max_size=60),
    bundle_version=st.text(max_size=60),
)
ONE = Announcement(
    1, 2, 3, 2, 1, 128, 100, 352, (0.8, 0.8), (-140.8, -40.0), 5, "map", "default", "7"
)


@given(ANNOUNCEMENTS)
def test_what_is_packed_comes_back(sent: Announcement) -> None:
    assert Announcement.unpack(sent.pack()) == sent


@given(ANNOUNCEMENTS, st.data())
def test_a_flipped_bit_is_noticed(sent: Announcement, data: st.DataObject) -> None:
    packed = bytearray(sent.pack())
    bit = data.draw(st.integers(0, 8 * len(packed) - 1))
    packed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PacketError) as caught:
        Announcement.unpack(bytes(packed))
    assert caught.value.reason in ("malformed", "crc")


@given(st.binary(max_size=200))
def test_any_texts_with_their_checksum_are_read_or_refused(rest: bytes) -> None:
    content = ONE.pack()[:53] + rest
    packed = content + zlib.crc32(content).to_bytes(4, "little")
    try:
        read = Announcement.unpack(packed)
    except PacketError as error:
        read, reason = None, error.reason
    assert (read is None and reason == "malformed") or (read is not None and read.pack() == packed)


def test_it_is_no_tile_and_a_tile_is_none() -> None:
    with pytest.raises(PacketError, match="kind 2"):
        unpack(ONE.pack())
    with pytest.raises(PacketError, match="no announcement"):
        Announcement.unpack(b"\x10" + ONE.pack()[1:])


@pytest.mark.parametrize(
    "values", [{"station_id": 2**32}, {"rows": -1}, {"map_frame": "x" * 256}, {"levels": 300}]
)
def test_what_it_cannot_hold_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(PacketError, match="station"):
        replace(ONE, **values).pack()
