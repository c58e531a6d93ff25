# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters of a node as a frozen dataclass, whose fields say what each one means and allows.

What the nodes declare, the tables of their pages, their parameter files and the defaults of command
lines are made from these dataclasses; `quantv2x_ros.nodes.common.parameters` declares them in ROS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

ParameterValue = bool | int | float | str | tuple[float, ...]
Value = TypeVar("Value", bool, int, float, str, "tuple[float, ...]")
P = TypeVar("P", bound="Parameters")

#: Where a field's metadata hold its `Specification`.
_KEY = "parameter"


class ParameterError(ValueError):
    """A parameter that got a value that is not allowed."""


@dataclass(frozen=True)
class Specification:
    """Meaning and allowed values of a parameter.

    Attributes:
        name: name of the parameter.
        description: one sentence with the unit, shown by ``ros2 param describe``.
        low: smallest number allowed; None for any.
        high: largest number allowed; None for any. Both have the type of the parameter.
        choices: allowed texts, where there are few.
        check: function that raises ValueError for a value that cannot be used.
        live: whether it can be changed while the node runs.
        early: whether the node needs it in every state: others are declared when it is configured.
        by_launch: whether the launch file sets it, so that parameter files leave it out.
    """

    name: str
    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    check: Callable[[Any], object] | None = None
    live: bool = False
    early: bool = False
    by_launch: bool = False

    @property
    def allowed(self) -> str:
        """Word range or choices; empty where every value of the type is allowed."""
        if self.low is None or self.high is None:
            return ", ".join(self.choices)
        if isinstance(self.low, int):
            return f"{self.low:,} to {self.high:,}"
        return f"{self.low:g} to {self.high:,g}"

    def refuse(self, value: ParameterValue) -> None:
        """Refuse a value that cannot be used.

        Raises:
            ValueError: saying what it got and what is allowed, without the parameter's name.
        """
        if self.choices and value not in self.choices:
            raise ParameterError(f"got {value!r}, allowed are {self.allowed}")
        if self.low is not None and self.high is not None:
            number: Any = value
            if not self.low <= number <= self.high:
                raise ParameterError(f"got {value}, allowed are {self.allowed}")
        if self.check is not None:
            self.check(value)


def parameter(
    default: Value,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    check: Callable[[Value], object] | None = None,
    live: bool = False,
    early: bool = False,
    by_launch: bool = False,
) -> Value:
    """Return the field of a parameter.

    Args:
        default: value where none is given; it fixes the type.
        description: see `Specification`, as all others.
        low: smallest number allowed; needs ``high``.
        high: largest number allowed; needs ``low``.
        choices: allowed texts.
        check: function that checks further conditions.
        live: whether it can be changed while the node runs.
        early: whether it is needed in every state.
        by_launch: whether it is left to the launch file.
    """
    if (low is None) != (high is None):
        raise TypeError(f"a range has both ends, got {low} to {high}: {description}")
    kind = int if isinstance(default, int) else float
    specification = Specification(
        "",
        description,
        None if low is None else kind(low),
        None if high is None else kind(high),
        choices,
        check,
        live,
        early,
        by_launch,
    )
    return field(default=default, metadata={_KEY: specification})


@dataclass(frozen=True)
class Parameters:
    """Base of all parameters of nodes, and of groups of them.

    A field is a `parameter`, or has a group as its default: what belongs together, under the names
    that it has, so that whoever needs it can be given it alone.
    """

    def __post_init__(self) -> None:
        """Validate each parameter; conditions of several belong into the subclass's.

        Raises:
            ValueError: naming the parameter, its value and what is allowed.
        """
        for specification, value in self.items():
            try:
                specification.refuse(value)
            except ValueError as error:
                raise ParameterError(f"{specification.name}: {error}") from error

    def items(self) -> Iterator[tuple[Specification, ParameterValue]]:
        """Yield every parameter with its value, those of groups at the group's place."""
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Parameters):
                yield from value.items()
            else:
                yield replace(item.metadata[_KEY], name=item.name), value

    def with_values(self: P, values: Mapping[str, ParameterValue]) -> P:
        """Return the parameters with some of them changed.

        Args:
            values: new values by the names of parameters; others are passed over.

        Raises:
            ValueError: for values that cannot be used.
        """
        changes: dict[str, Any] = {}
        for item in fields(self):
            old = getattr(self, item.name)
            if isinstance(old, Parameters):
                changes[item.name] = old.with_values(values)
            elif item.name in values:
                changes[item.name] = values[item.name]
        return replace(self, **changes)
