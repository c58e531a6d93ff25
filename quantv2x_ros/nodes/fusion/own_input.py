# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The source of a fusion node's own sweeps, and other stations with its id."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node

from quantv2x_ros.core.geometry.pose import Matrix, PoseError
from quantv2x_ros.core.peers.own_sweeps import OwnSweeps
from quantv2x_ros.core.placement.levelling import LEVEL_SUFFIX
from quantv2x_ros.core.transport.packet import PacketError
from quantv2x_ros.core.transport.sweep import AgentSweep
from quantv2x_ros.nodes.air.heard_packet import HeardPacket
from quantv2x_ros.nodes.air.indices_subscription import OWN, IndicesSubscription, stamp_of
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.base import BaseNode
from quantv2x_ros.nodes.common.conversions import nanoseconds, transform_from_message

#: Sweeps whose transform is remembered: of more than the oldest that is fused.
_KEPT = 64


class LevelInput:
    """Keeps the transforms from the own sweeps' levelled frames to those of their clouds."""

    def __init__(self, node: Node) -> None:
        """Subscribe to ``level``.

        Args:
            node: node that subscribes and logs.
        """
        self._node = node
        self._levels: OrderedDict[tuple[int, str], tuple[str, Matrix]] = OrderedDict()
        self._subscription = node.create_subscription(
            TransformStamped, "level", self._on_level, qos.pose_input()
        )
        self.unknown = 0

    def with_level(self, sweep: AgentSweep) -> AgentSweep:
        """Return a sweep whose boxes are given in its cloud's frame.

        One that was levelled or mounted, but whose transform has not come, stays as it is: its
        frame's name says so.
        """
        found = self._levels.get((sweep.stamp_ns, sweep.frame_id))
        if found is not None:
            frame_id, to_frame = found
            return replace(sweep, frame_id=frame_id, to_frame=to_frame)
        if sweep.frame_id.endswith(LEVEL_SUFFIX):
            self.unknown += 1
            self._node.get_logger().warning(
                f"objects are in {sweep.frame_id} and not in the LiDAR's frame: the encoder's "
                "transform between them has not come on the topic level; connect it, or start the "
                "encoder with level:=false",
                throttle_duration_sec=10.0,
            )
        return sweep

    def _on_level(self, message: TransformStamped) -> None:
        try:
            to_frame = transform_from_message(message.transform)
        except PoseError as error:
            self._node.get_logger().warning(
                f"transform on level to {message.child_frame_id}: {error}",
                throttle_duration_sec=10.0,
            )
            return
        key = (nanoseconds(message.header.stamp), message.child_frame_id)
        self._levels[key] = message.header.frame_id, to_frame
        while len(self._levels) > _KEPT:
            self._levels.popitem(last=False)


#: Time between looks at who is there, seconds.
_PERIOD = 0.5
#: Own sweeps from the air that are remembered.
_REMEMBERED = 64

Postpone = Callable[[int, int, bytes], bool]


class OwnInput:
    """Tells own sweeps from those of another station with the same id.

    They come from the encoder in this process, or from one in the own namespace by a topic of its
    own. Only where there is neither, as with a bag, messages on the air that have the own id are
    taken for them. Else such a message is another station's, unless it is one of a known own sweep.
    """

    def __init__(
        self,
        node: BaseNode,
        station: int,
        in_process: bool,
        postpone: Postpone,
        on_shared: Callable[[HeardPacket], None],
    ) -> None:
        """Store the parts; `listen` subscribes.

        Args:
            node: node that subscribes and has the timer.
            station: id of the own station.
            in_process: whether the own encoder is in this process, and `note` is called for it.
            postpone: see `IndicesSubscription`.
            on_shared: called with a packet of each sweep of another station with the own id.
        """
        self._node = node
        self._station = station
        self._in_process = in_process
        self._postpone = postpone
        self._on_shared = on_shared
        self._from_air: deque[int] = deque(maxlen=_REMEMBERED)
        self.reset()

    def listen(self, air: IndicesSubscription, on_packet: Callable[[HeardPacket], float]) -> None:
        """Listen to the own encoder, where it is in another process.

        Args:
            air: subscription to the messages of all stations.
            on_packet: called with the own encoder's packets; see `IndicesSubscription`.
        """
        self._air = air
        self._local = None
        if not self._in_process:
            self._local = IndicesSubscription(
                self._node,
                lambda station, now: "",
                lambda station, seconds, sweeps, now: None,
                on_packet,
                self._node.drop,
                postpone=self._postpone_own,
                topic=OWN,
            )
        self._node.create_timer(_PERIOD, self._look, clock=self._node.steady_clock)
        self._look()

    def reset(self) -> None:
        """Forget everything, as after a jump in time."""
        self._sweeps = OwnSweeps(self._node.get_clock().now().nanoseconds)
        self._from_air.clear()

    def note(self, stamp_ns: int) -> None:
        """Note a sweep of the own encoder, by its time in nanoseconds."""
        self._sweeps.note(stamp_ns)

    def postpone(self, station: int, stamp_ns: int, content: bytes) -> bool:
        """Keep a message for later, or not; see `IndicesSubscription`."""
        if station == self._station and stamp_ns not in self._from_air:
            self._from_air.append(stamp_ns)
        return self._postpone(station, stamp_ns, content)

    def hear(self, content: bytes) -> None:
        """Handle a message on the air with the own id where own sweeps do not come from there."""
        try:
            stamp_ns = stamp_of(content)
        except PacketError:
            return  # too short for a message, and so nobody's
        self._sweeps.hear(stamp_ns, content, time.monotonic())

    def _postpone_own(self, station: int, stamp_ns: int, content: bytes) -> bool:
        if station != self._station or stamp_ns in self._from_air:
            return True  # of another car in this namespace, or taken from the air before
        self._air.ignored = self._station
        self.note(stamp_ns)
        return self._postpone(station, stamp_ns, content)

    def _look(self) -> None:
        """Check whether the own encoder is there, and whether another station has the id."""
        if self._local is not None:
            is_there = self._node.count_publishers(self._local.topic_name) > 0
            self._air.ignored = self._station if is_there else None
        for content in self._sweeps.foreign(time.monotonic()):
            try:
                heard = HeardPacket.read(content)
            except PacketError as error:
                self._node.drop(error.reason, str(error))
                continue
            self._on_shared(heard)
