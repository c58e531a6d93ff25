# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Peers' maps are checked, and their objects moved on, before they are fused."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.core.fusion.fusion_steps import FusedPeer
from quantv2x_ros.core.transport.sweep import AgentSweep
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.peer_views import PeerView, PeerViews
from quantv2x_ros.inference.results import AgentPyramid

STEP = 100_000_000


@pytest.fixture(scope="module")
def bundle(bundle_folder):
    return ModelBundle.load(bundle_folder)


class World:
    """Views of objects at places in the map, from agents that all stand at its origin."""

    def __init__(self, bundle):
        self.bundle = bundle
        self.grid = bundle.grid
        self.background = bundle.background
        self.records = {}

    def peer(self, station, stamp_ns, places):
        record = self.records.setdefault(station, FusedPeer())
        return PeerView(*self.view(station, stamp_ns, places), record)

    def view(self, station, stamp_ns, places):
        y, x = self.grid.cell_centres()
        occupancy = np.full(self.grid.shape, 0.02, np.float32)
        for place in places:
            gap = np.hypot(x[None] - place[0], y[:, None] - place[1])
            occupancy = np.maximum(occupancy, 0.8 * np.exp(-((gap / 2.0) ** 2)))
        scores, levels = [], []
        for number in range(3):
            coarse = occupancy[:: 2**number, :: 2**number].astype(np.float32)
            scores.append(coarse * np.float32(self.bundle.manifest.score_gain))
            levels.append(np.repeat((100 * coarse).astype(np.uint8)[..., None], 4, axis=2))
        indices = np.broadcast_to(
            self.background[:, None, None], (len(self.background), *self.grid.shape)
        ).copy()
        indices[0] = (indices[0] + 1) % 128  # points everywhere
        rows = np.ones(self.grid.shape, bool)
        sweep = AgentSweep(
            station, 0, stamp_ns, f"lidar_{station}", np.eye(4), indices, rows, 100, 0.0
        )
        return sweep, AgentPyramid(tuple(levels), tuple(scores), {})


@pytest.fixture
def world(bundle):
    return World(bundle)


HERE = [(5.0, 5.0), (-8.0, 4.0), (3.0, -9.0), (-6.0, -7.0)]
ELSEWHERE = [(11.0, -3.0), (-2.0, 10.0), (-13.0, -1.0), (9.0, 12.0)]


def run(views, world, ego, peers, frames=4, age=0):
    prepared = None
    for number in range(frames):
        now = 2 * number * STEP
        prepared = views.prepare(
            world.view(1, now, ego),
            [world.peer(station, now - age, places) for station, places in peers.items()],
        )
    return prepared


def kept(prepared):
    return [peer.sweep.station_id for peer in prepared.peers]


def test_an_honest_peer_is_kept_as_it_is(bundle, world):
    prepared = run(PeerViews(bundle, "exclude", True), world, HERE, {2: HERE})
    assert kept(prepared) == [2]
    assert prepared.suspects == {}
    assert prepared.moved == 0


def test_a_liar_is_excluded_and_named_and_the_others_are_kept(bundle, world):
    peers = {2: HERE, 3: ELSEWHERE, 4: HERE}
    prepared = run(PeerViews(bundle, "exclude", False), world, HERE, peers, frames=8)
    assert kept(prepared) == [2, 4]
    assert list(prepared.suspects) == [3]
    assert "contradicts" in prepared.suspects[3]


def test_flagging_alone_keeps_the_liar(bundle, world):
    prepared = run(PeerViews(bundle, "flag", False), world, HERE, {3: ELSEWHERE})
    assert kept(prepared) == [3]
    assert list(prepared.suspects) == [3]


def test_without_the_check_nobody_is_suspected(bundle, world):
    assert run(PeerViews(bundle, "off", False), world, HERE, {3: ELSEWHERE}).suspects == {}


def test_an_excluded_peer_that_agrees_again_is_fused_again(bundle, world):
    views = PeerViews(bundle, "exclude", False)
    assert kept(run(views, world, HERE, {3: ELSEWHERE})) == []
    for number in range(4, 24):
        prepared = views.prepare(
            world.view(1, 2 * number * STEP, HERE), [world.peer(3, 2 * number * STEP, HERE)]
        )
    assert kept(prepared) == [3]


@pytest.mark.parametrize(("age", "moves"), [(0, False), (1, False), (2, True), (4, True)])
def test_objects_of_older_maps_are_moved_on(bundle, world, age, moves):
    views = PeerViews(bundle, "off", True)
    for number in range(8):
        path = [(-10.0 + 0.8 * number, 2.0), (4.0, -8.0)]
        view = world.peer(2, number * STEP, path)
        prepared = views.prepare(world.view(1, (number + age) * STEP, []), [view])
    (pyramid,) = [peer.pyramid for peer in prepared.peers]
    assert prepared.moved == int(moves)
    if not moves:
        assert pyramid is view.pyramid
        return
    y, x = world.grid.cell_centres()
    moving = pyramid.scores[0][:, x < 2.0]
    row, column = np.unravel_index(moving.argmax(), moving.shape)
    np.testing.assert_allclose((x[column], y[row]), (-10.0 + 0.8 * (7 + age), 2.0), atol=1.0)
    assert pyramid.scores[0].max() <= view.pyramid.scores[0].max() + 1e-4


def test_a_peer_that_was_forgotten_starts_without_a_past(bundle, world):
    views = PeerViews(bundle, "flag", True)
    assert run(views, world, HERE, {3: ELSEWHERE}).suspects
    world.records.clear()
    prepared = views.prepare(world.view(1, 10**9, HERE), [world.peer(3, 10**9, HERE)])
    assert prepared.suspects == {}


def test_an_unknown_check_is_refused(bundle):
    with pytest.raises(ValueError, match="off, flag, exclude"):
        PeerViews(bundle, "sometimes", True)
