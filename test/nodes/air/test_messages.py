# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""BevIndices is checked field by field before anything is made of it."""

from __future__ import annotations

import copy
import zlib
from array import array

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseWithCovariance
from std_msgs.msg import Header

from quantv2x_msgs.msg import BevIndices, Codebook
from quantv2x_ros.core.coding.wire import HEADER_BYTES, EntropyModel, encode_indices
from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.core.transport.erasure_code import OVERHEAD_BYTES
from quantv2x_ros.core.transport.sweep_sender import SendSettings, SweepSender
from quantv2x_ros.core.transport.tiles import MAX_TILES, TileSettings
from quantv2x_ros.nodes.air.index_format import IndexFormat
from quantv2x_ros.nodes.air.messages import messages_from_tiles, tile_from_message
from quantv2x_ros.nodes.common.conversions import MessageRefusedError, pose_to_message

FORMAT = IndexFormat(
    codebook_id=0x0123456789ABCDEF,
    levels=3,
    segments=1,
    entropy_model=EntropyModel(128),
    rows=20,
    columns=32,
    cell_size=(0.8, 0.8),
    origin=(-12.8, -8.0),
)
POSE = matrix_from_v2x([10.0, -3.0, 1.5, 2.0, 130.0, -1.0])
NOW = 200_000_000_000
INDICES = np.random.default_rng(0).integers(0, 128, (3, 20, 32), dtype=np.uint8)
BACKGROUND = np.array([1, 2, 3], np.uint8)


def messages(size=0, coarse_first=False, parity=0.0):
    settings = SendSettings(TileSettings(size, coarse_first), parity=parity, min_occupancy=0.0)
    frame = SweepSender(FORMAT.frame, BACKGROUND, settings).send(INDICES)
    template = BevIndices(
        header=Header(stamp=Time(sec=100, nanosec=5), frame_id="agent_2/lidar"),
        station_id=2,
        sequence=7,
        map_frame="map",
        sensor_pose=PoseWithCovariance(pose=pose_to_message(POSE), covariance=np.zeros(36)),
    )
    return messages_from_tiles(frame.tiles, frame.parity, FORMAT, template)


def read(message):
    return tile_from_message(message, FORMAT, "map", NOW)


@pytest.mark.parametrize(("size", "coarse_first"), [(0, False), (500, False), (300, True)])
def test_tiles_carry_the_whole_map(size, coarse_first):
    sent = messages(size, coarse_first)
    received = [read(message) for message in sent]
    assert [tile.tile_index for tile in received] == list(range(len(sent)))
    assert {tile.tile_count for tile in received} == {len(sent)}
    assert size == 0 or max(len(message.payload) for message in sent) <= size
    assembled = np.full_like(INDICES, 255)
    for tile in received:
        assembled[(tile.place.planes(1), *tile.place.cells)] = tile.indices
    np.testing.assert_array_equal(assembled, INDICES)


def test_parity_tiles_are_marked_and_have_no_place():
    *tiles, parity = messages(size=900, parity=0.1)
    assert {message.encoding for message in tiles} == {BevIndices.ENCODING_BIT_PACKED}
    assert parity.encoding == BevIndices.ENCODING_PARITY
    assert (parity.tile_index, parity.tile_count, parity.parity_count) == (len(tiles),) * 2 + (1,)
    tile = read(parity)
    assert tile.place is None
    assert tile.payload == bytes(parity.payload)
    parity.tile_rows = 1
    assert refused(parity) == "tiles"
    parity.tile_rows = 0
    parity.encoding = BevIndices.ENCODING_CONTEXT
    assert refused(parity) == "encoding"
    parity.encoding = BevIndices.ENCODING_PARITY
    with_payload(parity, bytes(HEADER_BYTES + 1680 + OVERHEAD_BYTES + 1))
    assert refused(parity) == "payload_size"


def refused(message):
    with pytest.raises(MessageRefusedError) as error:
        read(message)
    return error.value.reason


def test_sender_time_and_pose_survive():
    tile = read(messages()[0])
    assert (tile.station_id, tile.sequence, tile.frame_id) == (2, 7, "agent_2/lidar")
    assert tile.stamp_ns == 100_000_000_005
    np.testing.assert_allclose(tile.pose, POSE, atol=1e-12)
    assert tile.payload == bytes(messages()[0].payload)


def with_payload(message, payload):
    """Replace the payload and its CRC, as a sender does that is wrong or means harm."""
    message.payload = array("B", payload)
    message.payload_crc = zlib.crc32(payload)


def truncate_in_transit(message):
    message.payload = message.payload[: len(message.payload) // 2]


def truncate_at_the_sender(message):
    with_payload(message, bytes(message.payload)[:-100])


def no_payload(message):
    with_payload(message, b"")


def flip_a_bit(message):
    message.payload[50] ^= 4


def too_much(message):
    with_payload(message, bytes(message.payload) + bytes(1))


def huge_grid(message):
    message.rows, message.columns = 60_000, 60_000
    message.tile_rows = 60_000


def index_beyond_the_codebook(message):
    wide = encode_indices(np.full((3, 20, 32), 255, np.uint8), EntropyModel(256))
    with_payload(message, wide)


def setting(**values):
    def change(message):
        for name, value in values.items():
            setattr(message, name, value)

    change.__name__ = ", ".join(f"{name}={value}" for name, value in values.items())
    return change


def nan_pose(message):
    message.sensor_pose.pose.position.x = float("nan")


def infinite_orientation(message):
    message.sensor_pose.pose.orientation.w = float("inf")


def no_orientation(message):
    message.sensor_pose.pose.orientation.w = 0.0
    message.sensor_pose.pose.orientation.x = 0.0
    message.sensor_pose.pose.orientation.y = 0.0
    message.sensor_pose.pose.orientation.z = 0.0


def nan_covariance(message):
    message.sensor_pose.covariance[3] = float("nan")


def far_away(message):
    message.sensor_pose.pose.position.y = 1e12


def from_the_future(message):
    message.header.stamp = Time(sec=201, nanosec=0)


@pytest.mark.parametrize(
    ("change", "reason", "text"),
    [
        (truncate_in_transit, "payload_crc", "CRC"),
        (truncate_at_the_sender, "payload", "expected"),
        (no_payload, "payload", "0 bytes"),
        (flip_a_bit, "payload_crc", "CRC"),
        (too_much, "payload_size", "allowed are"),
        (index_beyond_the_codebook, "payload_size", "allowed are"),
        (setting(codebook_id=0xFEDCBA9876543210), "codebook", "fedcba9876543210.*0123456789abcdef"),
        (huge_grid, "grid", r"60000, 60000.*20, 32"),
        (setting(levels=2), "grid", r"\(2, 1, 128"),
        (setting(segments=0), "grid", r"\(3, 0, 128"),
        (setting(dict_size=0), "grid", r"\(3, 1, 0"),
        (setting(cell_size_x=0.4), "grid", "0.4"),
        (setting(origin_y=float("nan")), "grid", "nan"),
        (setting(tile_count=0), "tiles", "tile 0 of 0"),
        (setting(tile_count=65535), "tiles", "1 to 1024 tiles"),
        (setting(tile_index=1), "tiles", "tile 1 of 1"),
        (setting(tile_rows=0), "tiles", "rows"),
        (setting(first_row=1), "tiles", "rows 1 to 20"),
        (setting(first_row=65535, tile_rows=65535), "tiles", "rows"),
        (setting(tile_rows=10), "payload_size", "allowed are"),
        (setting(first_level=1), "tiles", "levels"),
        (setting(tile_columns=33), "tiles", "columns"),
        (setting(tile_count=MAX_TILES + 1), "tiles", "allowed are"),
        (setting(parity_count=40), "tiles", "parity"),
        (setting(encoding=BevIndices.ENCODING_CONTEXT), "encoding", "known are"),
        (setting(encoding=99), "encoding", "encoding 99"),
        (setting(map_frame="elsewhere"), "map_frame", "'elsewhere'.*'map'"),
        (nan_pose, "pose", "not finite"),
        (infinite_orientation, "pose", "length is inf"),
        (no_orientation, "pose", "length is 0"),
        (nan_covariance, "pose", "covariance"),
        (far_away, "pose", "away from the map's origin"),
        (from_the_future, "future", r"201\.000.*200\.000"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_whatever_is_wrong_is_refused_with_its_reason_and_both_values(change, reason, text):
    message = messages()[0]
    change(message)
    with pytest.raises(MessageRefusedError, match=text) as error:
        read(message)
    assert error.value.reason == reason
    assert "station 2" in str(error.value)


def test_a_codebook_announcement_is_compared_too():
    announcement = Codebook(station_id=5)
    FORMAT.fill(announcement)
    FORMAT.check(announcement)
    announcement.codebook_id = 1
    with pytest.raises(MessageRefusedError, match="station 5"):
        FORMAT.check(announcement)


GOOD = messages()[0]
NUMBERS = {
    "station_id": 2**32 - 1,
    "sequence": 2**32 - 1,
    "codebook_id": 2**64 - 1,
    "levels": 255,
    "segments": 255,
    "dict_size": 65535,
    "rows": 65535,
    "columns": 65535,
    "first_row": 65535,
    "tile_rows": 65535,
    "first_column": 65535,
    "tile_columns": 65535,
    "first_level": 255,
    "tile_levels": 255,
    "parity_count": 65535,
    "tile_index": 65535,
    "tile_count": 65535,
    "encoding": 255,
    "payload_crc": 2**32 - 1,
}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(NUMBERS)), st.integers(0, 2**64 - 1), min_size=0, max_size=4
    ),
    st.binary(max_size=3000) | st.none(),
    st.booleans(),
    st.floats(width=32),
)
def test_no_message_does_anything_but_be_read_or_be_refused(numbers, payload, fix_crc, size):
    message = copy.deepcopy(GOOD)
    for name, value in numbers.items():
        setattr(message, name, value % (NUMBERS[name] + 1))
    if payload is not None:
        message.payload = array("B", payload)
    if fix_crc:
        message.payload_crc = zlib.crc32(message.payload)
    message.sensor_pose.pose.position.z = float(size)
    try:
        tile = read(message)
    except MessageRefusedError:
        return
    if tile.place is None:
        assert message.tile_index >= message.tile_count
        return
    assert tile.indices.shape == (message.tile_levels, message.tile_rows, message.tile_columns)
    assert tile.indices.max() < 128


@pytest.mark.parametrize(("latest_ns", "remedy"), [(10**9, "use_sim_time"), (99 * 10**9, "clocks")])
def test_a_stamp_beyond_a_clock_that_has_not_begun_blames_no_other_clock(latest_ns, remedy):
    with pytest.raises(MessageRefusedError, match=f"which is after.*{remedy}"):
        tile_from_message(messages()[0], FORMAT, "map", latest_ns)
