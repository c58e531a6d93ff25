# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Peers' tiles to peers' sweeps."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from quantv2x_ros.core.coding.wire import HEADER_BYTES, EntropyModel, encode_indices
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.peers.peers import MAX_PEERS, PeerLimits
from quantv2x_ros.core.peers.registry import PeerRegistry
from quantv2x_ros.core.transport.assembly import AssemblyError, ReceptionError
from quantv2x_ros.core.transport.erasure_code import ErasureCodeError, parity_payloads
from quantv2x_ros.core.transport.reception import Reception
from quantv2x_ros.core.transport.sweep import Tile
from quantv2x_ros.core.transport.tiles import CodedTile, IndexMapFormat, TilePlace

FORM = IndexMapFormat(EntropyModel(128), 2, 1, 6, 4)
BACKGROUND = np.array([7, 9], np.uint8)


def tile(station=2, stamp=100, number=0, count=1, first_row=0, rows=6, value=1, **changes):
    indices = np.full((2, rows, 4), value, np.uint8)
    content = {
        "station_id": station,
        "sequence": stamp,
        "stamp_ns": stamp,
        "frame_id": "lidar",
        "pose": np.eye(4),
        "tile_index": number,
        "tile_count": count,
        "parity_count": 0,
        "payload": encode_indices(indices, FORM.entropy_model),
        "place": TilePlace(0, 2, first_row, rows, 0, 4),
        "indices": indices,
    }
    return Tile(**{**content, **changes})


GRID = BevGrid((-8.0, -16.0, -1.0, 8.0, 16.0, 1.0), (2.0, 2.0, 2.0))  # 8 rows, 4 columns


def make(conceal=0.0):
    return Reception(FORM, BACKGROUND, 0.05, own_station=1, grid=GRID, conceal=conceal)


def test_a_sweep_of_one_tile_is_complete_at_once():
    sweep = make().add(tile(), 1.0)
    assert sweep is not None
    assert sweep.received.all()
    assert sweep.payload_bytes == HEADER_BYTES + 42
    assert sweep.arrived == 1.0
    np.testing.assert_array_equal(sweep.indices, 1)


def test_tiles_in_any_order_make_one_sweep():
    reception = make()
    assert reception.add(tile(number=1, count=2, first_row=4, rows=2, value=5), 1.0) is None
    sweep = reception.add(tile(number=0, count=2, first_row=0, rows=4, value=3), 1.01)
    assert sweep is not None
    assert sweep.payload_bytes == 2 * HEADER_BYTES + 42
    np.testing.assert_array_equal(sweep.indices[0, :, 0], [3, 3, 3, 3, 5, 5])
    assert reception.overdue(9.0) == []


def test_a_lost_tile_is_a_hole_after_the_wait():
    reception = make()
    assert reception.add(tile(number=1, count=2, first_row=4, rows=2, value=5), 1.0) is None
    assert reception.is_incomplete
    assert reception.overdue(1.04) == []
    (sweep,) = reception.overdue(1.05)
    np.testing.assert_array_equal(sweep.received[:, 0], [False] * 4 + [True] * 2)
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
    for station in range(2, MAX_PEERS + 2):
        reception.add(tile(station=station), 1.0)
    with pytest.raises(ReceptionError) as error:
        reception.add(tile(station=1000), 2.0)
    assert error.value.reason == "too_many_stations"
    assert reception.add(tile(station=1), 2.0) is not None, "the own station finds room"
    assert reception.add(tile(station=2, stamp=200), 5.0) is not None
    assert reception.add(tile(station=1000), 1.1 + PeerLimits().silent_after) is not None
    assert reception.counts.keys() == {1, 2, 1000}, "one that is still heard stays"


def test_a_registry_that_is_shared_is_bounded_once_and_forgotten_once():
    registry = PeerRegistry(1, PeerLimits(max_peers=2))
    reception = Reception(FORM, BACKGROUND, 0.05, 1, GRID, 0.0, registry)
    registry.admit(7, 1.0)
    reception.add(tile(station=2, count=2, rows=3), 1.0)
    with pytest.raises(ReceptionError, match="one more than the 2"):
        reception.add(tile(station=3), 1.0)
    assert reception.counts.keys() == {2}, "of another station nothing came"
    registry.forget(2)
    assert not reception.is_incomplete
    reception.forget(7)
    assert len(registry) == 0


def test_reset_forgets_open_sweeps():
    reception = make()
    reception.add(tile(number=0, count=2, rows=3), 1.0)
    reception.reset()
    assert reception.overdue(9.0) == []


def test_open_sweeps_of_a_station_are_bounded():
    reception = make()
    for stamp in range(1000):
        assert reception.add(tile(stamp=stamp, count=2, rows=3), 1.0) is None
    assert reception.abandoned == 998
    assert len(reception.overdue(2.0)) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"sequence": 5},
        {"frame_id": "other"},
        {"pose": np.diag([1.0, 1.0, 1.0, 1.0]) + np.eye(4, k=3)},
        {"parity_count": 1},
    ],
)
def test_a_tile_that_contradicts_its_sweep_is_refused(changes):
    reception = make()
    reception.add(tile(count=2, rows=3), 1.0)
    with pytest.raises(ReceptionError) as error:
        reception.add(tile(number=1, count=2, first_row=3, rows=3, **changes), 1.0)
    assert error.value.reason == "tile_header"
    assert reception.add(tile(number=1, count=2, first_row=3, rows=3), 1.0) is not None


def parity_sweep(count=2):
    """Three tiles of two rows each and their parity tiles."""
    tiles = [
        tile(number=n, count=3, first_row=2 * n, rows=2, value=n, parity_count=count)
        for n in range(3)
    ]
    payloads = parity_payloads([CodedTile(t.place, t.payload, 0) for t in tiles], count)
    parity = [
        tile(number=3 + n, count=3, parity_count=count, payload=payload, place=None, indices=None)
        for n, payload in enumerate(payloads)
    ]
    return tiles + parity


@pytest.mark.parametrize("lost", [(0, 1), (0, 2), (2,), (1, 3), (3, 4)])
def test_parity_tiles_make_up_for_lost_ones(lost):
    reception = make()
    kept = [t for n, t in enumerate(parity_sweep()) if n not in lost]
    sweeps = []
    for each in reversed(kept):
        with contextlib.suppress(AssemblyError):  # late, once the others are enough
            sweeps.append(reception.add(each, 1.0))
    (sweep,) = [s for s in sweeps if s is not None]
    assert sweep.received.all()
    np.testing.assert_array_equal(sweep.indices[0, :, 0], [0, 0, 1, 1, 2, 2])
    assert reception.overdue(9.0) == []


def test_parity_tiles_of_another_count_do_not_join_a_sweep():
    reception = make()
    reception.add(parity_sweep()[3], 1.0)
    other = tile(
        number=9, count=9, parity_count=2, payload=parity_sweep()[4].payload, place=None,
        indices=None,
    )  # fmt: skip
    with pytest.raises(ReceptionError) as error:
        reception.add(other, 1.0)
    assert error.value.reason == "tile_header"


def test_too_much_loss_leaves_what_came():
    reception = make()
    sweep = parity_sweep()
    assert reception.add(sweep[1], 1.0) is None
    assert reception.add(sweep[3], 1.0) is None
    (partial,) = reception.overdue(2.0)
    np.testing.assert_array_equal(partial.received[:, 0], [False, False, True, True, False, False])


def test_parity_alone_is_nothing_to_hand_on():
    reception = make()
    assert reception.add(parity_sweep()[3], 1.0) is None
    assert reception.overdue(2.0) == []
    assert (reception.partial, reception.abandoned) == (0, 1)
    with pytest.raises(AssemblyError):
        reception.add(parity_sweep()[3], 1.0), reception.add(parity_sweep()[3], 1.0)


def test_wrong_parity_is_refused_and_the_tiles_stay():
    reception = make()
    first, _, third, parity, _ = parity_sweep()
    wrong = tile(
        number=3, count=3, parity_count=2, payload=parity.payload[::-1], place=None, indices=None
    )
    reception.add(first, 1.0)
    reception.add(third, 1.0)
    with pytest.raises(ErasureCodeError):
        reception.add(wrong, 1.0)
    (partial,) = reception.overdue(2.0)
    assert partial.received.sum() == 16


def test_payloads_kept_for_parity_are_bounded():
    reception = make()
    first, *_ = parity_sweep()
    reception.add(first, 1.0)
    with pytest.raises(ReceptionError) as error:
        reception.add(
            tile(
                number=4, count=3, parity_count=2, payload=bytes(10_000), place=None, indices=None
            ),
            1.0,
        )
    assert error.value.reason == "payload_size"


def test_tiles_received_and_lost_are_counted_by_station():
    reception = make()
    reception.add(tile(number=1, count=3, first_row=4, rows=2), 1.0)
    reception.add(tile(number=0, count=3, first_row=0, rows=2), 1.0)
    reception.overdue(2.0)
    reception.add(tile(stamp=103), 3.0)
    reception.add(tile(station=5, stamp=9), 3.0)
    counts = reception.counts
    assert (counts[2].received, counts[2].lost) == (3, 1)
    assert (counts[2].sweeps, counts[2].missed) == (2, 2)
    assert (counts[5].received, counts[5].lost, counts[5].missed) == (1, 0, 0)


def test_lost_rows_are_filled_from_the_stations_sweep_before_and_counted():
    form = IndexMapFormat(EntropyModel(128), 2, 1, 8, 4)
    reception = Reception(form, BACKGROUND, 0.05, own_station=1, grid=GRID, conceal=0.3)
    reception.add(tile(stamp=0, rows=8, value=3), 1.0)
    reception.add(tile(station=3, stamp=0, rows=8, value=4), 1.0)
    assert reception.add(tile(stamp=10**8, number=0, count=2, rows=6, value=5), 1.1) is None
    (sweep,) = reception.overdue(1.2)
    np.testing.assert_array_equal(sweep.indices[0, :, 0], [5] * 6 + [3] * 2)
    assert sweep.received.all()
    assert (reception.concealed, reception.partial) == (1, 1)
    reception.forget(2)
    reception.add(tile(stamp=2 * 10**8, number=0, count=2, rows=6, value=6), 1.3)
    (sweep,) = reception.overdue(1.4)
    assert not sweep.received[6:].any()
