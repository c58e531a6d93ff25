# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The sending of what the own fusion node finds in this station's sweeps alone."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.transport.object_packet import (
    MOST_OBJECTS,
    ObjectPacket,
    affordable_objects,
    read_packet,
    reserved_sizes,
)
from quantv2x_ros.core.transport.packet import PacketError
from quantv2x_ros.core.transport.packet_sizes import SIGNATURE_BYTES
from quantv2x_ros.core.transport.packet_tiles import SweepSource
from quantv2x_ros.nodes.air.heard_packet import message_of
from quantv2x_ros.nodes.air.indices_subscription import OWN_OBJECTS
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.base import BaseNode
from quantv2x_ros.nodes.encoder.paced_output import PacedOutput
from quantv2x_ros.nodes.encoder.signer import Signer

#: Own sweeps that are remembered: objects come some tenths of a second after their sweep.
_SWEEPS = 32
#: Where no objects have come for so long, none are expected with the next sweep, seconds.
_PATIENCE = 1.0


class OwnObjectsOutput:
    """Signs packets with own objects and sends them with the pose of their sweep."""

    def __init__(
        self,
        node: BaseNode,
        station: int,
        signer: Signer,
        paced: PacedOutput,
        spend: Callable[[int], None],
    ) -> None:
        """Expect nothing yet; `listen` subscribes.

        Args:
            node: node that subscribes.
            station: id of the own station.
            signer: signs.
            paced: sends.
            spend: told of each packet's bytes.
        """
        self._node = node
        self._station = station
        self._signer = signer
        self._paced = paced
        self._spend = spend
        self._sources: OrderedDict[int, SweepSource] = OrderedDict()
        self._newest: tuple[int, float] = (0, 0.0)
        self._sizes: list[int] = []
        self._objects = self._sent = 0

    def listen(self) -> None:
        """Subscribe to the own fusion node's."""
        self._subscription = self._node.create_subscription(
            BevIndices, OWN_OBJECTS, self._on_objects, qos.own_indices()
        )

    def note(self, source: SweepSource) -> None:
        """Remember an own sweep, whose objects may come."""
        self._sources[source.stamp_ns] = source
        while len(self._sources) > _SWEEPS:
            self._sources.popitem(last=False)

    def reset(self) -> None:
        """Forget all sweeps, as after a jump in time."""
        self._sources.clear()
        self._sizes, self._newest = [], (0, 0.0)

    def expected(self, now: float) -> list[int]:
        """Return what to keep free for the packets that will come with the next sweep, bytes.

        Args:
            now: seconds of the steady clock.
        """
        return reserved_sizes(self._sizes) if now - self._newest[1] <= _PATIENCE else []

    def _on_objects(self, message: BevIndices) -> None:
        try:
            packet = read_packet(message.packet)
        except PacketError as error:
            self._node.drop(error.reason, str(error))
            return
        if not isinstance(packet, ObjectPacket) or packet.station_id != self._station:
            return  # of another car in this namespace
        source = self._sources.get(packet.stamp_ns)
        if source is None:
            self._node.drop("late_objects", f"no sweep of {packet.stamp_ns} ns was sent of late")
            return
        try:
            self._send(packet, source, message.header.frame_id)
        except PacketError as error:
            self._node.drop(error.reason, str(error))

    def _send(self, packet: ObjectPacket, source: SweepSource, frame_id: str) -> None:
        now = time.monotonic()
        is_first = packet.stamp_ns != self._newest[0]
        left = self._left(packet)
        if left <= 0 and not is_first:
            return
        sent = replace(
            packet,
            sequence=source.sequence,
            pose=source.pose,
            spread=source.spread,
            signature_kind=self._signer.kind,
            objects=packet.objects.part(0, max(left, 0)),
        )
        data = self._signer.signed(sent)
        self._sizes = [len(data)] if is_first else [*self._sizes, len(data)]
        self._newest = packet.stamp_ns, now
        self._paced.send_first(message_of(data, source.stamp_ns, frame_id), is_first)
        self._spend(len(data))
        self._objects = len(sent.objects) + (0 if is_first else self._objects)
        self._sent += 1

    def _left(self, packet: ObjectPacket) -> int:
        """Return how many objects of a packet the law lets through, of all of its sweep."""
        budget = self._paced.most_bytes()
        if budget is None:
            return len(packet.objects)
        most = affordable_objects(budget, SIGNATURE_BYTES[self._signer.kind])
        return most - MOST_OBJECTS * packet.part

    def report(self) -> Mapping[str, str]:
        """Return the numbers of what was sent, for the diagnostics."""
        if not self._sent:
            return {}
        return {
            "packets with objects": str(self._sent),
            "objects a frame": str(self._objects),
            "bytes of objects a frame": str(sum(self._sizes)),
        }
