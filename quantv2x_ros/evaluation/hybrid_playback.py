# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A scenario in which agents send boxes beside features, and the ego fuses both, like the nodes."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace

from quantv2x_ros.core.fusion.peer_boxes import PeerObjects
from quantv2x_ros.core.geometry.packed_pose import PoseSpread
from quantv2x_ros.core.peers.signing import ED25519
from quantv2x_ros.core.transport.object_packet import (
    ObjectPacket,
    SentObjects,
    object_packets,
    reserved_sizes,
)
from quantv2x_ros.core.transport.packet_tiles import SweepSource
from quantv2x_ros.data.agent_names import station_id
from quantv2x_ros.evaluation.air import Outgoing
from quantv2x_ros.evaluation.frame_state import FrameState
from quantv2x_ros.evaluation.playback import Playback, draw_peers
from quantv2x_ros.evaluation.senders import Senders
from quantv2x_ros.evaluation.settings import Sending
from quantv2x_ros.inference.receiver import FusionFrame, Receiver
from quantv2x_ros.inference.results import FusionResult


class HybridPlayback(Playback):
    """Plays one scenario to an ego that fuses features, and what those gave with the peers' boxes.

    Boxes have the first claim on an agent's budget, features have what is left. They leave later:
    when the agent has detected alone. The ego joins those that are there once it has detected, too.
    """

    def reset(self) -> None:
        """Begin anew, as a node that is started: frames were left out."""
        super().reset()
        #: When boxes arrive, seconds; a number that keeps the order; what they are
        self._boxes: list[tuple[float, int, PeerObjects]] = []

    def _send(self, state: FrameState) -> None:
        """Put what is sent in a frame on the air."""
        link = self._config.link
        start = state.stamp_ns / 1e9 + link.latency_ms / 1e3
        draws, poses = draw_peers(state, link, self._scenario)
        for name, arrivals in self._air.carry(state, draws).items():
            boxes = packets_with_objects(state, name, link.sending, self._bundle.classes)
            reserved = reserved_sizes([packet.size for packet in boxes])
            tiles = self._senders.tiles(state, name, link.sending, reserved)
            for number, after in arrivals.items():
                if number < len(tiles):
                    self._put_on_the_way(start + after, replace(tiles[number], pose=poses[name]))
                else:
                    packet = replace(boxes[number - len(tiles)], pose=poses[name])
                    self._put_boxes_on_the_way(start + after, packet)

    def _put_boxes_on_the_way(self, arrival: float, packet: ObjectPacket) -> None:
        read = SentObjects.unpack(packet.objects.pack())
        found, velocities = read.detections(self._bundle.classes)
        heard = PeerObjects(packet.station_id, packet.stamp_ns, packet.pose, found, velocities)
        heapq.heappush(self._boxes, (arrival, self._put, heard))
        self._put += 1

    def _packets(self, state: FrameState, name: str) -> list[Outgoing]:
        link = self._config.link
        boxes = packets_with_objects(state, name, link.sending, self._bundle.classes)
        sizes = [packet.size for packet in boxes]
        sent = self._senders.send(state.sent[name], link.sending, reserved_sizes(sizes))
        delay = link.objects_delay_ms / 1e3
        tiles = [Outgoing(size) for size in sent.packet_sizes]
        return tiles + [Outgoing(size, delay) for size in sizes]

    def _join(
        self, receiver: Receiver, frame: FusionFrame, fused: FusionResult, now: float
    ) -> FusionResult:
        """Join the boxes that have come by when the ego has detected."""
        until = now + self._config.link.objects_delay_ms / 1e3
        while self._boxes and self._boxes[0][0] <= until:
            at, _, message = heapq.heappop(self._boxes)
            receiver.boxes.hear(message, at)
        return receiver.join(frame, fused, self._bundle.detection)


def packets_with_objects(
    state: FrameState, name: str, sending: Sending, classes: Sequence[str]
) -> list[ObjectPacket]:
    """Return the packets in which an agent sends what it finds alone, signed as all are.

    Args:
        state: What the agents see.
        name: The agent.
        sending: Has the budget; of more objects than it holds the best are sent.
        classes: Of the model.
    """
    view = state.own_view(name)
    source = SweepSource(
        station_id(name), state.number, state.stamp_ns, state.sent[name].pose, PoseSpread()
    )
    objects = SentObjects.of(view.detections, view.tracked.known_velocities, classes)
    return object_packets(source, objects, 0, ED25519, sending.budget)


def hybrid_sizes(
    state: FrameState, name: str, sending: Sending, senders: Senders, classes: Sequence[str]
) -> list[int]:
    """Return the sizes of an agent's packets with features, then of those with boxes, bytes."""
    packets = packets_with_objects(state, name, sending, classes)
    boxes = [packet.size for packet in packets]
    features = senders.send(state.sent[name], sending, reserved_sizes(boxes))
    return [*features.packet_sizes, *boxes]
