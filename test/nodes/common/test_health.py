# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a node says of itself on /diagnostics: OK, WARN, ERROR, and back."""

from __future__ import annotations

import time
from typing import ClassVar

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.parameter import Parameter

from quantv2x_ros.graph.parameters.common import HealthParameters, NodeParameters
from quantv2x_ros.graph.parameters.parameter import ParameterError
from quantv2x_ros.nodes.common.base import BaseNode

OK, WARN, ERROR = b"\0", b"\1", b"\2"


class Worker(BaseNode):
    """A node whose frames the test makes."""

    defaults: ClassVar[NodeParameters] = NodeParameters(
        health=HealthParameters(stage_limits="total=100")
    )
    drops_are_faults: ClassVar[bool] = True

    def __init__(self, **options):
        super().__init__("worker", **options)
        self.begin()


class Watched:
    """A node and what it said last."""

    def __init__(self, ros, kind=Worker, **values):
        values = {"diagnostics_period": 0.1, "warn_after": 0.3, "error_after": 0.8, **values}
        values = {"clear_after": 0.3, **values}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.ros = ros
        self.node = ros.add(kind(parameter_overrides=overrides))
        self.heard = ros.collect(DiagnosticArray, "/diagnostics")

    @property
    def level(self):
        return self.heard[-1].status[0].level if self.heard else None

    @property
    def message(self):
        return self.heard[-1].status[0].message

    def value(self, key):
        return {item.key: item.value for item in self.heard[-1].status[0].values}.get(key)

    def levels_until(self, wanted, keep_up=lambda: None):
        """Spin until a level is said; return all levels said on the way, each once in a row."""
        start = len(self.heard)

        def reached():
            keep_up()
            return len(self.heard) > start and self.level == wanted

        self.ros.spin_until(reached)
        levels = [item.status[0].level for item in self.heard[start:]]
        return [level for n, level in enumerate(levels) if n == 0 or level != levels[n - 1]]

    def set(self, name, value):
        (result,) = self.node.set_parameters([Parameter(name, value=value)])
        return result


def test_a_slow_stage_warns_then_is_an_error_and_is_well_once_it_is_quick_again(ros):
    watched = Watched(ros)
    assert watched.levels_until(OK) == [OK]
    levels = watched.levels_until(ERROR, lambda: watched.node.note_frame({"total": 150.0}))
    assert levels == [OK, WARN, ERROR]
    assert "total takes 150.0 ms, limit 100 ms" in watched.message
    assert watched.value("total limit [ms]") == "100"
    levels = watched.levels_until(OK, lambda: watched.node.note_frame({"total": 20.0}))
    assert levels == [ERROR, OK]


def test_a_rate_too_low_is_an_error_until_frames_come(ros):
    watched = Watched(ros, min_rate=3.0)
    assert watched.levels_until(ERROR)[-2:] == [WARN, ERROR]
    assert "rate 0.00 Hz, at least 3 expected" in watched.message
    last = [0.0]

    def frame():
        if time.monotonic() - last[0] > 0.05:
            last[0] = time.monotonic()
            watched.node.note_frame({})

    watched.levels_until(OK, frame)
    assert float(watched.value("rate [Hz]")) >= 3.0


def test_drops_warn_at_once_and_are_an_error_where_they_are_the_nodes_own_trouble(ros):
    watched = Watched(ros)
    watched.levels_until(OK)

    def drop():
        watched.node.drop("no_pose", "no pose has been received")

    assert watched.levels_until(ERROR, drop) == [WARN, ERROR]
    assert "no_pose" in watched.message
    watched.levels_until(OK)


def test_what_others_send_never_makes_a_node_an_error(ros):
    class Listener(Worker):
        defaults: ClassVar[NodeParameters] = NodeParameters()
        drops_are_faults: ClassVar[bool] = False

    watched = Watched(ros, Listener, error_after=0.2)
    end = time.monotonic() + 1.0
    watched.levels_until(WARN, lambda: watched.node.drop("signature", "not one of station 2"))
    while time.monotonic() < end:
        watched.node.drop("signature", "not one of station 2")
        ros.spin_for(0.05)
        assert watched.level == WARN
    watched.levels_until(OK)


def test_limits_can_be_changed_while_the_node_runs(ros):
    watched = Watched(ros)
    watched.levels_until(ERROR, lambda: watched.node.note_frame({"total": 150.0}))
    assert watched.set("stage_limits", "total=200").successful
    watched.levels_until(OK, lambda: watched.node.note_frame({"total": 150.0}))
    refused = watched.set("stage_limits", "total")
    assert not refused.successful
    assert "STAGE=MILLISECONDS" in refused.reason
    assert not watched.set("error_after", -1.0).successful
    assert watched.node.get_parameter("stage_limits").value == "total=200"


def test_a_limit_that_cannot_be_read_ends_the_start_with_its_name(ros):
    with pytest.raises(ParameterError, match=r"parameter stage_limits of node /worker: .*'total'"):
        Watched(ros, stage_limits="total")
