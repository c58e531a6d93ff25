# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameters as frozen dataclasses: checked as a whole, changed by being replaced."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.graph.parameters.parameter import ParameterError, Parameters, parameter


def even(value):
    if value % 2:
        raise ValueError(f"{value} is odd")


@dataclass(frozen=True)
class Wheels(Parameters):
    """A group with a condition of two of its parameters."""

    wheels: int = parameter(4, "How many.", low=2, high=8, check=even)
    width: float = parameter(0.2, "Of a wheel [m].", low=0.1, high=1.5, live=True)

    def __post_init__(self):
        super().__post_init__()
        if self.wheels * self.width > 8.0:
            raise ParameterError(f"{self.wheels} wheels of {self.width} m do not fit")


@dataclass(frozen=True)
class Car(Parameters):
    """What has a group in its middle, with a default of its own."""

    name: str = parameter("car", "Its name.")
    wheels: Wheels = field(default=Wheels(width=0.3))
    colour: str = parameter("red", "Its colour.", choices=("red", "blue"))
    box: tuple[float, ...] = parameter((0.0, 1.0), "Its box.")


def test_parameters_come_in_order_with_those_of_groups_at_the_groups_place():
    items = [(item.name, value, item.allowed) for item, value in Car().items()]
    assert items == [
        ("name", "car", ""),
        ("wheels", 4, "2 to 8"),
        ("width", 0.3, "0.1 to 1.5"),
        ("colour", "red", "red, blue"),
        ("box", (0.0, 1.0), ""),
    ]
    assert [item.name for item, _ in Car().items() if item.live] == ["width"]
    assert Car.colour == "red", "a default is read without an instance"


def test_changes_make_new_parameters_and_leave_the_old_ones():
    old = Car()
    new = old.with_values({"width": 0.5, "colour": "blue", "unknown": 1})
    assert (new.wheels.width, new.colour, new.name) == (0.5, "blue", "car")
    assert (old.wheels.width, old.colour) == (0.3, "red")
    with pytest.raises(FrozenInstanceError):
        old.name = "other"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"colour": "green"}, "colour: got 'green', allowed are red, blue"),
        ({"width": 1.6}, "width: got 1.6, allowed are 0.1 to 1.5"),
        ({"width": float("nan")}, "width: got nan, allowed are 0.1 to 1.5"),
        ({"wheels": 10}, "wheels: got 10, allowed are 2 to 8"),
        ({"wheels": 3}, "wheels: 3 is odd"),
        ({"wheels": 8, "width": 1.4}, "8 wheels of 1.4 m do not fit"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(values, text):
    with pytest.raises(ParameterError) as error:
        Car().with_values(values)
    assert str(error.value) == text


@given(st.integers(-20, 20), st.floats(allow_nan=True))
def test_parameters_that_exist_are_within_their_bounds(wheels, width):
    try:
        made = Wheels(wheels, width)
    except ParameterError:
        return
    assert made.wheels in (2, 4, 6, 8)
    assert 0.1 <= made.width <= 1.5


def test_half_a_range_is_a_mistake_of_the_code():
    with pytest.raises(TypeError, match="both ends"):
        parameter(1.0, "Something.", low=0.0)
