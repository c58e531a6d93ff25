# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishers whose messages a node cannot take because they are of another type."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

from quantv2x_ros.nodes.common.graph_names import endpoint_name

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
