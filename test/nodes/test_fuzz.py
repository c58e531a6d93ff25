# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Mutated messages bring no receiver down, make none grow, and no forgery is taken for signed.

Structure-aware: fields, places, payloads and their checksums are changed one by one, so that
damage also reaches the decoder, the assembler and the parity code. Some thousand messages, or
``QUANTV2X_FUZZ_MESSAGES=1000000``.
"""

import os
import random
import resource
import zlib
from array import array
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

rclpy = pytest.importorskip("rclpy")

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402

from quantv2x_msgs.msg import BevIndices  # noqa: E402
from quantv2x_ros.core.coding import wire  # noqa: E402
from quantv2x_ros.core.peers.signing import is_signed_by, sign  # noqa: E402
from quantv2x_ros.core.transport.reception import Reception  # noqa: E402
from quantv2x_ros.core.transport.sweep_sender import SendSettings, SweepSender  # noqa: E402
from quantv2x_ros.core.transport.tiles import TilePlace, TileSettings  # noqa: E402
from quantv2x_ros.environment.resources import ResourceError, find_bundle  # noqa: E402
from quantv2x_ros.inference.model.bundle import ModelBundle  # noqa: E402
from quantv2x_ros.nodes.air.index_format import IndexFormat  # noqa: E402
from quantv2x_ros.nodes.air.messages import messages_from_tiles, tile_from_message  # noqa: E402
from quantv2x_ros.nodes.air.signed_message import signed_content  # noqa: E402
from quantv2x_ros.nodes.common.conversions import pose_to_message  # noqa: E402
from quantv2x_ros.nodes.fusion.indices_input import REFUSALS  # noqa: E402

MESSAGES = int(os.environ.get("QUANTV2X_FUZZ_MESSAGES", "3000"))
#: Messages of an example, which come to one receiver in a row.
BATCH = 50
#: A verification costs more than all else; every so many messages are signed.
SIGNED = 5
#: What a receiver may grow by, whatever comes in, MiB.
GROWTH = 64

FIELDS = {
    "first_level": 8, "tile_levels": 8, "first_row": 16, "tile_rows": 16, "first_column": 16,
    "tile_columns": 16, "tile_index": 16, "tile_count": 16, "parity_count": 16, "sent_levels": 8,
    "encoding": 8, "levels": 8, "segments": 8, "dict_size": 16, "rows": 16, "columns": 16,
    "sequence": 32, "station_id": 32, "omitted_cells": 32, "payload_crc": 32, "codebook_id": 64,
}  # fmt: skip
EXTREMES = (0, 1, 2, 3, 99, 100, 255, 256, 1023, 1024, 32767, 65535, 2**32 - 1, 2**64 - 1)
KINDS = ("bytes", "body", "cut", "grow", "random", "field", "field", "stamp", "none")


def mutations(chance):
    """What happens to each message of a batch: which, how, what is written, where, right CRC."""
    for _ in range(BATCH):
        yield (
            chance.randrange(2**16),
            chance.choice(KINDS),
            chance.randrange(2**32),
            chance.randrange(2**16),
            chance.random() < 0.5,
        )


@dataclass
class Air:
    """Messages of some sweeps of some stations, and a receiver."""

    bundle: ModelBundle
    form: IndexFormat
    originals: list
    key: Ed25519PrivateKey
    reception: Reception
    now: float = 0.0
    heard: int = 0
    resident: int = 0


def some_map(form, background, generator):
    """A map of background with clumps of other codes."""
    indices = np.empty(form.frame.shape, np.uint8)
    indices[:] = background[:, None, None]
    for _ in range(12):
        row, column = generator.integers(0, form.rows - 8), generator.integers(0, form.columns - 12)
        size = (len(background), 8, 12)
        clump = generator.integers(0, form.dict_size, size)
        indices[:, row : row + 8, column : column + 12] = clump
    return indices


def messages_of(form, background, station, sequence, generator):
    """The messages of a sweep, cut and protected as one of several senders would."""
    cut = TileSettings(int(generator.choice([0, 400, 1398])), bool(generator.integers(2)))
    parity = float(generator.choice([0.0, 0.5]))
    sender = SweepSender(
        form.frame, background, SendSettings(cut, parity=parity, min_occupancy=0.0)
    )
    sent = sender.send(some_map(form, background, generator))
    template = BevIndices(station_id=station, sequence=sequence, map_frame="map")
    template.header.stamp.sec, template.header.frame_id = 100 + sequence, "lidar"
    template.sensor_pose.pose = pose_to_message(np.eye(4))
    template.sent_levels = sent.sent_levels
    return messages_from_tiles(sent.tiles, sent.parity, form, template)


@pytest.fixture(scope="module")
def air():
    try:
        bundle = ModelBundle.load(find_bundle(""))
    except ResourceError as error:
        pytest.skip(f"no default bundle: {error}")
    form = IndexFormat.of(bundle)
    background = bundle.background
    generator = np.random.default_rng(5)
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    originals = []
    for number in range(16):
        for message in messages_of(form, background, 2 + number % 4, number, generator):
            message.signature = array("B", sign(key, signed_content(message)))
            originals.append((serialize_message(message), signed_content(message)))
    reception = Reception(form.frame, background, 0.025, 1, bundle.grid, 0.3)
    return Air(bundle, form, originals, key, reception)


def mutate(message, form, kind, value, where):
    """Change one thing of a message."""
    payload = bytearray(message.payload)
    if kind == "bytes" and payload:
        payload[where % len(payload)] ^= 1 + value % 255
    elif kind == "body" and len(payload) > wire.HEADER_BYTES:
        payload[wire.HEADER_BYTES + where % (len(payload) - wire.HEADER_BYTES)] ^= 1 + value % 255
        payload = with_own_checksum(message, form, payload)
    elif kind == "cut":
        del payload[where % (len(payload) + 1) :]
    elif kind == "grow":
        payload += value.to_bytes(4, "little") * (1 + where % 500)
    elif kind == "random":
        payload = bytearray(random.Random(value).randbytes(where % 600))
        payload = with_own_checksum(message, form, payload)
    elif kind == "field":
        name = sorted(FIELDS)[where % len(FIELDS)]
        wanted = EXTREMES[value % len(EXTREMES)] if value % 3 else value
        setattr(message, name, min(wanted, 2 ** FIELDS[name] - 1))
    elif kind == "stamp":
        message.header.stamp.sec = value % 2**31
    message.payload = array("B", payload)


def with_own_checksum(message, form, payload):
    """A payload whose header fits its body, so that the decoder has to read that."""
    place = TilePlace(
        message.first_level, message.tile_levels, message.first_row, message.tile_rows,
        message.first_column, message.tile_columns,
    )  # fmt: skip
    body = bytes(payload[wire.HEADER_BYTES :])
    fields = wire._FIELDS.pack(wire.VERSION, message.encoding % 2)
    shape = form.frame.tile_shape(place)
    planes = place.planes(form.segments)
    check = wire._checksum(fields, body, form.frame.entropy_model, shape, planes.start)
    return bytearray(fields + check + body)


def resident_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@settings(
    max_examples=max(1, MESSAGES // BATCH),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# a seed an example: Hypothesis remembers all that it draws, which would be the memory that grows
@given(chance=st.randoms(use_true_random=True))
def test_a_receiver_survives_whatever_comes(air, chance):
    for number, kind, value, where, has_right_crc in mutations(chance):
        content, signed = air.originals[number % len(air.originals)]
        message = deserialize_message(content, BevIndices)
        mutate(message, air.form, kind, value, where)
        if air.heard % SIGNED == 0 and signed_content(message) != signed:
            signature = bytes(message.signature)
            assert not is_signed_by(air.key.public_key(), signature, signed_content(message))
        if has_right_crc:
            message.payload_crc = zlib.crc32(bytes(message.payload))
        air.heard += 1
        air.now += 0.001
        try:
            tile = tile_from_message(message, air.form, "map", 10**18)
            sweep = air.reception.add(tile, air.now)
        except REFUSALS:
            continue
        if sweep is not None:
            assert sweep.indices.shape == air.form.frame.shape
            assert sweep.indices.max() < air.form.dict_size
    for sweep in air.reception.overdue(air.now):
        assert sweep.indices.max() < air.form.dict_size
    if air.heard >= min(MESSAGES // 2, 20_000):
        air.resident = air.resident or resident_mib()
        assert resident_mib() - air.resident < GROWTH
