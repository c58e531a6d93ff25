# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Nobody is in two places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.peers.whereabouts import FORGET_AFTER, SharedIdError, Whereabouts

MS = 1_000_000


def at(x):
    return np.array([x, 5.0, 1.8])


def heard(places, stamp_ms, x, station=2):
    try:
        places.check(station, stamp_ms * MS, at(x), stamp_ms / 1000)
    except SharedIdError as error:
        return str(error)
    places.note(stamp_ms * MS, at(x), stamp_ms / 1000)
    return ""


def test_two_stations_under_one_id_are_named_with_both_places_and_the_first_is_heard():
    places = Whereabouts()
    for sweep in range(20):
        assert heard(places, 100 * sweep, 100.0 + sweep) == ""
        text = heard(places, 100 * sweep + 50, 145.0 + sweep)
        assert f"({100 + sweep:,.1f}, 5.0) m and ({145 + sweep:,.1f}, 5.0) m, 45 m apart" in text
    assert "station_id" in text


def test_one_that_falls_silent_leaves_its_id_to_the_other():
    places = Whereabouts()
    assert heard(places, 0, 0.0) == ""
    assert heard(places, 1000, 1000.0) != ""
    assert heard(places, 1100, 1000.0) == "", f"silent for more than {FORGET_AFTER} s"
    assert heard(places, 1150, 0.0) != ""


@given(st.lists(st.tuples(st.floats(-69, 69), st.integers(1, 900)), max_size=50))
def test_no_car_is_ever_called_two(drive):
    places, x, stamp_ms = Whereabouts(), 0.0, 0
    for speed, step_ms in drive:
        x, stamp_ms = x + speed * step_ms / 1000, stamp_ms + step_ms
        assert heard(places, stamp_ms, x) == ""


@pytest.mark.parametrize("station", [1, 2**32 - 1])
def test_the_message_names_the_station(station):
    places = Whereabouts()
    heard(places, 0, 0.0, station)
    assert f"station {station} is in two places within 0.10 s" in heard(places, 100, 99.0, station)
