# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The announcements of other stations' models."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock

from quantv2x_msgs.msg import Codebook
from quantv2x_ros.core.peers.rate_limit import TokenBucket
from quantv2x_ros.nodes.air.index_format import IndexFormat
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.base import BaseNode
from quantv2x_ros.nodes.common.conversions import MessageRefusedError

#: Announcements a second, and at once, that are read; a station makes one at its start.
_RATE, _BURST = 20.0, 100.0
#: For so long nothing is heard after more than that, seconds.
_DEAF = 10.0
#: Stations that are waited for: a second, and at once. Each may delay one fusion by peer_wait.
_WAIT_RATE, _WAIT_BURST = 0.2, 8.0
#: Stations and models that are remembered.
_REMEMBERED = 1000


class Announcements:
    """Names stations with another codebook before their first sweep is refused.

    A flood ends the subscription for a while: no message of it is taken then. The latched ones come
    again afterwards. Which station announced which model is remembered here, bounded, and not in a
    `PeerRegistry`: it comes before anything else of a station, and is told once.
    """

    def __init__(
        self,
        node: BaseNode,
        own_station: int,
        index_format: IndexFormat | None,
        on_heard: Callable[[int], None] = lambda station: None,
        on_own: Callable[[Codebook], None] = lambda message: None,
    ) -> None:
        """Subscribe.

        Args:
            node: node that subscribes.
            own_station: id of the own station, whose announcements are passed over.
            index_format: format of the own station; None where other stations do not matter.
            on_heard: called with new stations of the same format, except in a flood of them.
            on_own: called with each announcement under the own id.
        """
        self._node = node
        self._own_station = own_station
        self._format = index_format
        self._on_heard = on_heard
        self._on_own = on_own
        self._known: set[tuple[int, str]] = set()
        self._bucket = TokenBucket(_RATE, _BURST)
        self._waits = TokenBucket(_WAIT_RATE, _WAIT_BURST)
        self._subscription: Any = None
        steady: Clock = node.steady_clock
        self._return = node.create_timer(_DEAF, self._listen, clock=steady)
        self._listen()

    def _listen(self) -> None:
        self._return.cancel()
        if self._subscription is None:
            self._subscription = self._node.create_subscription(
                Codebook, "/v2x/codebook", self._on_announcement, qos.latched_input()
            )

    def _on_announcement(self, message: Codebook) -> None:
        if self._subscription is None:
            return
        if not self._bucket.take(time.monotonic()):
            self._node.drop("announcements", f"more than {_RATE:g} a second; deaf for {_DEAF:g} s")
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            self._return.reset()
            return
        if message.station_id == self._own_station:
            self._on_own(message)
            return
        model = f"{message.bundle_name} {message.bundle_version}"
        key = (message.station_id, model)
        if self._format is None or key in self._known or len(self._known) >= _REMEMBERED:
            return
        self._known.add(key)
        try:
            self._format.check(message)
        except MessageRefusedError as error:
            self._node.get_logger().warning(f"will not be understood, model {model}: {error}")
            return
        if self._waits.take(time.monotonic()):
            self._on_heard(message.station_id)
        self._node.get_logger().info(f"heard of station {message.station_id}, model {model}")
