# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The radio node: the own station's packets as UDP datagrams, and those of others."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from std_msgs.msg import Header

from quantv2x_msgs.msg import BevIndices, Codebook
from quantv2x_ros.core.transport.announcement import Announcement
from quantv2x_ros.core.transport.datagram_gate import DatagramGate
from quantv2x_ros.core.transport.packet import PacketError, station_of
from quantv2x_ros.core.transport.packet_sizes import MAX_PACKET_BYTES
from quantv2x_ros.graph.parameters.radio import RadioParameters
from quantv2x_ros.nodes.air.heard_packet import message_of
from quantv2x_ros.nodes.air.indices_subscription import AIR
from quantv2x_ros.nodes.common import model, qos
from quantv2x_ros.nodes.common.base import BaseNode
from quantv2x_ros.nodes.common.conversions import nanoseconds, time_message

CODEBOOK = "/v2x/codebook"
#: Time after which a waiting reception looks whether it is to end, seconds.
_LOOK = 0.1
#: Bytes of the socket's buffer: a second of what a gate lets in.
_BUFFER = 4 * 1024 * 1024


class RadioNode(BaseNode):
    """Sends the own packets that it hears on the air's topic, and publishes others' there.

    Stations without a common DDS domain cooperate by it: over the network of an on-board unit, or a
    multicast group in the laboratory. Nothing that comes in is believed here but its checksum:
    signatures, rates of stations and all else are checked by who reads the topic.
    """

    defaults: ClassVar[RadioParameters] = RadioParameters()
    parameters: RadioParameters

    def __init__(self, **options: Any) -> None:
        """Create the node; unless its lifecycle is left to others, start to send and receive.

        Args:
            options: passed on to `rclpy.lifecycle.LifecycleNode`.

        Raises:
            ValueError: for a parameter that cannot be used.
        """
        super().__init__("radio", **options)
        self._socket: socket.socket | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._own: Codebook | None = None
        self._sent = self._sent_bytes = self._received = self._received_bytes = 0
        self._station = model.station_of(self, self.parameters.station.station_id)
        self.begin()

    def configure(self) -> None:
        """Open the socket, and find the destinations.

        Raises:
            OSError: for an address that cannot be used, naming it.
        """
        how = self.parameters
        self._destinations = [_resolve(host, port) for host, port in how.destinations]
        self._socket = _open(how)
        self._publisher = self.create_publisher(BevIndices, AIR, qos.channel_output())
        self._announcer = self.create_publisher(Codebook, CODEBOOK, qos.latched())
        host, port = self._socket.getsockname()
        self.get_logger().info(
            f"station {self._station}: hears UDP on {host}:{port}, sends to "
            f"{how.send_to or 'nobody'}"
        )

    @property
    def port(self) -> int:
        """Return the port that packets are received on."""
        if self._socket is None:
            raise RuntimeError("the radio is not configured")
        return int(self._socket.getsockname()[1])

    def activate(self) -> None:
        """Begin to send and receive."""
        super().activate()
        how = self.parameters
        self._gate = DatagramGate(self._station, how.max_packet_rate)
        self._announced: dict[int, Announcement] = {}
        self._stopping.clear()
        self.create_subscription(BevIndices, AIR, self._on_indices, qos.channel_input())
        self.create_subscription(Codebook, CODEBOOK, self._on_codebook, qos.latched_input())
        self.create_timer(how.announce_period, self._announce, clock=self.steady_clock)
        self._thread = threading.Thread(target=self._receive, name="radio", daemon=True)
        self._thread.start()

    def deactivate(self) -> None:
        """Stop sending and receiving."""
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def cleanup(self) -> None:
        """Close the socket."""
        opened, self._socket = self._socket, None
        if opened is not None:
            opened.close()

    def _on_indices(self, message: BevIndices) -> None:
        data = bytes(message.packet)
        try:
            station = station_of(data)
        except PacketError as error:
            self.drop(error.reason, str(error))
            return
        if self._gate.may_leave(station, data):
            self._send(data)

    def _on_codebook(self, message: Codebook) -> None:
        if message.station_id == self._station:
            self._own = message
            self._announce()

    def _announce(self) -> None:
        """Send the own announcement once more: who has come into reach does not know it."""
        own = self._own
        if own is None:
            return
        try:
            self._send(_from_message(own).pack())
        except PacketError as error:
            self.drop(error.reason, str(error))

    def _send(self, data: bytes) -> None:
        if self._socket is None:
            return
        for host, port in self._destinations:
            try:
                self._socket.sendto(data, (host, port))
            except OSError as error:  # no way there now, or a full buffer: the next may get through
                self.drop("send", f"{len(data)} bytes to {host}:{port}: {error}")
            else:
                self._sent += 1
                self._sent_bytes += len(data)

    def _receive(self) -> None:
        """Publish what comes in."""
        opened = self._socket
        try:
            while opened is not None and not self._stopping.is_set():
                try:
                    data = opened.recv(MAX_PACKET_BYTES + 1)
                except TimeoutError:
                    continue
                except ConnectionError:
                    continue  # a destination on this machine that nobody listens at
                self._take(data)
        except BaseException as error:  # whatever ends the thread must end the node, too
            self.failure = error

    def _take(self, data: bytes) -> None:
        try:
            read = self._gate.read(data, time.monotonic())
        except PacketError as error:
            self.drop(error.reason, str(error))
            return
        if read is None:
            return
        self._received += 1
        self._received_bytes += len(data)
        if isinstance(read, Announcement):
            self._publish_announcement(read)
        else:
            self._publisher.publish(message_of(data, read.stamp_ns, f"station_{read.station_id}"))
            self.note_frame({})

    def _publish_announcement(self, read: Announcement) -> None:
        """Publish an announcement that says something new."""
        if self._announced.get(read.station_id) == read:
            return
        if len(self._announced) >= _STATIONS:
            self._announced.clear()
        self._announced[read.station_id] = read
        self._announcer.publish(_to_message(read))

    def time_jumped_back(self) -> None:
        """Do nothing: the radio knows no time but that of its packets."""

    def report(self) -> tuple[str, Mapping[str, str]]:
        """Return the numbers of packets and bytes sent and received."""
        values = {
            "packets sent": str(self._sent),
            "bytes sent": str(self._sent_bytes),
            "packets received": str(self._received),
            "bytes received": str(self._received_bytes),
        }
        return f"sent {self._sent} packets, received {self._received}", values


#: Stations whose announcement is remembered.
_STATIONS = 1000


def _resolve(host: str, port: int) -> tuple[str, int]:
    """Return the IPv4 address of a destination.

    Raises:
        OSError: for a name that is not known.
    """
    try:
        found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as error:
        raise OSError(f"send_to: {host}:{port}: {error}") from error
    address = found[0][4]
    return str(address[0]), int(address[1])


def _open(how: RadioParameters) -> socket.socket:
    """Return a socket that receives packets, and a group's where one is joined.

    Raises:
        OSError: for an address, port or group that cannot be had.
    """
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, how.group_ttl)
        if how.group:  # several stations on one machine may hear one group
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # a socket with an address of its own would not be given what goes to a group
        opened.bind(("" if how.group else how.address, how.port))
        if how.group:
            joined = socket.inet_aton(how.group) + socket.inet_aton(how.address)
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
            own = socket.inet_aton(how.address)
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
        opened.settimeout(_LOOK)
    except OSError as error:
        opened.close()
        group = f", group {how.group}" if how.group else ""
        raise OSError(f"address {how.address}, port {how.port}{group}: {error}") from error
    return opened


def _from_message(message: Codebook) -> Announcement:
    return Announcement(
        station_id=message.station_id,
        stamp_ns=nanoseconds(message.header.stamp),
        codebook_id=message.codebook_id,
        levels=message.levels,
        segments=message.segments,
        dict_size=message.dict_size,
        rows=message.rows,
        columns=message.columns,
        cell_size=(message.cell_size_x, message.cell_size_y),
        origin=(message.origin_x, message.origin_y),
        format_id=message.format_id,
        map_frame=message.map_frame,
        bundle_name=message.bundle_name,
        bundle_version=message.bundle_version,
    )


def _to_message(read: Announcement) -> Codebook:
    return Codebook(
        header=Header(stamp=time_message(read.stamp_ns)),
        station_id=read.station_id,
        codebook_id=read.codebook_id,
        levels=read.levels,
        segments=read.segments,
        dict_size=read.dict_size,
        rows=read.rows,
        columns=read.columns,
        cell_size_x=read.cell_size[0],
        cell_size_y=read.cell_size[1],
        origin_x=read.origin[0],
        origin_y=read.origin[1],
        format_id=read.format_id,
        map_frame=read.map_frame,
        bundle_name=read.bundle_name,
        bundle_version=read.bundle_version,
    )
