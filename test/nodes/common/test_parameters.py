# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of a dataclass in ROS: declared, read, and changed while the node runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from rclpy.parameter import Parameter

from quantv2x_ros.graph.parameters.common import NodeParameters
from quantv2x_ros.graph.parameters.parameter import ParameterError, parameter
from quantv2x_ros.nodes.common.base import BaseNode


def even(value):
    if value % 2:
        raise ValueError(f"got {value}, expected an even number")


@dataclass(frozen=True)
class Limits(NodeParameters):
    """Parameters of a node that only the test has."""

    first: int = parameter(2, "Even.", check=even, live=True)
    second: int = parameter(2, "Even, and not more than first.", check=even, live=True)
    share: float = parameter(0.5, "Of something [1].", low=0.0, high=1.0, live=True)
    kind: str = parameter("one", "Of something.", choices=("one", "two"))
    box: tuple[float, ...] = parameter((0.0, 1.0), "Of something [m].")

    def __post_init__(self):
        super().__post_init__()
        if self.second > self.first:
            raise ParameterError(f"second: got {self.second}, more than first, {self.first}")


class Limited(BaseNode):
    """A node that notes what it is told."""

    defaults: ClassVar[Limits] = Limits()
    parameters: Limits

    def __init__(self, **values):
        self.configured, self.retuned = [], []
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        super().__init__("limited", parameter_overrides=overrides)
        self.begin()

    def configure(self):
        self.configured.append(self.parameters)

    def retune(self):
        super().retune()
        self.retuned.append(self.parameters)

    def set(self, **values):
        """Set all or none, as the service does; returns why not."""
        changes = [Parameter(name, value=value) for name, value in values.items()]
        return self.set_parameters_atomically(changes).reason


@pytest.fixture
def node(ros):
    return ros.add(Limited())


def test_a_node_is_configured_with_the_values_it_is_given(ros):
    node = ros.add(Limited(first=6, box=[1.0, 2.0], kind="two"))
    assert node.configured == [Limits(first=6, box=(1.0, 2.0), kind="two")]
    assert node.retuned == [], "nothing was changed"


def test_ros_knows_what_the_dataclass_says(node):
    share, kind = node.describe_parameters(["share", "kind"])
    assert (share.description, share.read_only) == ("Of something [1].", False)
    (limits,) = share.floating_point_range
    assert (limits.from_value, limits.to_value) == (0.0, 1.0)
    assert kind.read_only
    assert kind.additional_constraints == "one of: one, two"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"share": 1.5}, "parameter share of node /limited: .*allowed: 0.0 to 1.0.*It means: Of"),
        ({"share": "half"}, "parameter share of node /limited: "),
        ({"first": 3}, "parameter first of node /limited: got 3, expected an even number"),
        ({"kind": "six"}, "parameter kind of node /limited: got 'six', allowed are one, two"),
        ({"second": 4}, "parameters of node /limited: second: got 4, more than first, 2"),
    ],
)
def test_a_value_that_is_not_allowed_ends_the_start(ros, values, text):
    with pytest.raises(ParameterError, match=text):
        Limited(**values)


def test_a_request_replaces_the_parameters_once_with_all_that_it_changes(node):
    before = node.parameters
    assert node.set(first=8, second=4, share=0.25) == ""
    assert node.retuned == [Limits(first=8, second=4, share=0.25)]
    assert node.parameters is node.retuned[0]
    assert before == Limits()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"first": 4, "second": 5}, "second: got 5, expected an even number"),
        ({"first": 4, "second": 6}, "second: got 6, more than first, 4"),
        ({"first": 4, "share": 2.0}, "share"),
        ({"first": 4, "kind": "two"}, "kind"),
        ({"first": 4, "warn_after": -1.0}, "warn_after"),
    ],
)
def test_of_several_changes_none_is_applied_where_one_is_refused(node, values, text):
    assert text in node.set(**values)
    assert node.retuned == []
    assert node.parameters == Limits()
    assert node.get_parameter("first").value == 2


def test_a_value_that_was_set_holds_when_the_node_is_configured_again(node):
    node.set(first=6)
    for trigger in (node.trigger_deactivate, node.trigger_cleanup, node.trigger_configure):
        trigger()
    assert node.configured[1] == Limits(first=6)
    node.set(first=8)
    assert node.parameters == Limits(first=8)


def test_parameters_of_ros_itself_change_nothing_here(node):
    node.declare_parameter("foreign", 1)
    assert node.set(foreign=2) == ""
    assert node.retuned == []
