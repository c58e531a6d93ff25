# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""All that this package takes of rclpy which rclpy keeps private, and why there is no other way.

The same in Humble (rclpy 3), Jazzy (7), Kilted (9) and, read in its sources, Lyrical (10). A
version that no longer has one of these fails here, by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.node import Node


def declared_parameters(node: Node) -> Mapping[str, Any]:
    """Return the parameters of a node, by name.

    The public `get_parameters` wants to be told the names, and `list_parameters` of a node itself
    is new in Jazzy.
    """
    parameters: Mapping[str, Any] = node._parameters
    return parameters


def given_parameters(node: Node) -> Mapping[str, Any]:
    """Return the parameters that a node was given by files, arguments and code, by name.

    ROS forgets those that the node does not declare, among them the misspelt ones, and nothing
    public names them.
    """
    given: Mapping[str, Any] = node._parameter_overrides
    return given


def free_state_machine(node: LifecycleNode) -> None:
    """Free the state machine of a destroyed node, which holds the node: it would live on."""
    node._state_machine.destroy_when_not_in_use()


class RefusingLifecycleNode(LifecycleNode):  # type: ignore[misc]
    """A lifecycle node that outlives a request for a transition that it does not have.

    Up to Jazzy rclpy raises in its service's callback, so that a wrong request ends the process.
    The callback is bound by the constructor and calls this method, which has a mangled name.
    """

    def _LifecycleNodeMixin__change_state(  # noqa: N802 (the name that rclpy gives it)
        self, transition: int
    ) -> TransitionCallbackReturn:
        """Refuse a transition that there is not from this state."""
        try:
            return super()._LifecycleNodeMixin__change_state(transition)
        except RuntimeError as error:
            self.get_logger().error(f"transition {transition} is not possible now: {error}")
            return TransitionCallbackReturn.ERROR
