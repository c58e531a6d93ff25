# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Tiles to packets and back. A received packet is an attack until it is checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.coding import wire
from quantv2x_ros.core.coding.wire import WireError, packed_size, payload_coding
from quantv2x_ros.core.geometry.packed_pose import PoseSpread
from quantv2x_ros.core.geometry.pose import Matrix
from quantv2x_ros.core.transport.erasure_code import MAX_CODEWORD, OVERHEAD_BYTES
from quantv2x_ros.core.transport.packet import BIT_PACKED, CONTEXT, PARITY, Packet, PacketError
from quantv2x_ros.core.transport.packet_format import PacketFormat
from quantv2x_ros.core.transport.sweep import Tile
from quantv2x_ros.core.transport.sweep_sender import SentSweep
from quantv2x_ros.core.transport.tiles import CodedTile

#: The coder's number to that of a packet.
_ENCODINGS = {wire.PACKED: BIT_PACKED, wire.CONTEXT: CONTEXT}
_MINUTE_NS = 60_000_000_000
#: What reading a packet takes at least, of what an honest station's whole sweep does.
LEAST_WORK = 1 / 16


class Stamped(Protocol):
    """A packet of a station's sweep."""

    @property
    def station_id(self) -> int:
        """ETSI StationID of the sender."""

    @property
    def stamp_ns(self) -> int:
        """Time of the sweep, nanoseconds."""


@dataclass(frozen=True, eq=False)
class SweepSource:
    """Who took a sweep, when and where: what all of its packets tell alike.

    Attributes:
        station_id: ETSI StationID of the sender, 32 bits.
        sequence: number of the sweep, 32 bits.
        stamp_ns: time of the sweep, nanoseconds.
        pose: (4, 4) sensor-to-map, metres.
        spread: how uncertain the pose is.
    """

    station_id: int
    sequence: int
    stamp_ns: int
    pose: Matrix
    spread: PoseSpread


def packets_of(
    source: SweepSource, sent: SentSweep, form: PacketFormat, signature_kind: int = 0
) -> list[Packet]:
    """Return the packets of a sweep, the most important first.

    Args:
        source: who took it, when and where.
        sent: what is sent of it.
        form: format of packets.
        signature_kind: how they will be signed.
    """
    carried: list[tuple[CodedTile | None, bytes]] = [(tile, tile.payload) for tile in sent.tiles]
    carried += [(None, payload) for payload in sent.parity]
    return [
        Packet(
            station_id=source.station_id,
            sequence=source.sequence,
            stamp_ns=source.stamp_ns,
            pose=source.pose,
            spread=source.spread,
            format_id=form.id,
            tile_index=number,
            tile_count=len(sent.tiles),
            parity_count=len(sent.parity),
            place=None if tile is None else tile.place,
            sent_levels=sent.sent_levels,
            omitted_cells=sent.omitted_cells,
            encoding=PARITY if tile is None else _ENCODINGS[payload_coding(payload)],
            payload=payload,
            signature_kind=signature_kind,
        )
        for number, (tile, payload) in enumerate(carried)
    ]


def read_tile(
    packet: Packet,
    form: PacketFormat,
    latest_stamp_ns: int,
    admit: Callable[[Packet], None] = lambda packet: None,
    frame_id: str = "",
) -> Tile:
    """Check everything in a received packet, then decode it.

    Args:
        packet: as received.
        form: format of packets.
        latest_stamp_ns: newest stamp that is accepted, nanoseconds.
        admit: expensive checks, such as of a signature, made after all others and before
            decoding; their errors are passed on.
        frame_id: the sender's LiDAR frame, where it is known.

    Raises:
        PacketError: naming what is wrong, with both values.
    """
    check_packet(packet, form, latest_stamp_ns, admit)
    return Tile(
        station_id=packet.station_id,
        sequence=packet.sequence,
        stamp_ns=packet.stamp_ns,
        frame_id=frame_id,
        pose=packet.pose,
        tile_index=packet.tile_index,
        tile_count=packet.tile_count,
        parity_count=packet.parity_count,
        payload=packet.payload,
        place=packet.place,
        indices=_decode(packet, form),
    )


def check_packet(
    packet: Packet,
    form: PacketFormat,
    latest_stamp_ns: int,
    admit: Callable[[Packet], None] = lambda packet: None,
) -> None:
    """Check everything in a received packet but what its payload decodes to; see `read_tile`.

    Raises:
        PacketError: ``format``, ``future``, ``tiles``, ``encoding`` or ``payload_size``.
    """
    station = f"station {packet.station_id}"
    if packet.format_id != form.id:
        raise PacketError(
            "format",
            f"{station} sends packets of format {packet.format_id:016x}, this station reads "
            f"{form.id:016x}: its codebook, grid or map frame is another; give both the same model "
            "bundle and map_frame",
        )
    if packet.parity_count and packet.tile_count + packet.parity_count > MAX_CODEWORD:
        raise PacketError(
            "tiles",
            f"{station} sent tile {packet.tile_index} of {packet.tile_count} and "
            f"{packet.parity_count} parity tiles; allowed are {MAX_CODEWORD} in all with parity",
        )
    check_stamp(packet, latest_stamp_ns)
    _check_payload(packet, form)
    admit(packet)


def check_stamp(packet: Stamped, latest_stamp_ns: int) -> None:
    """Check that a packet is not from the future.

    Args:
        packet: of any kind.
        latest_stamp_ns: newest stamp that is accepted, nanoseconds.

    Raises:
        PacketError: ``future``.
    """
    if packet.stamp_ns > latest_stamp_ns:
        raise PacketError(
            "future",
            f"station {packet.station_id} sent a sweep of {packet.stamp_ns / 1e9:.3f} s, which is "
            f"after {latest_stamp_ns / 1e9:.3f} s, now and the tolerance; "
            f"{_clock_remedy(latest_stamp_ns)}",
        )


def work_of(packet: Packet, form: PacketFormat) -> float:
    """Return the work of reading a packet, in sweeps of an honest station.

    It is the tile's share of the map. A tile that claims more is refused before it is decoded.

    Args:
        packet: as received.
        form: format of packets.
    """
    place = packet.place
    if place is None:
        return LEAST_WORK
    whole = form.maps.levels * form.maps.rows * form.maps.columns
    return min(max(place.levels * place.rows * place.columns / whole, LEAST_WORK), 1.0)


def _clock_remedy(latest_stamp_ns: int) -> str:
    """Word the remedy for a stamp after the newest accepted one, nanoseconds."""
    if latest_stamp_ns < _MINUTE_NS:  # no clock has been in its first minute but a simulated one
        return "this node's time is near 0: is there a /clock, as use_sim_time needs?"
    return "check the clocks"


def _check_payload(packet: Packet, form: PacketFormat) -> None:
    """Check a tile's place, and encoding and size of its payload.

    Raises:
        PacketError: ``tiles``, ``encoding`` or ``payload_size``.
    """
    station, maps = f"station {packet.station_id}", form.maps
    if packet.place is None:
        _expect_encoding(packet, (PARITY,))
        limit = packed_size(maps.shape, maps.entropy_model) + OVERHEAD_BYTES
    else:
        _expect_encoding(packet, tuple(_ENCODINGS.values()))
        try:
            packet.place.check(maps.levels, maps.rows, maps.columns)
        except WireError as error:
            raise PacketError("tiles", f"{station}: {error}") from error
        limit = packed_size(maps.tile_shape(packet.place), maps.entropy_model)
    if len(packet.payload) > limit:
        raise PacketError(
            "payload_size",
            f"{station} sent {len(packet.payload)} bytes in a tile, allowed are {limit}",
        )


def _expect_encoding(packet: Packet, known: Sequence[int]) -> None:
    if packet.encoding not in known:
        raise PacketError(
            "encoding",
            f"station {packet.station_id} uses encoding {packet.encoding} in tile "
            f"{packet.tile_index} of {packet.tile_count}, known are {list(known)} there",
        )


def _decode(packet: Packet, form: PacketFormat) -> npt.NDArray[np.uint8] | None:
    """Return the indices of a packet whose sizes have been checked; None for a parity tile.

    Raises:
        PacketError: ``encoding`` or ``payload``.
    """
    if packet.place is None:
        return None
    try:
        _expect_encoding(packet, (_ENCODINGS[payload_coding(packet.payload)],))
        return form.maps.decode(packet.place, packet.payload)
    except WireError as error:
        station = f"station {packet.station_id}"
        raise PacketError("payload", f"payload of {station}: {error}") from error
