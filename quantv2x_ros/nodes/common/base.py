# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What every node of this package has: diagnostics, counted drops, a way to finish."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType, JumpThreshold, TimeJump
from rclpy.duration import Duration

from quantv2x_ros.core.monitoring.limits import Level
from quantv2x_ros.core.monitoring.statistics import Drops, RateMeter, StageTimes
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.health import Health
from quantv2x_ros.nodes.common.managed import ManagedNode
from quantv2x_ros.nodes.common.sim_clock import SimClockWatch
from quantv2x_ros.nodes.common.topic_watch import TypeWatch

#: Shortest time between log lines about drops for the same reason, seconds.
_LOG_PERIOD = 10.0
#: Least step back of the clock that is another time. Smaller ones, such as of the first message of
#: rosbag2's player, play no sweep of a LiDAR with 10 Hz again.
_JUMP_BACK = Duration(nanoseconds=-100_000_000)


class BaseNode(ManagedNode):
    """A lifecycle node that reports what it does on ``/diagnostics``, in every state.

    Attributes:
        drops_are_faults: whether what nodes of this kind drop is their own trouble. What others
            send is not: anybody on the air could make such a node an ERROR.
    """

    drops_are_faults: ClassVar[bool] = False

    def __init__(self, name: str, **options: Any) -> None:
        """Create the node.

        Args:
            name: name of the node, unless remapped.
            options: options of `rclpy.lifecycle.LifecycleNode`.
        """
        self._jump_handle: Any = None  # destroy_node may come before the end of this
        super().__init__(name, **options)
        self._statistics = threading.Lock()  # worker threads note, the executor reports
        self._drops = Drops()
        self._logged: dict[str, float] = {}
        self._frame_rate = RateMeter()
        self._stages = StageTimes()
        self._reported_drops = 0
        self._findings: set[str] = set()
        self._health = Health(self.parameters.health, self.drops_are_faults)
        self._types, self._sim_clock = TypeWatch(self), SimClockWatch(self)
        self._diagnostics = self.create_publisher(
            DiagnosticArray,
            "/diagnostics",
            qos.output(),
        )
        # Steady, so that a slow or stopped simulation still reports.
        self.steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(self.parameters.diagnostics_period, self._report, clock=self.steady_clock)
        # rclpy drops a callback whose handle is not kept.
        self._jump_handle = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=_JUMP_BACK, on_clock_change=False),
            post_callback=self._on_jump,
        )

    def drop(self, reason: str, text: str, count: int = 1) -> None:
        """Count a drop, and log it: at once if its reason is new, else now and then.

        Args:
            reason: short constant name of the reason, such as ``codebook``.
            text: explanation: the value got, and those allowed.
            count: number of drops.
        """
        with self._statistics:
            self._drops.add(reason, text, count)
        if self._is_log_due(reason):
            self.get_logger().warning(f"dropped ({reason}): {text}")

    def note_frame(self, stage_ms: Mapping[str, float]) -> None:
        """Count a finished frame and its latencies by stage, milliseconds."""
        with self._statistics:
            self._frame_rate.tick(time.monotonic())
            self._stages.add(stage_ms)

    def time_jumped_back(self) -> None:
        """Forget state that a jump back in time makes wrong; called when the clock jumps."""

    def report(self) -> tuple[str, Mapping[str, str]]:
        """Return one line about the node and further values; called only while it is active."""
        return "running", {}

    def report_id(self) -> str:
        """Return the subject of the report, such as the station id; called in every state."""
        return ""

    def activate(self) -> None:
        """Begin to work, with counters at 0."""
        with self._statistics:
            self._frame_rate, self._stages = RateMeter(), StageTimes()
        self._health.clear()

    def retune(self) -> None:
        """Go by the new limits from the next report on."""
        self._health.retune(self.parameters.health)

    def findings(self) -> Mapping[str, str]:
        """Return warnings about input that is not dropped: short constant name → sentence.

        Each sentence says what was got, what is expected and what to do. It is a WARN as long as it
        is returned, and is logged when it is new. Called only while the node is active.
        """
        return {}

    def destroy_node(self) -> None:
        """Destroy the node and what belongs to it."""
        if self._jump_handle is not None:
            self._jump_handle.unregister()
            self._jump_handle = None
        super().destroy_node()

    def _on_jump(self, jump: TimeJump) -> None:
        if self.is_active:
            self.get_logger().warning(
                f"the clock jumped by {jump.delta.nanoseconds / 1e9:.3f} s; starting afresh"
            )
            self.time_jumped_back()

    def _find(self) -> list[str]:
        """Return the warnings about the node's surroundings and input, and log new ones."""
        found = {text: text for text in (*self.qos_watch.problems(), *self._types.problems())}
        found |= self._sim_clock.finding(time.monotonic())
        if self.is_active:
            found |= self.findings()
        for name in found.keys() - self._findings:
            if self._is_log_due(f"finding: {name}"):
                self.get_logger().warning(found[name])
        self._findings = set(found)
        return list(found.values())

    def _is_log_due(self, kind: str) -> bool:
        """Tell whether to log a line now; rclpy's throttle reads the call stack each time."""
        now = time.monotonic()
        with self._statistics:
            is_due = now - self._logged.get(kind, -_LOG_PERIOD) >= _LOG_PERIOD
            if is_due:
                self._logged[kind] = now
        return is_due

    def _report(self) -> None:
        """Publish the diagnostics: OK, WARN, or ERROR once a limit is exceeded for long."""
        state = "active" if self.is_active else "inactive"
        state = state if self.is_configured else "unconfigured"
        summary, values = self.report() if self.is_active else (state, {})
        with self._statistics:
            rate = self._frame_rate.rate(time.monotonic())
            stages = self._stages.summary()
            drops = self._drops.items()
            last_drop = self._drops.last
            dropped = self._drops.total - self._reported_drops
            self._reported_drops = self._drops.total
        complaints = self._health.judge(rate, stages, dropped, last_drop) if self.is_active else []
        level = max((complaint.level for complaint in complaints), default=Level.OK)
        told = [f"{item.text} (for {item.seconds:.0f} s)" for item in complaints]
        if found := self._find():
            level, told = max(level, Level.WARN), [*told, *found]
        status = DiagnosticStatus()
        status.level = bytes([level])
        status.name = self.get_fully_qualified_name()
        status.hardware_id = self.report_id()
        status.message = "; ".join([summary, *told])
        table: dict[str, str] = {"lifecycle": state, "rate [Hz]": f"{rate:.2f}"}
        table.update(values)
        for stage, (median, high) in stages.items():
            table[f"{stage} p50 [ms]"] = f"{median:.2f}"
            table[f"{stage} p95 [ms]"] = f"{high:.2f}"
            limit = self._health.limit_of(stage)
            if limit is not None:
                table[f"{stage} limit [ms]"] = f"{limit:g}"
        for reason, count, text in drops:
            table[f"dropped: {reason}"] = f"{count} ({text})"
        status.values = [KeyValue(key=key, value=value) for key, value in table.items()]
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)
