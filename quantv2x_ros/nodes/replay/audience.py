# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The subscribers of the topics that replay plays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rclpy.node import Node

#: Instead of a node's name: whoever listens.
ANYBODY = "any"


class Audience:
    """Checks whether an expected node, such as each agent's encoder, subscribes to each topic."""

    def __init__(self, node: Node, publishers: Sequence[Any], expected: str) -> None:
        """Watch topics.

        Args:
            node: node that sees the graph.
            publishers: publishers of the topics.
            expected: name of the expected node, the same in every namespace, or `ANYBODY`.
        """
        self._node = node
        self._publishers = {publisher.topic_name: publisher for publisher in publishers}
        self._expected = expected
        self._who = "subscriber" if expected == ANYBODY else f"node {expected}"

    def __str__(self) -> str:
        """Word what makes the audience complete."""
        return f"a {self._who} listens to {', '.join(self._publishers)}"

    @property
    def is_complete(self) -> bool:
        """Tell whether each topic has its expected subscriber."""
        return not any(self._lacks(topic) for topic in self._publishers)

    @property
    def is_empty(self) -> bool:
        """Tell whether no topic has a subscriber."""
        return not any(self._listeners(topic) for topic in self._publishers)

    def complaint(self) -> str:
        """Word which topics lack their subscriber, and which have others instead."""
        heard = {topic: self._listeners(topic) for topic in self._publishers if self._lacks(topic)}
        topics = [
            f"{topic} (heard by {', '.join(who) or 'nobody'})" for topic, who in heard.items()
        ]
        return f"no {self._who} listens to {', '.join(topics)}"

    def _lacks(self, topic: str) -> bool:
        if self._expected == ANYBODY:
            return not self._publishers[topic].get_subscription_count()
        return self._expected not in self._listeners(topic)

    def _listeners(self, topic: str) -> list[str]:
        infos = self._node.get_subscriptions_info_by_topic(topic)
        return sorted({info.node_name for info in infos})
