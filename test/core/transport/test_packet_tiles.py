# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A packet is checked value by value before anything is made of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quantv2x_ros.core.coding.wire import HEADER_BYTES as WIRE_HEADER_BYTES
from quantv2x_ros.core.coding.wire import EntropyModel, encode_indices
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.packed_pose import POSE_BYTES, PoseSpread, sent_pose
from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.core.transport.erasure_code import MAX_CODEWORD, OVERHEAD_BYTES
from quantv2x_ros.core.transport.packet import (
    BIT_PACKED,
    CONTEXT,
    PARITY,
    STAMP_AT,
    PacketError,
    seal,
    unpack,
)
from quantv2x_ros.core.transport.packet_format import PacketFormat, format_id
from quantv2x_ros.core.transport.packet_sizes import HEADER_BYTES, SIGNATURE_BYTES
from quantv2x_ros.core.transport.packet_tiles import (
    LEAST_WORK,
    SweepSource,
    check_packet,
    packets_of,
    read_tile,
    work_of,
)
from quantv2x_ros.core.transport.sweep_sender import SendSettings, SweepSender
from quantv2x_ros.core.transport.tiles import IndexMapFormat, TilePlace, TileSettings

CODEBOOK = 0x0123456789ABCDEF
GRID = BevGrid((-12.8, -8.0, -3.0, 12.8, 8.0, 1.0))
LARGE_GRID = BevGrid()  # of V2X-Real
MAPS = IndexMapFormat(EntropyModel(128), 3, 1, *GRID.shape)
FORMAT = PacketFormat(MAPS, format_id(CODEBOOK, GRID, "map"))
POSE = matrix_from_v2x([10.0, -3.0, 1.5, 2.0, 130.0, -1.0])
SPREAD = PoseSpread(0.2, 0.1, 0.5, 0.01)
SOURCE = SweepSource(2, 7, 100_000_000_005, POSE, SPREAD)
NOW = 200_000_000_000
INDICES = np.random.default_rng(0).integers(0, 128, MAPS.shape, dtype=np.uint8)
BACKGROUND = np.array([1, 2, 3], np.uint8)
#: Where a packet's pose begins, and the numbers of its tile.
POSE_AT, COUNTS_AT = STAMP_AT + 8, HEADER_BYTES - 10


def sent_sweep(size=0, coarse_first=False, parity=0.0, budget=None):
    settings = SendSettings(TileSettings(size, coarse_first), parity=parity, min_occupancy=0.0)
    return SweepSender(MAPS, BACKGROUND, settings).send(INDICES, budget)


def packets(size=0, coarse_first=False, parity=0.0):
    return packets_of(SOURCE, sent_sweep(size, coarse_first, parity), FORMAT)


def read(packet, latest_ns=NOW, **options):
    """Read a packet as it arrives."""
    return read_tile(unpack(packet.content()), FORMAT, latest_ns, **options)


def refused(packet):
    with pytest.raises(PacketError) as error:
        read(packet)
    return error.value.reason


@pytest.mark.parametrize(("size", "coarse_first"), [(0, False), (500, False), (300, True)])
def test_tiles_carry_the_whole_map(size, coarse_first):
    sent = packets(size, coarse_first)
    received = [read(packet) for packet in sent]
    assert [tile.tile_index for tile in received] == list(range(len(sent)))
    assert {tile.tile_count for tile in received} == {len(sent)}
    assert size == 0 or max(len(packet.payload) for packet in sent) <= size
    assembled = np.full_like(INDICES, 255)
    for tile in received:
        assembled[(tile.place.planes(1), *tile.place.cells)] = tile.indices
    np.testing.assert_array_equal(assembled, INDICES)


def test_parity_tiles_are_marked_and_have_no_place():
    *tiles, parity = packets(size=900, parity=0.1)
    assert {packet.encoding for packet in tiles} == {BIT_PACKED}
    assert not any(packet.is_parity for packet in tiles)
    assert parity.is_parity
    assert parity.encoding == PARITY
    assert (parity.tile_index, parity.tile_count, parity.parity_count) == (len(tiles),) * 2 + (1,)
    tile = read(parity)
    assert tile.place is None
    assert tile.indices is None
    assert tile.payload == parity.payload
    assert refused(parity.with_values(encoding=CONTEXT)) == "encoding"
    longest = bytes(WIRE_HEADER_BYTES + 1680 + OVERHEAD_BYTES)
    assert read(parity.with_values(payload=longest)).payload == longest
    assert refused(parity.with_values(payload=longest + b"\0")) == "payload_size"


def test_sender_time_and_pose_survive():
    packet = packets()[0]
    tile = read(packet, frame_id="agent_2/lidar")
    assert (tile.station_id, tile.sequence, tile.frame_id) == (2, 7, "agent_2/lidar")
    assert tile.stamp_ns == 100_000_000_005
    np.testing.assert_allclose(tile.pose, sent_pose(POSE), atol=1e-12)
    assert tile.payload == packet.payload


def test_each_packet_tells_all_of_its_sweep():
    sent = sent_sweep(size=500, coarse_first=True, parity=0.2)
    made = packets_of(SOURCE, sent, FORMAT, signature_kind=2)
    assert len(made) == len(sent.tiles) + len(sent.parity) > len(sent.tiles) > 1
    assert {packet.signature_kind for packet in made} == {2}
    assert {packet.parity_count for packet in made} == {len(sent.parity)}
    assert {packet.sent_levels for packet in made} == {sent.sent_levels} == {3}
    assert {packet.omitted_cells for packet in made} == {sent.omitted_cells}
    assert {packet.format_id for packet in made} == {FORMAT.id}
    assert {packet.spread for packet in made} == {SPREAD}
    assert [packet.payload for packet in made] == [
        *(tile.payload for tile in sent.tiles),
        *sent.parity,
    ]


def test_a_sweep_of_which_nothing_fits_makes_no_packets():
    sent = sent_sweep(size=500, parity=0.2, budget=1)
    assert sent.omitted_cells > 0
    assert packets_of(SOURCE, sent, FORMAT) == []


def with_bytes(place, replacement):
    """Replace bytes of a packet, and write its checksum anew."""

    def change(packet):
        data = bytearray(packet.content())
        data[place : place + len(replacement)] = replacement
        seal(data)
        return data

    return change


def with_numbers(index, count, parity):
    """A packet with numbers of a tile that no sender's `Packet` could hold."""
    return with_bytes(COUNTS_AT, (index | (count - 1) << 10 | parity << 20).to_bytes(4, "little"))


def with_values(**values):
    def change(packet):
        return packet.with_values(**values).content()

    return change


def with_place(**values):
    """The same tile elsewhere."""

    def change(packet):
        place = TilePlace(**{**vars(packet.place), **values})
        return packet.with_values(place=place).content()

    return change


def truncate_in_transit(packet):
    content = packet.content()
    return content[: len(content) // 2]


def truncate_at_the_sender(packet):
    return packet.with_values(payload=packet.payload[:-100]).content()


def flip_a_bit(packet):
    content = bytearray(packet.content())
    content[HEADER_BYTES + 50] ^= 4
    return content


def too_much(packet):
    return packet.with_values(payload=packet.payload + b"\0").content()


def index_beyond_the_codebook(packet):
    wide = encode_indices(np.full(MAPS.shape, 255, np.uint8), EntropyModel(256))
    return packet.with_values(payload=wide).content()


def coded_with_another_codebook(packet):
    fewer = encode_indices(np.zeros(MAPS.shape, np.uint8), EntropyModel(100))
    assert len(fewer) == len(packet.payload)
    return packet.with_values(payload=fewer).content()


def of_format(codebook=CODEBOOK, grid=GRID, map_frame="map"):
    return with_values(format_id=format_id(codebook, grid, map_frame))


OTHERS = [
    of_format(codebook=0xFEDCBA9876543210),
    of_format(grid=BevGrid((-12.8, -8.0, -3.0, 12.8, 8.0, 1.0), stride=4)),
    of_format(grid=BevGrid((-12.8, -8.0, -3.0, 12.8, 14.4, 1.0))),
    of_format(grid=BevGrid((-12.4, -8.0, -3.0, 13.2, 8.0, 1.0))),
    of_format(map_frame="elsewhere"),
    of_format(map_frame=""),
    with_values(format_id=FORMAT.id ^ 1),
    with_values(format_id=FORMAT.id ^ 1 << 63),
]


@pytest.mark.parametrize("change", OTHERS, ids=range(len(OTHERS)))
def test_a_packet_of_another_codebook_grid_or_map_frame_is_refused_with_both_formats(change):
    packet = unpack(change(packets()[0]))
    expected = f"station 2 .*{packet.format_id:016x}.*{FORMAT.id:016x}"
    with pytest.raises(PacketError, match=expected) as error:
        read_tile(packet, FORMAT, NOW)
    assert error.value.reason == "format"


@pytest.mark.parametrize(
    ("change", "reason", "text"),
    [
        (truncate_in_transit, "crc", "CRC"),
        (truncate_at_the_sender, "payload", "expected"),
        (with_values(payload=b""), "payload", "0 bytes"),
        (flip_a_bit, "crc", "CRC"),
        (too_much, "payload_size", "allowed are"),
        (index_beyond_the_codebook, "payload_size", "allowed are"),
        (coded_with_another_codebook, "payload", "128 codes"),
        (with_numbers(1, 1, 0), "tiles", "parity tile with place"),
        (with_numbers(1023, 1, 255), "tiles", "parity tile with place"),
        (with_place(first_row=1), "tiles", "rows 1 to 20"),
        (with_place(first_row=4095, rows=4096), "tiles", "rows 4095 to 8190"),
        (with_place(rows=4096, columns=4096), "tiles", "rows 0 to 4095"),
        (with_place(rows=10), "payload_size", "allowed are"),
        (with_place(first_level=1), "tiles", "levels 1 to 3"),
        (with_place(levels=16), "tiles", "levels 0 to 15"),
        (with_place(columns=33), "tiles", "columns 0 to 32"),
        (with_values(parity_count=40), "tiles", f"40 parity tiles.*{MAX_CODEWORD} in all"),
        (with_values(parity_count=MAX_CODEWORD), "tiles", "parity"),
        (with_values(encoding=CONTEXT), "encoding", r"encoding 1 .*known are \[0\]"),
        (with_values(encoding=PARITY), "encoding", r"encoding 2 .*known are \[0, 1\]"),
        (with_values(encoding=3), "encoding", "encoding 3"),
        (with_bytes(POSE_AT, b"\xff\xff\xff\x7f"), "pose", "map's origin"),
        (with_bytes(POSE_AT + POSE_BYTES - 6, b"\xff" * 6), "pose", "no orientation"),
        (with_bytes(POSE_AT + POSE_BYTES - 6, bytes(6)), "pose", "no orientation"),
        (with_values(stamp_ns=201_000_000_000), "future", r"201\.000.*200\.000"),
        (with_values(stamp_ns=2**31 * 10**9 - 1), "future", r"2147483648\.000.*200\.000"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_whatever_is_wrong_is_refused_with_its_reason_and_both_values(change, reason, text):
    data = change(packets()[0])
    with pytest.raises(PacketError, match=text) as error:
        read_tile(unpack(data), FORMAT, NOW)
    assert error.value.reason == reason
    assert "station 2" in str(error.value)


@pytest.mark.parametrize(
    "numbers", [(2, 1, 1), (1023, 1, 255), (5, 5, 0), (1023, 1023, 0)], ids=str
)
def test_a_tile_beyond_those_of_its_sweep_is_refused_by_its_numbers(numbers):
    parity = packets(size=900, parity=0.1)[-1]
    with pytest.raises(PacketError, match=f"tile {numbers[0]} of {numbers[1]}") as error:
        unpack(with_numbers(*numbers)(parity))
    assert error.value.reason == "tiles"


def test_as_many_tiles_as_the_parity_code_holds_are_accepted():
    parity = MAX_CODEWORD - 1
    assert read(packets()[0].with_values(parity_count=parity)).parity_count == parity


class Admission(list):
    """Notes the packets that it is asked about."""

    def __init__(self, error=None):
        self.error = error

    def __call__(self, packet):
        self.append(packet)
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    "change",
    [
        with_values(format_id=1),
        with_values(parity_count=40),
        with_values(stamp_ns=NOW + 1),
        with_values(encoding=3),
        with_place(first_row=1),
        too_much,
    ],
)
def test_the_expensive_checks_come_last(change):
    admit = Admission()
    with pytest.raises(PacketError):
        read_tile(unpack(change(packets()[0])), FORMAT, NOW, admit)
    assert admit == []


def test_the_expensive_checks_come_before_decoding_and_their_errors_are_passed_on():
    packet = unpack(truncate_at_the_sender(packets()[0]))
    admit = Admission(PermissionError("unsigned"))
    for check in (read_tile, check_packet):
        with pytest.raises(PermissionError, match="unsigned"):
            check(packet, FORMAT, NOW, admit)
    assert admit == [packet, packet]


def test_checking_a_packet_leaves_its_payload_undecoded():
    packet, admit = unpack(truncate_at_the_sender(packets()[0])), Admission()
    check_packet(packet, FORMAT, NOW, admit)
    assert admit == [packet]
    assert refused(packet) == "payload"


@pytest.mark.parametrize(("latest_ns", "remedy"), [(10**9, "use_sim_time"), (99 * 10**9, "clocks")])
def test_a_stamp_beyond_a_clock_that_has_not_begun_blames_no_other_clock(latest_ns, remedy):
    with pytest.raises(PacketError, match=f"which is after.*{remedy}"):
        read(packets()[0], latest_ns)


NUMBERS = {
    "station_id": 2**32 - 1,
    "sequence": 2**32 - 1,
    "stamp_ns": 2**31 * 10**9 - 1,
    "format_id": 2**64 - 1,
    "tile_index": 1023,
    "tile_count": 1024,
    "parity_count": 255,
    "sent_levels": 255,
    "omitted_cells": 2**20 - 1,
    "encoding": 3,
    "signature_kind": 2,
}
PLACES = {
    "first_level": 15,
    "levels": 16,
    "first_row": 4095,
    "rows": 4096,
    "first_column": 4095,
    "columns": 4096,
}


def read_or_refused(data):
    """Whatever comes: no error but a refusal, and nothing but a tile of the map."""
    reason = ""
    try:
        packet = unpack(data)
        tile = read_tile(packet, FORMAT, NOW)
    except PacketError as error:
        reason = error.reason
    if reason:
        assert reason in REASONS
        return
    if tile.place is None:
        assert packet.tile_index >= packet.tile_count
        assert tile.indices is None
        return
    assert tile.indices.shape == (tile.place.levels, tile.place.rows, tile.place.columns)
    assert tile.indices.max() < 128


REASONS = {
    "malformed", "crc", "tiles", "pose", "format", "future", "encoding", "payload_size", "payload",
}  # fmt: skip
GOOD = packets()[0]
GOOD_PARITY = packets(size=900, parity=0.1)[-1]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(NUMBERS)), st.integers(0, 2**64 - 1), max_size=4),
    st.dictionaries(st.sampled_from(sorted(PLACES)), st.integers(0, 2**64 - 1), max_size=3),
    st.binary(max_size=3000) | st.none(),
)
def test_no_packet_does_anything_but_be_read_or_be_refused(numbers, places, payload):
    values = {name: value % (NUMBERS[name] + 1) for name, value in numbers.items()}
    values["place"] = TilePlace(
        **{**vars(GOOD.place), **{name: v % (PLACES[name] + 1) for name, v in places.items()}}
    )
    if values.get("tile_index", 0) >= values.get("tile_count", 1):
        values["place"] = None
    if payload is not None:
        values["payload"] = payload
    packet = GOOD.with_values(**values)
    try:
        content = packet.content()
    except PacketError:
        return
    read_or_refused(content + bytes(SIGNATURE_BYTES[packet.signature_kind]))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.sampled_from((GOOD, GOOD_PARITY)),
    st.dictionaries(st.integers(0, HEADER_BYTES - 1), st.integers(0, 255), max_size=6),
    st.binary(max_size=3000) | st.none(),
    st.booleans(),
)
def test_no_bytes_do_anything_but_be_read_or_be_refused(packet, changes, payload, has_right_crc):
    data = bytearray(packet.content())
    for place, value in changes.items():
        data[place] = value
    if payload is not None:
        data[HEADER_BYTES:] = payload
    if has_right_crc and data[0] & 3 in SIGNATURE_BYTES:
        seal(data)
    read_or_refused(data)


def in_large_map(**values):
    place = TilePlace(**{**dict.fromkeys(PLACES, 0), **values})
    return GOOD.with_values(place=place, tile_index=0, tile_count=2)


LARGE = PacketFormat(IndexMapFormat(EntropyModel(128), 3, 1, *LARGE_GRID.shape), 1)


@given(
    st.tuples(st.integers(0, 15), st.integers(1, 16)),
    st.tuples(*[st.integers(0, 4095), st.integers(1, 4096)] * 2),
)
def test_work_is_a_part_of_a_sweep_whatever_a_packet_claims(levels, cells):
    packet = GOOD.with_values(place=TilePlace(*levels, *cells))
    for form in (FORMAT, LARGE):
        assert LEAST_WORK <= work_of(packet, form) <= 1


def test_work_is_the_share_of_the_map():
    assert LARGE_GRID.shape == (100, 352)
    assert work_of(in_large_map(levels=3, rows=50, columns=176), LARGE) == 0.25
    assert work_of(in_large_map(levels=3, rows=100, columns=352), LARGE) == 1
    assert work_of(in_large_map(levels=1, rows=1, columns=1), LARGE) == LEAST_WORK
    assert work_of(GOOD_PARITY, LARGE) == LEAST_WORK
