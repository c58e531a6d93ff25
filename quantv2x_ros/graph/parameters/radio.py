# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the radio node."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from quantv2x_ros.graph.parameters.common import NodeParameters, StationIdParameters
from quantv2x_ros.graph.parameters.parameter import parameter

#: Port that stations hear each other on, UDP.
PORT = 47100


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port``, or of ``host`` with `PORT`.

    Raises:
        ValueError: for what is neither.
    """
    host, _, port = text.strip().partition(":")
    if not host or not (port or str(PORT)).isdecimal() or not 0 < int(port or PORT) < 65536:
        raise ValueError(f"got {text!r}, expected host:port, such as 192.168.1.20:{PORT}")
    return host, int(port or PORT)


def _check_send_to(text: str) -> None:
    for item in filter(None, (part.strip() for part in text.split(","))):
        parse_address(item)


def _check_group(text: str) -> None:
    if text and not ipaddress.IPv4Address(text).is_multicast:
        raise ValueError(f"got {text!r}, expected an address of 224.0.0.0 to 239.255.255.255")


def _check_address(text: str) -> None:
    ipaddress.IPv4Address(text)


@dataclass(frozen=True)
class RadioParameters(NodeParameters):
    """Parameters of the radio node."""

    station: StationIdParameters = field(default=StationIdParameters())
    send_to: str = parameter(
        "",
        "Where the own packets go, with commas between: host:port of an on-board unit, of other "
        "stations, or of a multicast group; without a port, that of `port`'s default. Empty: "
        "nothing is sent.",
        check=_check_send_to,
    )
    address: str = parameter(
        "0.0.0.0",
        "Own IPv4 address that packets are received on; 0.0.0.0: all of this machine's. With a "
        "group: the address of the network that it is joined in.",
        check=_check_address,
    )
    port: int = parameter(
        PORT, "UDP port that packets are received on; 0 for any free one.", low=0, high=65535
    )
    group: str = parameter(
        "", "Multicast group that is joined, such as 239.255.47.1; empty: none.", check=_check_group
    )
    group_ttl: int = parameter(
        1, "Routers that packets to a multicast group may pass, and one.", low=1, high=255
    )
    max_packet_rate: float = parameter(
        2000.0, "Packets let in; more are dropped unread [1/s].", low=1.0, high=100_000.0
    )
    announce_period: float = parameter(
        1.0, "Time between announcements of the own model [s].", low=0.1, high=60.0
    )

    @property
    def destinations(self) -> tuple[tuple[str, int], ...]:
        """Return host and port of each destination."""
        parts = (part.strip() for part in self.send_to.split(","))
        return tuple(parse_address(part) for part in parts if part)
