# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""SIGINT and SIGTERM end a body at a place where it can be ended."""

from __future__ import annotations

import signal

import pytest

from quantv2x_ros.environment.interruption import signals_held_back, until_interrupted


@pytest.fixture(autouse=True)
def handlers():
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_body_and_what_follows_goes_on(number):
    done = []
    with until_interrupted():
        signal.raise_signal(number)
        done.append("after the signal")
    assert done == []


def test_a_second_signal_does_not_disturb_the_clean_up():
    done = []
    with until_interrupted():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            done.append("cleaned up")
    assert done == ["cleaned up"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_held_back_acts_after_the_body(number):
    done = []
    with until_interrupted():
        with signals_held_back():
            signal.raise_signal(number)
            done.append("in the body")
        done.append("after it")
    assert done == ["in the body"]


def test_handlers_are_as_before_after_it():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with signals_held_back():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt), signals_held_back():
        signal.raise_signal(signal.SIGINT)


def test_an_error_of_the_body_comes_through():
    with pytest.raises(ZeroDivisionError), signals_held_back():
        1 / 0  # noqa: B018
