# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets with objects to bytes and back, and bytes that are none."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.packed_pose import PoseSpread, pack_pose
from quantv2x_ros.core.peers.signing import ED25519, is_signed_by, sign
from quantv2x_ros.core.transport.object_packet import (
    CLASS_KINDS,
    FIRST_NUMBER,
    HEADER_BYTES,
    MAX_PARTS,
    MOST_OBJECTS,
    OBJECT_BYTES,
    ObjectPacket,
    SentObjects,
    affordable_objects,
    map_id,
    object_packets,
    read_packet,
)
from quantv2x_ros.core.transport.packet import (
    CONTEXT,
    END_OF_TIME,
    HEADERS,
    OBJECTS,
    TILE,
    Packet,
    PacketError,
    parts,
    seal,
    stamp_of,
    station_of,
    unpack,
)
from quantv2x_ros.core.transport.packet_sizes import (
    GEONETWORKING_UNIT,
    MAX_PACKET_BYTES,
    SIGNATURE_BYTES,
)
from quantv2x_ros.core.transport.packet_tiles import SweepSource
from quantv2x_ros.core.transport.tiles import MAX_TILES, TilePlace

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
CLASSES = ("vehicle", "pedestrian", "truck")
#: What rounding to float32 adds to a step of a place [m], of an angle [rad] and of a score.
PLACE_ROUNDING, ANGLE_ROUNDING, SCORE_ROUNDING = 5e-5, 1e-6, 1e-7
STEP_OF_HEADING = np.deg2rad(360 / 4096)

SIGNATURE_KINDS = st.sampled_from(sorted(SIGNATURE_BYTES))
REACH = st.floats(-327.0, 327.0, width=32)
UNKNOWN = (np.nan, np.nan)
SPEEDS = st.tuples(st.floats(-102.0, 102.0), st.floats(-102.0, 102.0)) | st.just(UNKNOWN)
ROWS = st.tuples(
    st.integers(0, 15),
    st.tuples(
        *(REACH, REACH, REACH),
        st.floats(2**-6, 40.75, width=32),
        st.floats(2**-6, 10.125, width=32),
        st.floats(2**-6, 10.125, width=32),
        st.floats(-7.0, 7.0, width=32),
    ),
    SPEEDS,
    st.floats(0.0, 1.0, width=32),
)


def objects_of(rows: list[Any]) -> SentObjects:
    """Objects of rows of kind, box, velocity and score."""
    kinds, boxes, velocities, scores = zip(*rows, strict=True) if rows else ((), (), (), ())
    return SentObjects(
        np.array(kinds, np.uint8),
        np.array(boxes, np.float32).reshape(-1, 7),
        np.array(velocities, np.float64).reshape(-1, 2),
        np.array(scores, np.float32),
    )


def cars(count: int) -> SentObjects:
    """Cars in a row, the best first."""
    places = np.arange(count, dtype=np.float32) / 10
    boxes = np.tile(np.array([0, 2, -1, 4.5, 1.9, 1.6, 0.3], np.float32), (count, 1))
    boxes[:, 0] = places
    scores = np.linspace(1.0, 0.2, count).astype(np.float32)
    return SentObjects(np.full(count, 5, np.uint8), boxes, np.zeros((count, 2)), scores)


@st.composite
def packets(
    draw: st.DrawFn, signature_kinds: st.SearchStrategy[int] = SIGNATURE_KINDS
) -> ObjectPacket:
    pose = np.eye(4)
    pose[:3, 3] = draw(st.tuples(*[st.integers(-200_000, 200_000)] * 3))
    pose[:3, 3] *= 0.005
    return ObjectPacket(
        station_id=draw(st.integers(0, 2**32 - 1)),
        sequence=draw(st.integers(0, 2**32 - 1)),
        stamp_ns=draw(st.integers(0, END_OF_TIME - 1)),
        pose=pose,
        spread=PoseSpread.unpack(draw(st.binary(min_size=4, max_size=4))),
        map_id=draw(st.integers(0, 2**64 - 1)),
        part=draw(st.integers(0, MAX_PARTS - 1)),
        objects=objects_of(draw(st.lists(ROWS, max_size=6))),
        signature_kind=draw(signature_kinds),
    )


def packet(**values: Any) -> ObjectPacket:
    """Make a packet of station 7 with other values."""
    start = ObjectPacket(
        station_id=7,
        sequence=3,
        stamp_ns=1_700_000_000_100_000_000,
        pose=np.eye(4),
        spread=PoseSpread(),
        map_id=99,
        part=0,
        objects=cars(3),
    )
    return replace(start, **values)


def tile() -> Packet:
    return Packet(
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


def source() -> SweepSource:
    return SweepSource(7, 3, 1_700_000_000_100_000_000, np.eye(4), PoseSpread(0.1, 0.1, 0.0, 0.01))


def expect_alike(got: SentObjects, sent: SentObjects) -> None:
    """Check that objects are the same within half a step of each field."""
    assert got.kinds.tolist() == sent.kinds.tolist()
    np.testing.assert_allclose(
        got.boxes[:, :6], sent.boxes[:, :6], rtol=0, atol=0.005 + PLACE_ROUNDING
    )
    turn = got.boxes[:, 6].astype(np.float64) - sent.boxes[:, 6]
    off = np.abs((turn + np.pi) % (2 * np.pi) - np.pi)
    assert (off <= STEP_OF_HEADING / 2 + ANGLE_ROUNDING).all()
    assert (np.abs(got.boxes[:, 6]) <= np.pi + ANGLE_ROUNDING).all()
    np.testing.assert_allclose(got.velocities, sent.velocities, rtol=0, atol=0.025 + 1e-9)
    np.testing.assert_allclose(got.scores, sent.scores, rtol=0, atol=1 / 510 + SCORE_ROUNDING)


@given(packets())
def test_what_is_packed_comes_back(sent: ObjectPacket) -> None:
    content = sent.content()
    signature = bytes(range(SIGNATURE_BYTES[sent.signature_kind]))
    assert len(content + signature) == sent.size
    got = ObjectPacket.unpack(content + signature)
    for each in fields(ObjectPacket):
        expected, value = getattr(sent, each.name), getattr(got, each.name)
        if each.name == "pose":
            np.testing.assert_allclose(value, expected, atol=1e-9)
        elif each.name == "spread":
            assert value.pack() == expected.pack()
        elif each.name == "objects":
            expect_alike(value, expected)
        else:
            assert value == expected, each.name
    np.testing.assert_array_equal(got.covariance, sent.spread.covariance)
    assert parts(content + signature) == (content, signature)
    assert station_of(b"abc" + content, 3) == sent.station_id
    assert stamp_of(b"abc" + content, 3) == sent.stamp_ns


@given(st.lists(ROWS, max_size=MOST_OBJECTS))
def test_objects_of_any_number_are_within_half_a_step(rows: list[Any]) -> None:
    sent = objects_of(rows)
    data = sent.pack()
    assert len(data) == OBJECT_BYTES * len(sent)
    got = SentObjects.unpack(data)
    expect_alike(got, sent)
    assert got.boxes.dtype == got.scores.dtype == np.float32
    assert got.pack() == data, "what was read goes on as it came"


@pytest.mark.parametrize(
    "speed", [UNKNOWN, (3.0, np.nan), (np.nan, 0.0), (np.inf, 0.0), (0.0, -np.inf)]
)
def test_a_velocity_that_is_not_known_stays_so(speed: tuple[float, float]) -> None:
    known = replace(cars(2), velocities=np.array([speed, (5.0, -5.0)]))
    got = SentObjects.unpack(known.pack())
    assert np.isnan(got.velocities[0]).all()
    np.testing.assert_allclose(got.velocities[1], [5.0, -5.0])


def test_half_a_velocity_on_the_air_is_none() -> None:
    data = bytearray(cars(2).pack())
    data[12:15] = (0x800 | 100 << 12).to_bytes(3, "little")
    velocities = SentObjects.unpack(bytes(data)).velocities
    assert np.isnan(velocities[0]).all()
    assert (velocities[1] == 0).all()


def test_what_is_out_of_range_is_clipped() -> None:
    boxes = np.array(
        [
            [400, -400, 1e6, 50, 11, 99, 0],
            [-400, 400, -1e6, 1e-3, 1e-3, 1e-3, 9 * np.pi],
            [np.inf, -np.inf, 0, np.inf, 1, 1, -9.5 * np.pi],
        ],
        np.float32,
    )
    velocities = np.array([[200.0, -200.0], [-1e9, 1e9], [102.35, -102.35]])
    scores = np.array([1.5, -0.5, 1.0], np.float32)
    got = SentObjects.unpack(
        SentObjects(np.array([1, 5, 8], np.uint8), boxes, velocities, scores).pack()
    )
    expected = np.array(
        [
            [327.67, -327.68, 327.67, 40.95, 10.23, 10.23, 0],
            [-327.68, 327.67, -327.68, 0.01, 0.01, 0.01, np.pi],
            [327.67, -327.68, 0, 40.95, 1, 1, np.pi / 2],
        ]
    )
    np.testing.assert_allclose(got.boxes, expected, atol=1e-4)
    np.testing.assert_allclose(got.velocities, 102.35 * np.array([[1, -1], [-1, 1], [1, -1]]))
    assert got.scores.tolist() == [1.0, 0.0, 1.0]
    assert got.kinds.tolist() == [1, 5, 8]


@pytest.mark.parametrize("turns", range(-2, 3))
def test_a_heading_just_below_half_a_turn_is_no_jump(turns: int) -> None:
    boxes = cars(2).boxes.copy()
    boxes[:, 6] = [np.pi - 1e-4 + 2 * np.pi * turns, -np.pi + 1e-4 + 2 * np.pi * turns]
    got = SentObjects.unpack(replace(cars(2), boxes=boxes).pack()).boxes[:, 6]
    np.testing.assert_allclose(np.cos(got), -1, atol=1e-6)


def test_how_boxes_lie_in_memory_does_not_matter() -> None:
    sent = cars(5)
    turned = replace(
        sent,
        boxes=np.asfortranarray(sent.boxes),
        velocities=np.asfortranarray(sent.velocities),
    )
    assert turned.pack() == sent.pack()


def test_the_sizes_are_those_of_the_format() -> None:
    assert HEADER_BYTES == HEADERS[OBJECTS] == 52
    assert HEADERS == {TILE: 64, OBJECTS: 52}
    assert OBJECT_BYTES == 16
    assert MOST_OBJECTS == 80
    largest = packet(objects=cars(MOST_OBJECTS), signature_kind=ED25519)
    assert largest.size == 52 + 80 * 16 + 64
    assert largest.size <= GEONETWORKING_UNIT < largest.size + OBJECT_BYTES
    assert len(packet(objects=cars(0)).content()) == packet(objects=cars(0)).size == 52


def test_the_header_is_that_of_the_format_to_the_byte() -> None:
    pose = np.eye(4)
    pose[:3, 3] = [12.5, -3.0, 1.25]
    spread = PoseSpread(0.2, 0.1, 0.5, 0.01)
    sent = packet(
        station_id=0x01020304,
        sequence=0x05060708,
        stamp_ns=0x0A0B0C0D0E0F1011,
        pose=pose,
        spread=spread,
        map_id=0x1122334455667788,
        part=9,
        signature_kind=2,
    )
    data = sent.content()
    assert data[0] == OBJECTS << 4 | 2 == 0x32
    assert data[1:5] == bytes.fromhex("04030201")
    assert data[5:9] == bytes.fromhex("08070605")
    assert data[9:17] == bytes.fromhex("11100f0e0d0c0b0a")
    assert data[17:34] == pack_pose(pose)
    assert data[34:38] == spread.pack()
    assert data[38:46] == bytes.fromhex("8877665544332211")
    assert data[46] == 9
    assert data[47] == 0
    assert data[48:52] == struct.pack("<I", zlib.crc32(data[52:], zlib.crc32(data[:48])))
    assert data[52:] == sent.objects.pack()


def test_an_object_is_that_of_the_format_to_the_bit() -> None:
    row = (8, (1.0, -2.0, 0.5, 4.5, 1.9, 1.6, -np.pi / 2), (-0.05, 10.0), 0.6)
    data = objects_of([row]).pack()
    assert struct.unpack("<3h", data[:6]) == (100, -200, 50)
    (sizes,) = struct.unpack("<I", data[6:10])
    assert (sizes & 0xFFF, sizes >> 12 & 0x3FF, sizes >> 22) == (450, 190, 160)
    (turned,) = struct.unpack("<H", data[10:12])
    assert (turned >> 12, turned & 0xFFF) == (8, 3072)
    speeds = int.from_bytes(data[12:15], "little")
    assert (speeds & 0xFFF, speeds >> 12) == (0xFFF, 200)
    assert data[15] == 153
    unknown = objects_of([(*row[:2], UNKNOWN, 0.6)]).pack()
    assert int.from_bytes(unknown[12:15], "little") == 0x800800


def test_a_map_frame_is_the_first_of_its_names_hash() -> None:
    digest = hashlib.sha256("karte ä".encode()).digest()
    assert map_id("karte ä") == int.from_bytes(digest[:8], "little")
    assert len({map_id("map"), map_id("utm"), map_id("")}) == 3
    assert max(map_id("map"), map_id("utm")) < 2**64


@given(packets(st.just(0)), st.data())
def test_a_flipped_bit_is_noticed(sent: ObjectPacket, data: st.DataObject) -> None:
    content = bytearray(sent.content())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    for read in (ObjectPacket.unpack, read_packet):
        with pytest.raises(PacketError) as caught:
            read(bytes(content))
        assert caught.value.reason in ("malformed", "crc")


@given(packets(st.sampled_from([1, 2])), st.data())
def test_a_flipped_bit_of_what_is_signed_is_noticed(
    sent: ObjectPacket, data: st.DataObject
) -> None:
    content = bytearray(sent.content())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    with pytest.raises(PacketError) as caught:
        read_packet(bytes(content) + bytes(64))
    assert caught.value.reason in ("malformed", "crc")


@given(packets(), st.data())
def test_a_packet_that_was_cut_off_is_noticed(sent: ObjectPacket, data: st.DataObject) -> None:
    whole = sent.content() + bytes(SIGNATURE_BYTES[sent.signature_kind])
    left = data.draw(st.integers(0, len(whole) - 1))
    for read in (ObjectPacket.unpack, read_packet):
        with pytest.raises(PacketError) as caught:
            read(whole[:left])
        assert caught.value.reason in ("malformed", "crc")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_packet_or_refused(data: bytes) -> None:
    for changed in (data, bytes((OBJECTS << 4,)) + data):
        for read in (ObjectPacket.unpack, read_packet):
            with pytest.raises(PacketError) as caught:
                read(changed)
            assert caught.value.reason in ("malformed", "crc")


@given(
    st.binary(min_size=HEADER_BYTES, max_size=HEADER_BYTES),
    st.binary(max_size=5 * OBJECT_BYTES),
    SIGNATURE_KINDS,
    st.booleans(),
)
def test_any_bytes_with_their_checksum_are_a_packet_or_refused(
    head: bytes, payload: bytes, signature_kind: int, is_whole: bool
) -> None:
    if is_whole:
        payload = payload[: len(payload) // OBJECT_BYTES * OBJECT_BYTES]
    data = bytearray(head + payload + bytes(SIGNATURE_BYTES[signature_kind]))
    data[0] = OBJECTS << 4 | signature_kind
    data[16] &= 0x0F  # a time of our age
    data[46] &= 0x1F
    seal(data)
    reason = ""
    try:
        got = read_packet(data)
    except PacketError as error:
        reason = error.reason
    if reason:
        assert reason in ("malformed", "pose", "objects")
        return
    assert isinstance(got, ObjectPacket)
    again = got.content()
    assert again[:17] == data[:17]
    assert again[38:47] == data[38:47]
    assert len(again) == HEADER_BYTES + len(payload)
    assert len(got.objects) == len(payload) // OBJECT_BYTES
    found, velocities = got.objects.detections(CLASSES)
    assert np.isfinite(found.boxes).all()
    assert np.isfinite(velocities).all()


@given(st.binary(max_size=20 * OBJECT_BYTES))
def test_any_bytes_of_objects_are_finite_objects(data: bytes) -> None:
    data = data[: len(data) // OBJECT_BYTES * OBJECT_BYTES]
    got = SentObjects.unpack(data)
    assert np.isfinite(got.boxes).all()
    assert (got.boxes[:, 3:6] >= 0).all()
    assert ((got.scores >= 0) & (got.scores <= 1)).all()
    unknown = np.isnan(got.velocities)
    assert (unknown[:, 0] == unknown[:, 1]).all()
    if (got.boxes[:, 3:6] > 0).all() and not unknown.any():
        assert got.pack() == data


def test_a_tile_is_no_packet_with_objects_but_read_as_what_it_is() -> None:
    data = tile().content()
    with pytest.raises(PacketError, match="kind 1, expected is 3") as caught:
        ObjectPacket.unpack(data)
    assert caught.value.reason == "malformed"
    got = read_packet(data)
    assert isinstance(got, Packet)
    assert got.payload == b"payload"


def test_objects_are_no_tile() -> None:
    for sent in (packet(), packet(objects=cars(0))):
        with pytest.raises(PacketError) as caught:
            unpack(sent.content())
        assert caught.value.reason == "malformed"
        assert isinstance(read_packet(sent.content()), ObjectPacket)


@pytest.mark.parametrize("kind", [0, 2, 4, 15])
def test_packets_of_other_kinds_are_refused(kind: int) -> None:
    data = bytearray(packet().content())
    data[0] = kind << 4
    with pytest.raises(PacketError) as caught:
        read_packet(data)
    assert caught.value.reason == "malformed"
    with pytest.raises(PacketError):
        parts(data)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_packets_are_read_in_whatever_they_come(wrap: Any) -> None:
    assert isinstance(read_packet(wrap(packet().content())), ObjectPacket)
    assert isinstance(read_packet(wrap(tile().content())), Packet)
    with pytest.raises(PacketError):
        read_packet(wrap(b""))


@pytest.mark.parametrize("edge", [3, 4, 5])
@pytest.mark.parametrize("extent", [0.0, -1.0, np.nan])
def test_objects_without_extent_are_not_sent(edge: int, extent: float) -> None:
    boxes = cars(3).boxes.copy()
    boxes[1, edge] = extent
    with pytest.raises(PacketError, match="without extent") as caught:
        packet(objects=replace(cars(3), boxes=boxes)).content()
    assert caught.value.reason == "objects"


@pytest.mark.parametrize("bits", [0xFFFFF000, 0xFFC00FFF, 0x003FFFFF])
def test_objects_without_extent_are_refused(bits: int) -> None:
    data = bytearray(packet().content())
    at = HEADER_BYTES + OBJECT_BYTES + 6
    data[at : at + 4] = bits.to_bytes(4, "little")
    seal(data)
    with pytest.raises(PacketError, match="without extent") as caught:
        ObjectPacket.unpack(bytes(data))
    assert caught.value.reason == "objects"


@pytest.mark.parametrize("signature_kind", sorted(SIGNATURE_BYTES))
def test_more_objects_than_a_frame_holds_are_refused(signature_kind: int) -> None:
    signature = bytes(SIGNATURE_BYTES[signature_kind])
    most = packet(objects=cars(MOST_OBJECTS), signature_kind=signature_kind)
    data = most.content()
    assert len(ObjectPacket.unpack(data + signature).objects) == MOST_OBJECTS
    with pytest.raises(PacketError) as caught:
        packet(objects=cars(MOST_OBJECTS + 1), signature_kind=signature_kind).content()
    assert caught.value.reason == "malformed"
    more = bytearray(data + cars(1).pack() + signature)
    seal(more)
    with pytest.raises(PacketError, match="allowed are 16 for each of up to 80") as caught:
        ObjectPacket.unpack(bytes(more))
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize("extra", [1, 8, 15])
def test_a_part_of_an_object_is_refused(extra: int) -> None:
    data = bytearray(packet().content() + bytes(extra))
    seal(data)
    with pytest.raises(PacketError, match=f"{3 * 16 + extra} bytes of objects") as caught:
        ObjectPacket.unpack(bytes(data))
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize("bits", [4, 8, 12])
def test_bits_that_tell_an_encoding_are_refused(bits: int) -> None:
    data = bytearray(packet().content())
    data[0] |= bits
    seal(data)
    with pytest.raises(PacketError) as caught:
        ObjectPacket.unpack(bytes(data))
    assert caught.value.reason == "malformed"


def test_bytes_that_may_get_a_meaning_are_passed_over() -> None:
    data = bytearray(packet().content())
    data[47] = 1
    with pytest.raises(PacketError) as caught:
        ObjectPacket.unpack(bytes(data))
    assert caught.value.reason == "crc"
    seal(data)
    assert ObjectPacket.unpack(bytes(data)).station_id == 7


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"station_id": 2**32}, "malformed"),
        ({"station_id": -1}, "malformed"),
        ({"sequence": -1}, "malformed"),
        ({"sequence": 2**32}, "malformed"),
        ({"stamp_ns": END_OF_TIME}, "malformed"),
        ({"stamp_ns": -1}, "malformed"),
        ({"map_id": 2**64}, "malformed"),
        ({"map_id": -1}, "malformed"),
        ({"part": MAX_PARTS}, "malformed"),
        ({"part": -1}, "malformed"),
        ({"signature_kind": 3}, "malformed"),
        ({"signature_kind": -1}, "malformed"),
        ({"pose": np.full((4, 4), np.nan)}, "pose"),
    ],
)
def test_what_no_packet_holds_is_named(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(PacketError) as caught:
        packet(**values).content()
    assert caught.value.reason == reason


@pytest.mark.parametrize("stamp_ns", [-1, -(2**62), END_OF_TIME, 2**63 - 1])
def test_a_time_that_no_message_of_ros_holds_is_refused(stamp_ns: int) -> None:
    data = bytearray(packet().content())
    data[9:17] = stamp_ns.to_bytes(8, "little", signed=True)
    seal(data)
    with pytest.raises(PacketError, match="its time is"):
        ObjectPacket.unpack(bytes(data))


@pytest.mark.parametrize("part", [MAX_PARTS, 255])
def test_a_part_beyond_the_last_is_refused(part: int) -> None:
    data = bytearray(packet(part=MAX_PARTS - 1).content())
    assert ObjectPacket.unpack(bytes(data)).part == MAX_PARTS - 1
    data[46] = part
    seal(data)
    with pytest.raises(PacketError, match=f"packet {part} with objects") as caught:
        ObjectPacket.unpack(bytes(data))
    assert caught.value.reason == "malformed"


def test_a_pose_that_cannot_be_is_refused() -> None:
    data = bytearray(packet().content())
    data[17 + 11 : 17 + 17] = b"\xff" * 6
    seal(data)
    with pytest.raises(PacketError, match="packet of station 7: pose") as caught:
        ObjectPacket.unpack(bytes(data))
    assert caught.value.reason == "pose"


def test_a_datagram_that_no_network_carries_is_refused() -> None:
    data = bytearray(packet().content())
    data += bytes(MAX_PACKET_BYTES + 1 - len(data))
    with pytest.raises(PacketError) as caught:
        read_packet(data)
    assert caught.value.reason == "malformed"


def test_the_number_of_a_part_is_behind_those_of_all_tiles() -> None:
    numbers = [packet(part=part).number for part in range(MAX_PARTS)]
    assert numbers == list(range(FIRST_NUMBER, FIRST_NUMBER + MAX_PARTS))
    assert min(numbers) >= MAX_TILES
    assert tile().number == tile().tile_index


def test_seal_makes_a_changed_packet_whole_and_leaves_its_signature() -> None:
    content = packet(signature_kind=1).content()
    signature = bytes(range(64))
    data = bytearray(b"abc" + content + signature)
    data[3 + 1 : 3 + 5] = (9).to_bytes(4, "little")
    with pytest.raises(PacketError, match="station 9 has CRC"):
        read_packet(data[3:])
    seal(data, 3)
    assert data[:3] == b"abc"
    assert read_packet(data[3:]).station_id == 9
    assert parts(data[3:])[1] == signature
    back = bytearray(data)
    back[3 + 1 : 3 + 5] = (7).to_bytes(4, "little")
    seal(back, 3)
    assert back == b"abc" + content + signature


@pytest.mark.parametrize("length", [0, 1, 51])
def test_fewer_bytes_than_any_header_tell_no_station(length: int) -> None:
    for read in (station_of, stamp_of, parts):
        with pytest.raises(PacketError) as caught:
            read(packet(objects=cars(0)).content()[:length])
        assert caught.value.reason == "malformed"
    assert station_of(packet(objects=cars(0)).content()) == 7


@pytest.mark.parametrize("length", [52, 60, 63])
def test_the_header_of_a_tile_is_the_longer_one(length: int) -> None:
    data = tile().content()[:length]
    for read in (unpack, read_packet, parts):
        with pytest.raises(PacketError, match="hold no header and signature"):
            read(data)


def test_a_signature_is_over_the_header_and_all_objects() -> None:
    content = packet(signature_kind=ED25519).content()
    signature = sign(KEY, content)
    data = content + signature
    signed, told = parts(data)
    assert is_signed_by(KEY.public_key(), told, signed)
    assert len(ObjectPacket.unpack(data).objects) == 3
    for at in range(len(content)):
        if at == 0 or HEADER_BYTES - 4 <= at < HEADER_BYTES:
            continue  # the kinds, and the checksum that seal writes
        changed = bytearray(data)
        changed[at] ^= 1
        seal(changed)
        signed, told = parts(changed)
        assert told == signature
        assert not is_signed_by(KEY.public_key(), told, signed), at


def test_objects_taken_away_or_put_in_break_the_signature() -> None:
    content = packet(signature_kind=ED25519).content()
    signature = sign(KEY, content)
    for other in (content[:-OBJECT_BYTES], content + cars(1).pack()):
        data = bytearray(other + signature)
        seal(data)
        ObjectPacket.unpack(bytes(data))
        signed, told = parts(data)
        assert not is_signed_by(KEY.public_key(), told, signed)


def bytes_for(count: int, signature_bytes: int) -> int:
    """Bytes of the packets of so many objects."""
    frames = -(-count // MOST_OBJECTS)
    return frames * (HEADER_BYTES + signature_bytes) + count * OBJECT_BYTES


@given(st.integers(0, 30_000), st.sampled_from([0, 64]))
def test_what_is_affordable_is_the_most_that_fits(budget: int, signature_bytes: int) -> None:
    most = affordable_objects(budget, signature_bytes)
    assert 0 <= most <= MAX_PARTS * MOST_OBJECTS
    assert bytes_for(most, signature_bytes) <= budget
    if most < MAX_PARTS * MOST_OBJECTS:
        assert bytes_for(most + 1, signature_bytes) > budget


@pytest.mark.parametrize(
    ("budget", "expected"),
    [(0, 0), (116, 0), (131, 0), (132, 1), (1396, 80), (1411, 80), (1527, 80), (1528, 81)],
)
def test_an_object_is_affordable_with_its_packets_header(budget: int, expected: int) -> None:
    assert affordable_objects(budget, 64) == expected


def test_two_hundred_objects_go_in_three_packets_in_their_order() -> None:
    sent = cars(200)
    made = object_packets(source(), sent, 5, ED25519)
    assert [len(each.objects) for each in made] == [80, 80, 40]
    assert [each.part for each in made] == [0, 1, 2]
    assert len({each.number for each in made}) == 3
    for each in made:
        assert (each.station_id, each.sequence, each.map_id) == (7, 3, 5)
        assert each.stamp_ns == source().stamp_ns
        assert each.signature_kind == ED25519
        assert each.spread == source().spread
        np.testing.assert_array_equal(each.pose, source().pose)
    read = [ObjectPacket.unpack(each.content() + bytes(64)) for each in made]
    places = np.concatenate([each.objects.boxes[:, 0] for each in read])
    np.testing.assert_allclose(places, sent.boxes[:, 0], atol=0.005 + PLACE_ROUNDING)


def test_a_sweep_without_objects_says_so_in_a_packet() -> None:
    (only,) = object_packets(source(), cars(0), 5)
    assert (len(only.objects), only.part, only.size) == (0, 0, HEADER_BYTES)
    assert len(ObjectPacket.unpack(only.content()).objects) == 0


def test_more_objects_than_all_parts_hold_are_left_out() -> None:
    made = object_packets(source(), cars(MAX_PARTS * MOST_OBJECTS + 1), 5)
    assert len(made) == MAX_PARTS
    assert {len(each.objects) for each in made} == {MOST_OBJECTS}
    assert made[-1].part == MAX_PARTS - 1
    made[-1].content()


@given(st.integers(0, 250), st.integers(0, 6000), SIGNATURE_KINDS)
def test_a_budget_is_kept_by_leaving_out_the_worst(
    count: int, budget: int, signature_kind: int
) -> None:
    sent = cars(count)
    made = object_packets(source(), sent, 5, signature_kind, budget)
    signature = SIGNATURE_BYTES[signature_kind]
    empty = HEADER_BYTES + signature  # a packet goes in any case
    assert sum(each.size for each in made) <= max(budget, empty)
    kept = np.concatenate([each.objects.boxes for each in made])
    most = min(count, affordable_objects(budget, signature))
    np.testing.assert_array_equal(kept, sent.boxes[:most])
    assert [each.part for each in made] == list(range(len(made)))
    assert all(len(each.content()) + signature == each.size for each in made)


def test_parts_of_objects_are_those_between_two_numbers() -> None:
    sent = cars(10)
    part = sent.part(4, 7)
    assert len(part) == 3
    np.testing.assert_array_equal(part.boxes, sent.boxes[4:7])
    np.testing.assert_array_equal(part.scores, sent.scores[4:7])
    assert len(sent.part(9, 99)) == 1
    assert len(sent.part(10, 99)) == 0


def detections(*labels: int) -> tuple[Detections, np.ndarray]:
    """Boxes with labels, each at its number; and velocities."""
    count = len(labels)
    sent = cars(count)
    velocities = np.arange(2.0 * count).reshape(count, 2)
    return Detections(sent.boxes, sent.scores, np.array(labels, np.int32)), velocities


def test_classes_go_as_kinds_and_come_back() -> None:
    found, velocities = detections(1, 2, 3, 1)
    sent = SentObjects.of(found, velocities, CLASSES)
    assert sent.kinds.tolist() == [5, 1, 8, 5]
    back, back_velocities = SentObjects.unpack(sent.pack()).detections(CLASSES)
    assert back.labels.tolist() == [1, 2, 3, 1]
    np.testing.assert_allclose(back.boxes[:, 0], found.boxes[:, 0], atol=0.0051)
    np.testing.assert_allclose(back_velocities, velocities, atol=0.026)
    other, _ = sent.detections(("truck", "vehicle", "pedestrian"))
    assert other.labels.tolist() == [2, 3, 1, 2], "each bundle has labels of its own"


def test_classes_without_a_kind_are_left_out() -> None:
    found, velocities = detections(2, 1, 3, 2, 1)
    sent = SentObjects.of(found, velocities, ("tram", "vehicle", "animal"))
    assert sent.kinds.tolist() == [5, 5]
    np.testing.assert_array_equal(sent.boxes, found.boxes[[0, 3]])
    np.testing.assert_array_equal(sent.velocities, velocities[[0, 3]])
    np.testing.assert_array_equal(sent.scores, found.scores[[0, 3]])
    assert len(SentObjects.of(found, velocities, ("tram", "bus", "animal"))) == 0
    assert len(SentObjects.of(Detections.empty(), np.zeros((0, 2)), CLASSES)) == 0


def test_kinds_without_a_class_are_left_out() -> None:
    sent = replace(cars(16), kinds=np.arange(16, dtype=np.uint8))
    found, velocities = sent.detections(CLASSES)
    names = [CLASSES[label - 1] for label in found.labels]
    assert names == ["pedestrian"] * 4 + ["vehicle"] + ["truck"] * 4
    np.testing.assert_array_equal(found.boxes, sent.boxes[1:10])
    np.testing.assert_array_equal(found.scores, sent.scores[1:10])
    assert velocities.shape == (9, 2)
    only, _ = sent.detections(("vehicle",))
    assert only.labels.tolist() == [1]
    np.testing.assert_array_equal(only.boxes, sent.boxes[5:6])
    nothing, _ = sent.detections(("tram",))
    assert len(nothing) == 0


def test_every_class_with_a_kind_comes_back_as_itself() -> None:
    for name, kind in CLASS_KINDS.items():
        sent = replace(cars(1), kinds=np.array([kind], np.uint8))
        assert sent.detections((name,))[0].labels.tolist() == [1]


def test_who_hears_objects_knows_of_which_the_velocity_is_not_known() -> None:
    sent = replace(cars(2), velocities=np.array([UNKNOWN, (1.0, -1.0)]))
    _, velocities = SentObjects.unpack(sent.pack()).detections(CLASSES)
    np.testing.assert_allclose(velocities, [UNKNOWN, [1.0, -1.0]])
