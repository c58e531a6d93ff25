# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A receiver makes frames of tiles and of the ego's sweeps, by the time that it is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantv2x_ros.core.fusion.fusion_steps import ComputePyramid, Fuse, SweepRefusedError, Wait
from quantv2x_ros.core.geometry.pose import matrix_from_v2x, transform_between
from quantv2x_ros.core.receiver_settings import ReceiverSettings
from quantv2x_ros.core.transport.sweep import AgentSweep, Tile
from quantv2x_ros.core.transport.sweep_sender import SendSettings, SweepSender
from quantv2x_ros.core.transport.tiles import IndexMapFormat, TileSettings
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.receiver import Receiver

STEP = 100_000_000
EGO = matrix_from_v2x([100.0, 50.0, 1.8, 0.0, 30.0, 0.0])
PEER = matrix_from_v2x([108.0, 54.0, 1.9, 0.0, -60.0, 0.0])


@pytest.fixture(scope="module")
def bundle(bundle_folder):
    return ModelBundle.load(bundle_folder)


@pytest.fixture(scope="module")
def detector(bundle):
    return CooperativeDetector(bundle, threads=1)


@pytest.fixture(scope="module")
def indices(bundle):
    cloud = np.random.default_rng(3).uniform((-20, -20, -2, 0), (20, 20, 1, 0), (4000, 4))
    return AgentEncoder(bundle, threads=1).encode(cloud.astype(np.float32)).indices


@pytest.fixture
def receiver(bundle, detector):
    return Receiver(detector, bundle, station=1)


def own(indices, number, now=0.0):
    received = np.ones(indices.shape[1:], np.bool_)
    return AgentSweep(1, number, number * STEP, "lidar_1", EGO, indices, received, 1, now)


def tiles(bundle, indices, number, station=2):
    book, background = bundle.codebook, bundle.background
    form = IndexMapFormat(bundle.entropy_model, book.levels, book.segments, *bundle.grid.shape)
    settings = SendSettings(TileSettings(2000), min_occupancy=0.0)
    sent = SweepSender(form, background, settings).send(indices)
    return [
        Tile(
            station_id=station,
            sequence=number,
            stamp_ns=number * STEP,
            frame_id=f"lidar_{station}",
            pose=PEER,
            tile_index=place,
            tile_count=len(sent.tiles),
            parity_count=0,
            payload=tile.payload,
            place=tile.place,
            indices=form.decode(tile.place, tile.payload),
        )
        for place, tile in enumerate(sent.tiles)
    ]


def hear(receiver, given, now):
    for tile in given:
        sweep = receiver.take(tile, now)
        if sweep is not None:
            receiver.offer_peer(sweep)


def run(receiver, now):
    while isinstance(step := receiver.next_step(now), ComputePyramid):
        receiver.compute(step.held)
    return receiver.prepare(step) if isinstance(step, Fuse) else step


def test_tiles_and_the_own_sweep_become_a_frame(receiver, bundle, detector, indices):
    parts = tiles(bundle, indices, 0)
    assert len(parts) > 1
    hear(receiver, parts, 0.0)
    receiver.offer_ego(own(indices, 0), 0.01)
    np.testing.assert_array_equal(receiver.ego_pose, EGO)
    frame = run(receiver, 0.01)
    assert [sweep.station_id for sweep in frame.sweeps] == [1, 2]
    np.testing.assert_allclose(frame.ego_to_agent[1], transform_between(EGO, PEER), atol=1e-12)
    expected = detector.pyramid(indices, None, transform_between(EGO, PEER))
    for level, wanted in zip(frame.pyramids[1].features, expected.features, strict=True):
        np.testing.assert_array_equal(level, wanted)
    assert (frame.suspects, frame.excluded, frame.expired) == ({}, (), ())


def test_a_sweep_that_lacks_tiles_is_waited_for_and_then_fused_with_holes(
    receiver, bundle, indices
):
    hear(receiver, tiles(bundle, indices, 0), 0.0)
    receiver.offer_ego(own(indices, 0), 0.0)
    run(receiver, 0.0)
    hear(receiver, tiles(bundle, indices, 1)[1:], 0.1)
    receiver.offer_ego(own(indices, 1), 0.12)
    step = run(receiver, 0.12)
    assert step == Wait(pytest.approx(0.03)), "the peer's next sweep is due"
    assert receiver.reception.next_overdue == pytest.approx(0.14)
    (partial,) = receiver.overdue(0.14)
    receiver.offer_peer(partial)
    frame = run(receiver, 0.14)
    assert [sweep.stamp_ns for sweep in frame.sweeps] == [STEP, STEP]
    assert receiver.reception.partial == 1
    assert np.isinf(receiver.reception.next_overdue)


def test_changed_settings_hold_from_the_next_sweep_on(receiver, bundle, indices):
    receiver.offer_ego(own(indices, 2), 0.0)
    run(receiver, 0.0)
    receiver.change(replace(ReceiverSettings(), peer_timeout=0.05))
    with pytest.raises(SweepRefusedError, match=r"allowed are 0.050 s"):
        hear(receiver, tiles(bundle, indices, 1), 0.1)
    receiver.change(ReceiverSettings())
    hear(receiver, tiles(bundle, indices, 1, station=3), 0.1)
    receiver.offer_ego(own(indices, 3), 0.1)
    assert [sweep.station_id for sweep in run(receiver, 0.2).sweeps] == [1, 3]


def test_after_a_reset_nothing_is_known(receiver, bundle, indices):
    hear(receiver, tiles(bundle, indices, 5), 0.0)
    receiver.offer_ego(own(indices, 5), 0.0)
    receiver.reset()
    assert receiver.ego_pose is None
    receiver.offer_ego(own(indices, 0), 1.0)  # time may have jumped back
    assert [sweep.station_id for sweep in run(receiver, 1.0).sweeps] == [1]


def test_one_agent_alone_fuses_no_peer(bundle, detector, indices):
    receiver = Receiver(detector, bundle, station=1, max_agents=1)
    hear(receiver, tiles(bundle, indices, 0), 0.0)
    receiver.offer_ego(own(indices, 0), 0.0)
    frame = run(receiver, 0.0)
    assert len(frame.sweeps) == 1
    assert frame.over_limit == (2,)
