# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Declaring parameters with their description, range and choices."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import ReferenceType, WeakKeyDictionary, ref

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from quantv2x_ros.nodes.common.parameter_origin import known_to_this_package
from quantv2x_ros.nodes.common.rclpy_private import declared_parameters, given_parameters

#: Likeness from which on the name of a parameter for all nodes is taken for a misspelt one.
_MISSPELT = 0.8

Value = TypeVar("Value", bool, int, float, str, "list[str]", "list[float]")


@dataclass(frozen=True)
class Declaration:
    """A declared parameter, as the documentation shows it.

    Attributes:
        name: name of the parameter.
        default: value where none is given.
        description: meaning, with the unit.
        allowed: range or choices; empty where every value of the type is allowed.
        read_only: whether it is fixed once the node runs.
    """

    name: str
    default: object
    description: str
    allowed: str
    read_only: bool


_DECLARATIONS: WeakKeyDictionary[Node, list[Declaration]] = WeakKeyDictionary()


class ParameterError(ValueError):
    """A parameter that got a value that is not allowed."""


def declare(
    node: Node,
    name: str,
    default: Value,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    check: Callable[[Value], object] | None = None,
    on_change: Callable[[Value], object] | None = None,
) -> Value:
    """Declare a parameter and return its value; one that is declared already is only read.

    Args:
        node: node that declares the parameter.
        name: name of the parameter.
        default: value where none is given; it fixes the type.
        description: one sentence with the unit, shown by ``ros2 param describe``.
        low: smallest number allowed; needs ``high``.
        high: largest number allowed.
        choices: allowed texts, where there are few.
        check: raises ValueError for a value that cannot be used.
        on_change: takes each new value that is set while the node runs; without it the parameter
            is read-only.

    Raises:
        ParameterError: naming the parameter, its value and what is allowed.
    """
    read_only = on_change is None
    descriptor = ParameterDescriptor(description=description, read_only=read_only)
    allowed = _constrain(descriptor, default, low, high, choices)
    rule = _Rule(name, tuple(choices), check, on_change)
    if node.has_parameter(name):  # configured once more
        _live_of(node).watch(rule)
        kept: Value = node.get_parameter(name).value
        return kept
    try:
        declared = node.declare_parameter(name, default, descriptor)
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        limits = f" (allowed: {low} to {high})" if low is not None else ""
        raise ParameterError(
            f"parameter {name} of node {node.get_fully_qualified_name()}: {error}{limits}. It "
            f"means: {description}"
        ) from error
    _DECLARATIONS.setdefault(node, []).append(
        Declaration(name, default, description, allowed, read_only)
    )
    value: Value = declared.value
    try:
        rule.refuse(value)
    except ValueError as error:
        raise ParameterError(
            f"parameter {name} of node {node.get_fully_qualified_name()}: {error}"
        ) from error
    if not read_only:
        _live_of(node).watch(rule)
    return value


def _constrain(
    descriptor: ParameterDescriptor,
    default: object,
    low: float | None,
    high: float | None,
    choices: Sequence[str],
) -> str:
    """Put range and choices into a descriptor; return them in words for the documentation."""
    if choices:
        descriptor.additional_constraints = "one of: " + ", ".join(choices)
    if low is None or high is None:
        return ", ".join(choices)
    if isinstance(default, int):
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        return f"{low:,.0f} to {high:,.0f}"
    descriptor.floating_point_range = [
        FloatingPointRange(from_value=float(low), to_value=float(high))
    ]
    return f"{low:g} to {high:,g}"


@dataclass(frozen=True)
class _Rule:
    """What a parameter's values must be, and who takes new ones."""

    name: str
    choices: tuple[str, ...]
    check: Callable[[Any], object] | None
    on_change: Callable[[Any], object] | None

    def refuse(self, value: object) -> None:
        """Raise ValueError for a value that cannot be used."""
        if self.choices and value not in self.choices:
            raise ParameterError(f"got {value!r}, allowed are {', '.join(self.choices)}")
        if self.check is not None:
            self.check(value)


class _LiveParameters:
    """Applies what is set while a node runs: everything of a request, or nothing."""

    def __init__(self) -> None:
        self._rules: dict[str, _Rule] = {}

    def watch(self, rule: _Rule) -> None:
        self._rules[rule.name] = rule

    def on_set(self, parameters: Sequence[Parameter]) -> SetParametersResult:
        """Check all of a request, then apply all of it; ROS has checked types and ranges."""
        changes = [(self._rules[p.name], p.value) for p in parameters if p.name in self._rules]
        for rule, value in changes:
            try:
                rule.refuse(value)
            except ValueError as error:
                return SetParametersResult(successful=False, reason=f"{rule.name}: {error}")
        for rule, value in changes:
            if rule.on_change is not None:
                rule.on_change(value)
        return SetParametersResult(successful=True)


#: The node itself holds them, by their callback; else neither would ever be freed.
_LIVE: WeakKeyDictionary[Node, ReferenceType[_LiveParameters]] = WeakKeyDictionary()


def _live_of(node: Node) -> _LiveParameters:
    reference = _LIVE.get(node)
    live = reference() if reference is not None else None
    if live is None:
        live = _LiveParameters()
        node.add_on_set_parameters_callback(live.on_set)
        _LIVE[node] = ref(live)
    return live


def declarations(node: Node) -> tuple[Declaration, ...]:
    """Return what `declare` has declared for a node, in that order."""
    return tuple(_DECLARATIONS.get(node, ()))


def refuse_unknown(nodes: Sequence[Node], *, with_topics: bool = True) -> None:
    """Refuse parameters that were given but that no node of this process has.

    ROS passes over a misspelt one in silence. A parameter given without a node's name goes to all
    nodes of the process, so it is enough that one of them has it. One from a section of a file that
    is for all nodes may be another program's: it is looked at by `_note_shared`.

    Args:
        nodes: of this process, all their parameters declared. Their ``given_to_all`` names what
            only such sections gave (see `parameter_origin`).
        with_topics: whether all their topics are made, too, and with them the parameters of their
            quality of service.

    Raises:
        ParameterError: naming the parameter and those with a similar name.
    """
    known = {name for node in nodes for name in declared_parameters(node)}
    shared: dict[str, Node] = {}
    for node in nodes:
        for name in given_parameters(node):
            if name in known or (name.startswith("qos_overrides.") and not with_topics):
                continue
            if name in getattr(node, "given_to_all", ()):
                shared.setdefault(name, node)
                continue
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it has {_listed(node)}"
            raise ParameterError(
                f"node {node.get_fully_qualified_name()} has no parameter {name}; {hint}"
            )
    if with_topics:
        for name, node in shared.items():
            _note_shared(node, name, known)


def _note_shared(node: Node, name: str, known: Collection[str]) -> None:
    """Warn of a parameter for all nodes that looks like a misspelt one of this node.

    Nothing is said of those of other nodes of this package, and of others only for debugging.
    """
    if name in known_to_this_package():
        return
    near = difflib.get_close_matches(name, known, n=1, cutoff=_MISSPELT)
    text = f"parameter {name}, given in a section for all nodes, is none of this node's"
    if near and not name.startswith("qos_overrides."):
        node.get_logger().warning(f"{text}; did you mean {near[0]}?")
    else:
        node.get_logger().debug(text)


def _listed(node: Node) -> str:
    return ", ".join(item.name for item in declarations(node))
