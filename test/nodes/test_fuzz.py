# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Mutated messages bring no receiver down, make none grow, and no forgery is taken for signed.

Structure-aware: values, places, payloads and their checksums are changed one by one, so that
damage also reaches the decoder, the assembler and the parity code. Some thousand messages, or
``QUANTV2X_FUZZ_MESSAGES=1000000``.
"""

import os
import random
import resource
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

rclpy = pytest.importorskip("rclpy")

from rclpy.serialization import serialize_message  # noqa: E402

from quantv2x_ros.core.coding import wire  # noqa: E402
from quantv2x_ros.core.geometry.packed_pose import PoseSpread  # noqa: E402
from quantv2x_ros.core.peers.key_ring import generate_keys, load_private_key  # noqa: E402
from quantv2x_ros.core.peers.signing import KINDS as KEYS  # noqa: E402
from quantv2x_ros.core.peers.signing import is_signed_by, kind_of, sign  # noqa: E402
from quantv2x_ros.core.transport.packet import (  # noqa: E402
    CONTEXT,
    PacketError,
    parts,
    seal,
    unpack,
)
from quantv2x_ros.core.transport.packet_sizes import (  # noqa: E402
    HEADER_BYTES,
    SIGNATURE_BYTES,
)
from quantv2x_ros.core.transport.packet_tiles import (  # noqa: E402
    LEAST_WORK,
    SweepSource,
    packets_of,
    read_tile,
    work_of,
)
from quantv2x_ros.core.transport.reception import Reception  # noqa: E402
from quantv2x_ros.core.transport.sweep_sender import SendSettings, SweepSender  # noqa: E402
from quantv2x_ros.core.transport.tiles import TileSettings  # noqa: E402
from quantv2x_ros.environment.resources import ResourceError, find_bundle  # noqa: E402
from quantv2x_ros.graph.parameters.common import TrustParameters  # noqa: E402
from quantv2x_ros.inference.model.bundle import ModelBundle  # noqa: E402
from quantv2x_ros.nodes.air.heard_packet import HeardPacket, message_of  # noqa: E402
from quantv2x_ros.nodes.air.index_format import IndexFormat  # noqa: E402
from quantv2x_ros.nodes.air.indices_subscription import stamp_of, station_of  # noqa: E402
from quantv2x_ros.nodes.air.trust import Trust  # noqa: E402
from quantv2x_ros.nodes.fusion.indices_input import REFUSALS  # noqa: E402

MESSAGES = int(os.environ.get("QUANTV2X_FUZZ_MESSAGES", "3000"))
#: Messages of an example, which come to one receiver in a row.
BATCH = 50
#: A verification costs more than all else; every so many messages are verified.
SIGNED = 5
#: Packets in a row of which a batch's are taken, so that many belong to one sweep.
NEAR = 24
#: What a receiver may grow by, whatever comes in, MiB.
GROWTH = 64

#: First bit and number of bits of each value in a packet's header; see docs/packet.md.
FIELDS = {
    "signature_kind": (0, 2), "encoding": (2, 2), "kind": (4, 4), "station_id": (8, 32),
    "sequence": (40, 32), "stamp_ns": (72, 64), "x": (136, 32), "y": (168, 32), "z": (200, 24),
    "turn": (224, 48), "spread": (272, 32), "format_id": (304, 64), "levels": (368, 4),
    "first_level": (372, 4), "first_row": (376, 12), "rows": (388, 12), "first_column": (400, 12),
    "columns": (412, 12), "sent_levels": (424, 8), "tile_index": (432, 10),
    "tile_count": (442, 10), "parity_count": (452, 8), "omitted_cells": (460, 20), "crc": (480, 32),
}  # fmt: skip
EXTREMES = (
    0, 1, 2, 3, 15, 99, 100, 255, 256, 1023, 1024, 4095, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1,
    2**63 - 1, 2**63, 2**64 - 1,
)  # fmt: skip
KINDS = (
    "bytes", "body", "cut", "grow", "random", "field", "field", "field", "stamp", "header", "torn",
    "garbage", "message", "none",
)  # fmt: skip


def mutations(chance):
    """What happens to each message of a batch: which, how, what is written, where, right CRC."""
    first = chance.randrange(2**16)
    for _ in range(BATCH):
        yield (
            first + chance.randrange(NEAR),
            chance.choice(KINDS),
            chance.randrange(2**32),
            chance.randrange(2**16),
            chance.random() < 0.75,
        )


@dataclass(repr=False)
class Air:
    """Packets of some sweeps of some stations, and a receiver."""

    bundle: ModelBundle
    form: IndexFormat
    originals: list
    contents: set
    reception: Reception
    trust: Trust
    now: float = 0.0
    batches: int = 0
    heard: int = 0
    read: int = 0
    verified: int = 0
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


def packets_of_sweep(form, background, station, sequence, generator, kind):
    """The packets of a sweep, cut and protected as one of several senders would."""
    cut = TileSettings(int(generator.choice([0, 400, 1398])), bool(generator.integers(2)))
    parity = float(generator.choice([0.0, 0.5]))
    sender = SweepSender(
        form.frame, background, SendSettings(cut, parity=parity, min_occupancy=0.0)
    )
    sent = sender.send(some_map(form, background, generator))
    stamp_ns = (100 + sequence) * 10**9
    source = SweepSource(station, sequence, stamp_ns, np.eye(4), PoseSpread())
    return packets_of(source, sent, form.packets, kind)


@pytest.fixture(scope="module")
def air(tmp_path_factory):
    try:
        bundle = ModelBundle.load(find_bundle(""))
    except ResourceError as error:
        pytest.skip(f"no default bundle: {error}")
    form = IndexFormat.of(bundle, "map")
    background = bundle.background
    generator = np.random.default_rng(5)
    ring = tmp_path_factory.mktemp("keys")
    keys = {  # of either kind
        station: load_private_key(generate_keys(ring, station, kind)[0])
        for station, kind in zip(range(2, 6), 2 * tuple(KEYS), strict=True)
    }
    originals = []
    for number in range(16):
        station, key = 2 + number % 4, keys[2 + number % 4]
        for packet in packets_of_sweep(form, background, station, number, generator, kind_of(key)):
            content = packet.content()
            originals.append((content + sign(key, content), key.public_key()))
    contents = {parts(data)[0] for data, _ in originals}
    reception = Reception(form.frame, background, 0.025, 1, bundle.grid, 0.3)
    trust = Trust(TrustParameters(key_ring=str(ring), require_signature=True), 1)
    return Air(bundle, form, originals, contents, reception, trust)


def mutate(original, form, kind, value, where):
    """A packet of which one thing is changed; its checksum is not."""
    data = bytearray(original)
    end = len(data) - SIGNATURE_BYTES[data[0] & 3]
    if kind == "field":
        name = sorted(FIELDS)[where % len(FIELDS)]
        set_field(data, name, EXTREMES[value % len(EXTREMES)] if value % 3 else value)
    elif kind == "stamp":
        set_field(data, "stamp_ns", value % 2**31 * 10**9)
    elif kind == "header":
        data[where % HEADER_BYTES] ^= 1 + value % 255
    elif kind == "torn":
        del data[where % len(data) :]
    elif kind == "garbage":
        data[where % 2 :] = random.Random(value).randbytes(where % 600)
    else:
        data[HEADER_BYTES:end] = mutated_payload(original, form, kind, value, where)
    return data


def mutated_payload(original, form, kind, value, where):
    """The payload of a packet with one change."""
    packet = unpack(original)
    payload = bytearray(packet.payload)
    if kind == "bytes" and payload:
        payload[where % len(payload)] ^= 1 + value % 255
    elif kind == "body" and len(payload) > wire.HEADER_BYTES:
        payload[wire.HEADER_BYTES + where % (len(payload) - wire.HEADER_BYTES)] ^= 1 + value % 255
        payload = with_own_checksum(packet, form, payload)
    elif kind == "cut":
        del payload[where % (len(payload) + 1) :]
    elif kind == "grow":
        payload += value.to_bytes(4, "little") * (1 + where % 500)
    elif kind == "random":
        payload = bytearray(random.Random(value).randbytes(where % 600))
        payload = with_own_checksum(packet, form, payload)
    return payload


def of_later_sweep(original, number):
    """A packet with a time of its own, under the signature of another."""
    data = bytearray(original)
    set_field(data, "stamp_ns", unpack(original).stamp_ns + 1000 * number)
    seal(data)
    return bytes(data)


def set_field(data, name, value):
    """Write a value into a packet's header, or as much of it as there is room for."""
    first, bits = FIELDS[name]
    mask = (1 << bits) - 1
    header = int.from_bytes(data[:HEADER_BYTES], "little") & ~(mask << first)
    data[:HEADER_BYTES] = (header | (value & mask) << first).to_bytes(HEADER_BYTES, "little")


def with_own_checksum(packet, form, payload):
    """A payload whose header fits its body, so that the decoder has to read that."""
    body = bytes(payload[wire.HEADER_BYTES :])
    coding = wire.CONTEXT if packet.encoding == CONTEXT else wire.PACKED
    fields = wire._FIELDS.pack(wire.VERSION, coding)
    if packet.place is None:
        return bytearray(fields + bytes(4) + body)
    shape = form.frame.tile_shape(packet.place)
    planes = packet.place.planes(form.segments)
    check = wire._checksum(fields, body, form.frame.entropy_model, shape, planes.start)
    return bytearray(fields + check + body)


def serialized(data, kind, value, where):
    """The message of a packet as it travels, itself damaged where that is wanted."""
    content = bytearray(serialize_message(message_of(bytes(data), value, "lidar")))
    if kind == "message":
        content[where % min(len(content), 64)] ^= 1 + value % 255
        del content[len(content) - (value % 40 if where % 2 else 0) :]
    return bytes(content)


def signed_content(data):
    """What of a packet is signed, and its signature; of what is no packet, nothing."""
    try:
        return parts(data)
    except PacketError:
        return b"", b""


def resident_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def receive(air, content, with_trust):
    """Read a message as a receiver does; returns the sweep that it completes, if so."""
    station, stamp_ns = station_of(content), stamp_of(content)
    packet = HeardPacket.read(content).packet
    assert (packet.station_id, packet.stamp_ns) == (station, stamp_ns)
    assert LEAST_WORK <= work_of(packet, air.form.packets) <= 1
    assert np.isfinite(packet.pose).all()
    assert np.isfinite(packet.covariance).all()
    if with_trust:
        check_trust(air, content)
    tile = read_tile(packet, air.form.packets, 10**18)
    air.read += 1
    return air.reception.add(tile, air.now)


def check_trust(air, content):
    """What a station has signed is taken for its own, and nothing else."""
    heard = HeardPacket.read(content)
    try:
        is_verified = air.trust.check(heard, air.now)
    except REFUSALS:
        is_verified = False
    assert is_verified == (parts(heard.data)[0] in air.contents)
    air.verified += is_verified


@settings(
    max_examples=max(1, MESSAGES // BATCH),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# a seed an example: Hypothesis remembers all that it draws, which would be the memory that grows
@given(chance=st.randoms(use_true_random=True))
def test_a_receiver_survives_whatever_comes(air, chance):
    air.batches += 1
    for number, kind, value, where, has_right_crc in mutations(chance):
        original, key = air.originals[number % len(air.originals)]
        is_signed = air.heard % SIGNED == 0
        if not is_signed:  # a sweep that has not come before, so that it is not late
            original = of_later_sweep(original, air.batches)
        data = mutate(original, air.form, kind, value, where)
        if has_right_crc and len(data) >= HEADER_BYTES and data[0] & 3 in SIGNATURE_BYTES:
            seal(data)
        if is_signed:
            content, signature = signed_content(data)
            is_own = content == parts(original)[0]
            assert is_signed_by(key, signature, content) == (is_own and len(signature) > 0)
        air.heard += 1
        air.now += 0.001
        try:
            sweep = receive(air, serialized(data, kind, value, where), is_signed)
        except REFUSALS:
            continue
        if sweep is not None:
            assert sweep.indices.shape == air.form.frame.shape
            assert sweep.indices.max() < air.form.dict_size
    for sweep in air.reception.overdue(air.now):
        assert sweep.indices.max() < air.form.dict_size
    if air.heard >= 1000:
        assert air.read > air.heard / 10, "much of it comes as far as the decoder"
        assert air.verified > air.heard / 500
    if air.heard >= min(MESSAGES // 2, 20_000):
        air.resident = air.resident or resident_mib()
        assert resident_mib() - air.resident < GROWTH


def test_every_bit_of_a_header_belongs_to_one_value():
    spans = sorted(FIELDS.values())
    assert [first for first, _ in spans] == [0, *np.cumsum([bits for _, bits in spans])[:-1]]
    assert sum(bits for _, bits in spans) == 8 * HEADER_BYTES


@pytest.mark.parametrize("name", ["station_id", "sequence", "stamp_ns", "format_id", "sent_levels"])
def test_a_value_is_where_it_is_changed(air, name):
    data = bytearray(air.originals[0][0])
    set_field(data, name, 77)
    seal(data)
    before, after = unpack(air.originals[0][0]), unpack(data)
    assert getattr(after, name) == 77
    assert before.with_values(**{name: 77}).content() == after.content()
