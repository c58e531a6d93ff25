# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service that does not fit, in words: which topic, which policy, which node."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, qos_check_compatible

from quantv2x_ros.nodes.common.graph_names import STRANGER, endpoint_name

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

#: Looks at the graph until a participant that has told no node's name is taken for none of ROS.
_PATIENCE = 4


class QosWatch:
    """Collects the middleware's complaints about a node's topics, and finds the other node."""

    def __init__(self, node: Node) -> None:
        """Start without topics.

        Args:
            node: node whose publishers and subscriptions are watched.
        """
        self._node = node
        self._noticed: dict[tuple[str, bool], int] = {}  # topic, whether published: looks taken

    def publisher_events(self, topic: str) -> Any:
        """Return the callbacks that a publisher of the node on this topic is to have."""
        return PublisherEventCallbacks(incompatible_qos=partial(self._notice, topic, True))

    def subscription_events(self, topic: str) -> Any:
        """Return the callbacks that a subscription of the node to this topic is to have."""
        return SubscriptionEventCallbacks(incompatible_qos=partial(self._notice, topic, False))

    def problems(self) -> list[str]:
        """Return one sentence for each node that cannot talk with this one now."""
        found: list[str] = []
        for (topic, is_published), looks in list(self._noticed.items()):
            pairs = list(self._mismatches(topic, is_published))
            self._noticed[topic, is_published] = looks + 1
            if not pairs and looks >= _PATIENCE:
                del self._noticed[topic, is_published]  # the other one has gone
            for name, reason in pairs:
                if name == STRANGER and looks < _PATIENCE:
                    continue  # its name may be on the way
                what = f"{name} hears nothing" if is_published else f"nothing of {name} is heard"
                found.append(
                    f"incompatible QoS on {topic}: {what}: {reason}; `qos_overrides.*` changes "
                    "this node's side"
                )
        return found

    def _notice(self, topic: str, is_published: bool, event: object) -> None:
        self._noticed[self._node.resolve_topic_name(topic), is_published] = 0

    def _mismatches(self, topic: str, is_published: bool) -> Iterator[tuple[str, str]]:
        """Yield the other side's node and the reason, for each pair that does not fit."""
        own = self._node.get_fully_qualified_name()
        publishers = self._node.get_publishers_info_by_topic(topic)
        subscribers = self._node.get_subscriptions_info_by_topic(topic)
        for publisher in publishers:
            for subscriber in subscribers:
                mine, other = (publisher, subscriber) if is_published else (subscriber, publisher)
                if endpoint_name(mine) != own:
                    continue
                verdict, reason = qos_check_compatible(
                    publisher.qos_profile, subscriber.qos_profile
                )
                if verdict == QoSCompatibility.ERROR:
                    yield endpoint_name(other), reason.replace("ERROR: ", "").strip(" ;")
