# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishers that cannot be heard, in words: another type, or a quality of service that misfits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, qos_check_compatible

_UNKNOWN = "_NODE_NAME_UNKNOWN_"
#: What a participant is called that has told no node's name.
STRANGER = "a participant that is no ROS node"


def endpoint_name(info: Any) -> str:
    """Return the full name of an endpoint's node (rclpy's TopicEndpointInfo), or `STRANGER`."""
    if info.node_name == _UNKNOWN:
        return STRANGER
    return f"{info.node_namespace.rstrip('/')}/{info.node_name}"


#: A publisher is spoken of once it was seen so often: its node's name may come later than itself.
_LOOKS = 2


class TypeWatch:
    """Compares the types of a node's subscriptions with those of their topics' publishers.

    The middleware tells some nodes of it, depending on its version, and never which type came.
    """

    def __init__(self, node: Node) -> None:
        """Watch the subscriptions that a node has at the time of each look.

        Args:
            node: node whose subscriptions are watched.
        """
        self._node = node
        self._looks: dict[tuple[str, str, str], int] = {}

    def problems(self) -> list[str]:
        """Return one sentence for each publisher of another type that is there now."""
        seen: dict[tuple[str, str, str], str] = {}
        for subscription in self._node.subscriptions:
            topic, expected = subscription.topic_name, type_name(subscription.msg_type)
            for info in self._node.get_publishers_info_by_topic(topic):
                if info.topic_type != expected:
                    name = endpoint_name(info)
                    seen[topic, name, info.topic_type] = (
                        f"another type on {topic}: {name} publishes {info.topic_type}, expected "
                        f"{expected}; none of its messages arrives: remap one of the two, "
                        f"-r {topic.rpartition('/')[2]}:=TOPIC"
                    )
        self._looks = {key: self._looks.get(key, 0) + 1 for key in seen}
        return [text for key, text in seen.items() if self._looks[key] >= _LOOKS]


def type_name(kind: Any) -> str:
    """Return a message class's type as the graph names it, such as ``std_msgs/msg/Header``."""
    package, part = kind.__module__.split(".")[:2]
    return f"{package}/{part}/{kind.__name__}"


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
