# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The lifecycle of every node: configure, activate, deactivate, clean up, shut down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from quantv2x_ros.graph.parameters.common import NodeParameters
from quantv2x_ros.inference.engine.engine import EngineError
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.parameters import changed_parameters, declare_parameters
from quantv2x_ros.nodes.common.rclpy_private import RefusingLifecycleNode, free_state_machine
from quantv2x_ros.nodes.common.topic_watch import QosWatch
from quantv2x_ros.nodes.common.unknown_parameters import refuse_unknown

#: Topics of every node, which are made before it has parameters.
_OF_ROS = ("/parameter_events", "/rosout")
#: Errors about the input, which a transition fails with; others are faults, which end the process.
INPUT_ERRORS = (ValueError, OSError, EngineError)


class NodeError(RuntimeError):
    """A reason for a running node to give up that is no fault of it; its process ends with it."""


class ManagedNode(RefusingLifecycleNode):
    """A lifecycle node that brings itself up, unless its parameter ``autostart`` is false.

    Kinds of nodes say what they do in `configure`, `activate`, `deactivate` and `cleanup`, and call
    `begin` at the end of their constructor. Publishers, subscriptions, timers and guard conditions
    that `configure` creates live until `cleanup`, those of `activate` until `deactivate`; this
    class destroys them. After `cleanup` it also forgets the attributes that the constructor had not
    set, so that nothing of a model stays.

    Attributes:
        defaults: the parameters of this kind of node where none are given.
        parameters: as they are now: before the first `configure` those that are needed in every
            state, the others have their defaults. What a request changes replaces all at once.
        is_configured: whether it has what it needs to work.
        is_active: whether it works.
        finished: True once there is nothing left to do, so that the process may end.
        failure: the fault that a thread or transition ended with, or a `NodeError`; the process
            ends with it.
        given_to_all: parameters that only sections of files for all nodes gave this one.
        companions: the nodes of this process, this one included; who may own a parameter that was
            given to all.
        qos_watch: endpoints that the node cannot talk with.
    """

    defaults: ClassVar[NodeParameters] = NodeParameters()
    parameters: NodeParameters

    def __init__(self, name: str, **options: Any) -> None:
        """Create the node.

        Args:
            name: name of the node, unless remapped.
            options: options of `rclpy.lifecycle.LifecycleNode`.
        """
        self.is_configured = False
        self.is_active = False
        self.finished = False
        self.failure: BaseException | None = None
        self.given_to_all: frozenset[str] = frozenset()
        self.companions: Sequence[ManagedNode] = ()
        self._refusal: BaseException | None = None
        self._always: set[Any] = set()
        self._own_names: frozenset[str] | None = None
        self._while_configured: set[Any] = set()
        self.qos_watch = QosWatch(self)
        super().__init__(name, **options)
        self.parameters = declare_parameters(self, self.defaults, only_early=True)
        self.add_on_set_parameters_callback(self._on_set)

    def begin(self) -> None:
        """Configure and activate the node, unless ``autostart`` is false.

        Raises:
            ValueError: for a parameter or file that cannot be used.
        """
        if not self.parameters.autostart:
            name = self.get_fully_qualified_name()
            self.get_logger().info(f"waits: ros2 lifecycle set {name} configure")
            return
        for trigger in (self.trigger_configure, self.trigger_activate):
            if self.finished or trigger() == TransitionCallbackReturn.SUCCESS:
                continue
            error = self._refusal or RuntimeError(f"{trigger.__name__} of {self.get_name()} failed")
            self.destroy_node()
            raise error

    def create_publisher(self, kind: Any, topic: str, profile: Any, **options: Any) -> Any:
        """Create a publisher whose quality of service can be overridden, and is watched."""
        options = {"event_callbacks": self.qos_watch.publisher_events(topic), **options}
        return super().create_publisher(kind, topic, profile, **_overridable(topic, options))

    def create_subscription(
        self, kind: Any, topic: str, callback: Any, profile: Any, **options: Any
    ) -> Any:
        """Create a subscription whose quality of service can be overridden, and is watched."""
        options = {"event_callbacks": self.qos_watch.subscription_events(topic), **options}
        options = _overridable(topic, options)
        return super().create_subscription(kind, topic, callback, profile, **options)

    def configure(self) -> None:
        """Load and allocate as the parameters say; what takes long belongs here."""

    def activate(self) -> None:
        """Begin to work."""

    def deactivate(self) -> None:
        """Stop working, but keep what `configure` has made."""

    def retune(self) -> None:
        """Let what there is go by the new `parameters`; called in the thread of their service."""

    def cleanup(self) -> None:
        """End what `configure` has begun; it may have failed half-way."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load; FAILURE for bad input, after which nothing is held."""
        self._always, self._own_names = self._entities(), frozenset(vars(self))
        if not self._attempt("configure", self._configure):
            self._free()
            return TransitionCallbackReturn.FAILURE
        self.is_configured = True
        self._while_configured = self._entities()
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        self.parameters = declare_parameters(self, self.defaults)
        self.configure()
        if self.companions and all(n.is_configured or n is self for n in self.companions):
            refuse_unknown(self.companions, with_topics=False)

    def _activate(self) -> None:
        self.activate()
        if self.companions and all(n.is_active for n in self.companions):
            refuse_unknown(self.companions)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to work; FAILURE for bad input, after which the node is inactive."""
        self.is_active = True  # what comes in from now on counts
        if not self._attempt("activate", self._activate):
            self._end_work()
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop working."""
        self._end_work()
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything."""
        self._free()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything; the process ends once all its nodes are shut down."""
        self._free()
        self.finished = True
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        """Free everything, then destroy the node."""
        self._free()
        super().destroy_node()
        free_state_machine(self)

    def _on_set(self, changes: Sequence[Parameter]) -> SetParametersResult:
        """Take everything of a request to change parameters, or nothing."""
        try:
            parameters = changed_parameters(self, self.parameters, changes)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if parameters != self.parameters:
            self.parameters = parameters
            self.retune()
        return SetParametersResult(successful=True)

    def _attempt(self, what: str, step: Callable[[], None]) -> bool:
        """Run a step; where it fails, say why in one sentence and remember the error."""
        try:
            step()
        except INPUT_ERRORS as error:
            self._refusal = error
            if not self.parameters.autostart:  # else whoever creates the node says it
                self.get_logger().error(f"cannot {what}: {error}")
            return False
        except Exception as error:  # raised again where the process can end by it
            self._refusal = self.failure = error
            return False
        return True

    def _end_work(self) -> None:
        if self.is_active:
            self.is_active = False
            self.deactivate()
            self._destroy_but(self._while_configured)

    def _free(self) -> None:
        self._end_work()
        self.is_configured = False
        self.cleanup()
        if self._own_names is not None:
            self._destroy_but(self._always)
            for name in vars(self).keys() - self._own_names:
                delattr(self, name)
            self._always, self._own_names = set(), None

    def _entities(self) -> set[Any]:
        return {*self.publishers, *self.subscriptions, *self.timers, *self.guards}

    def _destroy_but(self, kept: set[Any]) -> None:
        for timer in [item for item in self.timers if item not in kept]:
            self.destroy_timer(timer)
        for subscription in [item for item in self.subscriptions if item not in kept]:
            self.destroy_subscription(subscription)
        for publisher in [item for item in self.publishers if item not in kept]:
            self.destroy_publisher(publisher)
        for guard in [item for item in self.guards if item not in kept]:
            self.destroy_guard_condition(guard)


def _overridable(topic: str, options: dict[str, Any]) -> dict[str, Any]:
    """Add what lets parameters override the policies of a topic that is not ROS's own."""
    if topic in _OF_ROS:
        return options
    return {"qos_overriding_options": qos.overridable(), **options}
