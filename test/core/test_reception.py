# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Peers' tiles to peers' sweeps."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.core.assembly import AssemblyError
from quantv2x_ros.core.reception import FORGET_AFTER, MAX_STATIONS, Reception, ReceptionError
from quantv2x_ros.core.sweep import Tile

SHAPE = (2, 6, 4)
BACKGROUND = np.array([7, 9], np.uint8)


def tile(station=2, stamp=100, number=0, count=1, first_row=0, rows=6, value=1):
    return Tile(
        station_id=station,
        sequence=stamp,
        stamp_ns=stamp,
        frame_id="lidar",
        pose=np.eye(4),
        first_row=first_row,
        tile_index=number,
        tile_count=count,
        indices=np.full((2, rows, 4), value, np.uint8),
        payload_bytes=10 * rows,
    )


def make():
    return Reception(SHAPE, BACKGROUND, tile_timeout=0.05, own_station=1)


def test_a_sweep_of_one_tile_is_complete_at_once():
    sweep = make().add(tile(), 1.0)
    assert sweep is not None
    assert sweep.received_rows.all()
    assert sweep.payload_bytes == 60
    assert sweep.arrived == 1.0
    np.testing.assert_array_equal(sweep.indices, 1)


def test_tiles_in_any_order_make_one_sweep():
    reception = make()
    assert reception.add(tile(number=1, count=2, first_row=4, rows=2, value=5), 1.0) is None
    sweep = reception.add(tile(number=0, count=2, first_row=0, rows=4, value=3), 1.01)
    assert sweep is not None
    assert sweep.payload_bytes == 60
    np.testing.assert_array_equal(sweep.indices[0, :, 0], [3, 3, 3, 3, 5, 5])
    assert reception.overdue(9.0) == []


def test_a_lost_tile_is_a_hole_after_the_wait():
    reception = make()
    assert reception.add(tile(number=1, count=2, first_row=4, rows=2, value=5), 1.0) is None
    assert reception.is_incomplete
    assert reception.overdue(1.04) == []
    (sweep,) = reception.overdue(1.05)
    np.testing.assert_array_equal(sweep.received_rows, [False] * 4 + [True] * 2)
    np.testing.assert_array_equal(sweep.indices[:, 0, 0], BACKGROUND)
    assert reception.partial == 1
    assert not reception.is_incomplete
    assert reception.overdue(2.0) == []


def test_a_tile_after_the_wait_is_refused_as_late():
    reception = make()
    reception.add(tile(number=1, count=2, first_row=4, rows=2), 1.0)
    reception.overdue(2.0)
    with pytest.raises(AssemblyError) as error:
        reception.add(tile(number=0, count=2, first_row=0, rows=4), 2.0)
    assert error.value.reason == "late"


def test_stations_do_not_mix():
    reception = make()
    assert reception.add(tile(station=2, number=0, count=2, rows=3), 1.0) is None
    assert reception.add(tile(station=3, number=1, count=2, first_row=3, rows=3), 1.0) is None


def test_stations_are_bounded_and_silent_ones_make_room():
    reception = make()
    for station in range(2, MAX_STATIONS + 2):
        reception.add(tile(station=station), 1.0)
    with pytest.raises(ReceptionError):
        reception.add(tile(station=1000), 2.0)
    assert reception.add(tile(station=1), 2.0) is not None, "the own station finds room"
    assert reception.add(tile(station=1000), 1.1 + FORGET_AFTER) is not None


def test_reset_forgets_open_sweeps():
    reception = make()
    reception.add(tile(number=0, count=2, rows=3), 1.0)
    reception.reset()
    assert reception.overdue(9.0) == []
