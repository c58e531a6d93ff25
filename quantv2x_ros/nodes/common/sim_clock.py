# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A watch on simulated time: whether it goes on."""

from __future__ import annotations

from rclpy.node import Node

from quantv2x_ros.nodes.common.topic_watch import endpoint_name

#: Time without a message on ``/clock`` after which it is said, seconds: discovery takes up to two.
PATIENCE = 3.0
#: The node of this package that plays.
_REPLAY = "replay"


class SimClockWatch:
    """Notices that a node's simulated time stands still."""

    def __init__(self, node: Node) -> None:
        """Start without a time.

        Args:
            node: node whose clock is watched.
        """
        self._node = node
        self._stamp_ns: int | None = None
        self._since = 0.0

    def finding(self, now: float) -> dict[str, str]:
        """Return a warning under the name ``clock``; empty where time goes on.

        Args:
            now: present time of the steady clock, seconds.
        """
        clock = self._node.get_clock()
        stamp_ns = clock.now().nanoseconds if clock.ros_time_is_active else None
        if stamp_ns is None or stamp_ns != self._stamp_ns:
            self._stamp_ns, self._since = stamp_ns, now
            return {}
        silent = now - self._since
        if silent < PATIENCE:
            return {}
        infos = self._node.get_publishers_info_by_topic("/clock")
        if stamp_ns and any(info.node_name == _REPLAY for info in infos):
            return {}  # it waits for nodes, or for the boxes of a sweep, and says so itself
        source = ", ".join(sorted({endpoint_name(info) for info in infos})) or "nobody publishes it"
        if stamp_ns == 0:
            text = (
                f"use_sim_time is true, but no message has come on /clock for {silent:.0f} s "
                f"({source}), so that this node's time is 0; start the bag with --clock or the "
                "simulation, or leave use_sim_time false for live sensors"
            )
        else:
            text = (
                f"use_sim_time is true, and /clock ({source}) has stood at {stamp_ns / 1e9:.3f} s "
                f"for {silent:.0f} s: the bag or simulation is paused or has ended; go on with it, "
                "or leave use_sim_time false for live sensors"
            )
        return {"clock": text}
