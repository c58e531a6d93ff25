# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Declaring a node's parameters in ROS, from the dataclass that holds them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from quantv2x_ros.graph.parameters.parameter import (
    ParameterError,
    Parameters,
    ParameterValue,
    Specification,
)

P = TypeVar("P", bound=Parameters)


def declare_parameters(node: Node, defaults: P, *, only_early: bool = False) -> P:
    """Declare parameters, and return them with their values.

    Those that are declared already, as when a node is configured once more, are only read.

    Args:
        node: whose parameters.
        defaults: the values where none are given.
        only_early: declare those that are needed in every state; the others keep their defaults.

    Raises:
        ParameterError: naming the parameter, its value and what is allowed.
    """
    values = {
        specification.name: _declared(node, specification, default)
        for specification, default in defaults.items()
        if specification.early or not only_early
    }
    try:
        return defaults.with_values(values)
    except ValueError as error:  # a condition of several
        name = node.get_fully_qualified_name()
        raise ParameterError(f"parameters of node {name}: {error}") from error


def changed_parameters(node: Node, parameters: P, changes: Sequence[Parameter]) -> P:
    """Return what a node's parameters will be with all changes of a request.

    Args:
        node: whose parameters.
        parameters: as they are.
        changes: of which ROS has checked types and ranges, and that they are not read-only. Those
            of parameters that are only being declared count for nothing.

    Raises:
        ValueError: naming the parameter, its value and what is allowed.
    """
    return parameters.with_values(
        {
            change.name: _from_ros(change.value)
            for change in changes
            if node.has_parameter(change.name)
        }
    )


def _declared(node: Node, specification: Specification, default: ParameterValue) -> ParameterValue:
    """Declare a parameter, where it is not yet, and return its value."""
    name = specification.name
    what = f"parameter {name} of node {node.get_fully_qualified_name()}"
    if not node.has_parameter(name):
        given = list(default) if isinstance(default, tuple) else default
        try:
            node.declare_parameter(name, given, _descriptor(specification))
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            low, high = specification.low, specification.high
            limits = f" (allowed: {low} to {high})" if low is not None else ""
            raise ParameterError(
                f"{what}: {error}{limits}. It means: {specification.description}"
            ) from error
    value = _from_ros(node.get_parameter(name).value)
    try:
        specification.refuse(value)
    except ValueError as error:
        raise ParameterError(f"{what}: {error}") from error
    return value


def _descriptor(specification: Specification) -> ParameterDescriptor:
    """Return what ROS is told of a parameter."""
    descriptor = ParameterDescriptor(
        description=specification.description, read_only=not specification.live
    )
    if specification.choices:
        descriptor.additional_constraints = f"one of: {specification.allowed}"
    low, high = specification.low, specification.high
    if low is None or high is None:
        return descriptor
    if isinstance(low, int):
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=int(high))]
    else:
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return descriptor


def _from_ros(value: object) -> ParameterValue:
    """Return a value of ROS as one that cannot be changed."""
    if isinstance(value, (list, array)):
        return tuple(value)
    assert isinstance(value, (bool, int, float, str))  # ROS has checked the type
    return value
