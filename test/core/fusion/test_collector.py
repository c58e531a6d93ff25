# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which sweeps are fused together, and when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.fusion.collector import MAX_STATIONS, SweepCollector
from quantv2x_ros.core.fusion.fusion_steps import ComputePyramid, Fuse, SweepRefusedError, Wait
from quantv2x_ros.core.peers.peers import Standing
from quantv2x_ros.core.transport.sweep import AgentSweep

MS = 1_000_000


def sweep(station, stamp_ms, x=0.0):
    pose = np.eye(4)
    pose[0, 3] = x
    return AgentSweep(
        station_id=station,
        sequence=0,
        stamp_ns=stamp_ms * MS,
        frame_id=f"station_{station}",
        pose=pose,
        indices=np.zeros((1, 2, 3), np.uint8),
        received=np.ones((2, 3), bool),
        payload_bytes=6,
        arrived=0.0,
    )


def make(**changes):
    settings = {"own_station": 1, "max_agents": 4, "peer_timeout": 0.3, "peer_wait": 0.03}
    return SweepCollector(**{**settings, **changes})


def run(collector, now):
    """Do every step until the collector waits or fuses."""
    while isinstance(step := collector.next_step(now), ComputePyramid):
        assert step.held.pyramid is None
        step.held.pyramid = f"pyramid of {step.held.sweep.station_id}"
    return step


def fused(step):
    """Return station and stamp [ms] of everything that a step fuses."""
    assert isinstance(step, Fuse)
    assert all(held.pyramid is not None for held in (step.ego, *step.peers))
    return [(h.sweep.station_id, h.sweep.stamp_ns // MS) for h in (step.ego, *step.peers)]


def test_no_pyramid_is_asked_for_twice_and_fusion_waits_for_all():
    collector = make()
    collector.offer_peer(sweep(2, 0))
    collector.offer_ego(sweep(1, 0), 0.0)
    ego, peer = collector.next_step(0.0), collector.next_step(0.0)
    assert isinstance(ego, ComputePyramid)
    assert isinstance(peer, ComputePyramid)
    assert {ego.held.sweep.station_id, peer.held.sweep.station_id} == {1, 2}
    assert collector.next_step(0.0) == Wait(None), "both are being computed"
    ego.held.pyramid = "ego's"
    assert collector.next_step(0.0) == Wait(None), "the peer's still is"
    peer.held.pyramid = "peer's"
    assert collector.next_step(0.0, may_fuse=False) == Wait(None), "another thread fuses"
    assert isinstance(collector.next_step(0.0), Fuse)


def test_ego_alone_is_fused_at_once():
    collector = make()
    collector.offer_ego(sweep(1, 100), 0.0)
    assert fused(run(collector, 0.0)) == [(1, 100)]
    assert run(collector, 0.0) == Wait(None)


def test_peers_of_the_same_stamp_are_fused_nearest_first():
    collector = make()
    collector.offer_peer(sweep(2, 100, x=50))
    collector.offer_peer(sweep(3, 100, x=-20))
    collector.offer_ego(sweep(1, 100), 0.0)
    assert fused(run(collector, 0.0)) == [(1, 100), (3, 100), (2, 100)]


def test_fusion_waits_for_a_peer_that_is_due_and_takes_it():
    collector = make()
    for stamp in (100, 200):
        collector.offer_peer(sweep(2, stamp))
        collector.offer_ego(sweep(1, stamp), stamp / 1000)
        assert fused(run(collector, stamp / 1000)) == [(1, stamp), (2, stamp)]
    collector.offer_ego(sweep(1, 300), 0.3)
    step = run(collector, 0.31)
    assert isinstance(step, Wait)
    assert step.seconds == pytest.approx(0.02)
    collector.offer_peer(sweep(2, 300))
    assert fused(run(collector, 0.315)) == [(1, 300), (2, 300)]


def test_a_peer_that_has_announced_itself_is_waited_for_once():
    collector = make()
    collector.expect(2)
    collector.offer_ego(sweep(1, 100), 0.0)
    assert isinstance(run(collector, 0.01), Wait)
    collector.offer_peer(sweep(2, 100))
    assert fused(run(collector, 0.02)) == [(1, 100), (2, 100)]
    collector.expect(3)
    collector.offer_peer(sweep(2, 200))
    collector.offer_ego(sweep(1, 200), 0.1)
    assert isinstance(run(collector, 0.12), Wait)
    assert fused(run(collector, 0.14)) == [(1, 200), (2, 200)], "it never came"
    collector.offer_peer(sweep(2, 300))
    collector.offer_ego(sweep(1, 300), 0.2)
    assert fused(run(collector, 0.2)) == [(1, 300), (2, 300)], "and is not waited for again"


def test_at_the_deadline_the_older_sweep_is_fused():
    collector = make()
    for stamp in (100, 200):
        collector.offer_peer(sweep(2, stamp))
        collector.offer_ego(sweep(1, stamp), 0.0)
        run(collector, 0.0)
    collector.offer_ego(sweep(1, 300), 0.3)
    assert isinstance(run(collector, 0.3), Wait)
    assert fused(run(collector, 0.331)) == [(1, 300), (2, 200)]


def test_the_sweep_closest_in_time_is_chosen():
    collector = make()
    for stamp in (60, 110, 160):
        collector.offer_peer(sweep(2, stamp))
    collector.offer_ego(sweep(1, 100), 0.0)
    assert fused(run(collector, 0.0)) == [(1, 100), (2, 110)]


def test_a_silent_peer_is_forgotten_and_named_with_its_age():
    collector = make()
    collector.offer_peer(sweep(2, 100))
    collector.offer_ego(sweep(1, 100), 0.0)
    run(collector, 0.0)
    collector.offer_ego(sweep(1, 500), 0.0)
    step = run(collector, 1.0)
    assert fused(step) == [(1, 500)]
    assert step.expired == ((2, 0.4),)
    collector.offer_ego(sweep(1, 600), 0.0)
    assert run(collector, 1.1).expired == ()


def test_age_of_exactly_the_timeout_counts():
    collector = make()
    collector.offer_peer(sweep(2, 100))
    collector.offer_ego(sweep(1, 400), 0.0)
    assert fused(run(collector, 1.0)) == [(1, 400), (2, 100)]


def test_a_late_sweep_is_refused_with_both_values():
    collector = make()
    collector.offer_ego(sweep(1, 1000), 0.0)
    with pytest.raises(SweepRefusedError, match=r"0\.400 s old, allowed are 0\.300 s") as error:
        collector.offer_peer(sweep(2, 600))
    assert error.value.reason == "late"


def test_a_second_sweep_of_the_same_time_is_refused():
    collector = make()
    collector.offer_peer(sweep(2, 100))
    with pytest.raises(SweepRefusedError) as error:
        collector.offer_peer(sweep(2, 100))
    assert error.value.reason == "duplicate"


def test_max_agents_keeps_the_nearest_and_names_the_others():
    collector = make(max_agents=2)
    collector.offer_peer(sweep(2, 100, x=50))
    collector.offer_peer(sweep(3, 100, x=20))
    collector.offer_ego(sweep(1, 100), 0.0)
    step = run(collector, 0.0)
    assert fused(step) == [(1, 100), (3, 100)]
    assert step.over_limit == (2,)


def test_one_agent_never_computes_a_peers_pyramid():
    collector = make(max_agents=1)
    collector.offer_ego(sweep(1, 100), 0.0)
    run(collector, 0.0)
    collector.offer_peer(sweep(2, 200))
    assert collector.next_step(0.0) == Wait(None)


def test_a_peers_pyramid_is_computed_before_the_egos_sweep_arrives():
    collector = make()
    assert collector.next_step(0.0) == Wait(None)
    collector.offer_ego(sweep(1, 100), 5.0)
    run(collector, 5.0)
    collector.offer_peer(sweep(2, 200))
    assert isinstance(collector.next_step(5.1), ComputePyramid)
    assert collector.next_step(7.0) == Wait(None), "without an ego there is nothing to prepare for"


def test_a_newer_ego_sweep_supersedes_one_that_waits():
    collector = make()
    collector.offer_ego(sweep(1, 100), 0.0)
    collector.offer_ego(sweep(1, 200), 0.0)
    assert collector.superseded == 1
    assert fused(run(collector, 0.0)) == [(1, 200)]


def test_a_sweep_that_is_worked_on_is_finished_before_the_newest_one():
    collector = make()
    collector.offer_peer(sweep(2, 100))
    collector.offer_ego(sweep(1, 100), 0.0)
    step = collector.next_step(0.0)
    for stamp in (200, 300):
        collector.offer_ego(sweep(1, stamp), 0.0)
    assert isinstance(step, ComputePyramid)
    step.held.pyramid = "pyramid"
    assert fused(run(collector, 0.0)) == [(1, 100), (2, 100)]
    assert fused(run(collector, 0.1)) == [(1, 300), (2, 100)]
    assert collector.superseded == 1


def test_late_is_what_is_too_old_for_the_sweep_that_is_worked_on():
    collector = make()
    collector.offer_ego(sweep(1, 1000), 0.0)
    step = collector.next_step(0.0)
    collector.offer_ego(sweep(1, 1500), 0.5)
    collector.offer_peer(sweep(2, 1000))
    assert isinstance(step, ComputePyramid)
    step.held.pyramid = "pyramid"
    assert fused(run(collector, 0.6)) == [(1, 1000), (2, 1000)]
    with pytest.raises(SweepRefusedError):
        collector.offer_peer(sweep(2, 1100))


def test_a_slow_ego_finds_its_peers_sweeps_of_the_same_time():
    collector = make()
    collector.offer_ego(sweep(1, 1000), 0.0)
    first = collector.next_step(0.0)
    for stamp in (1000, 1100, 1200, 1300, 1400):
        collector.offer_peer(sweep(2, stamp))
        collector.offer_ego(sweep(1, stamp + 100), 0.0)
    first.held.pyramid = "pyramid"
    assert fused(run(collector, 0.6)) == [(1, 1000), (2, 1000)]
    assert fused(run(collector, 0.9)) == [(1, 1500), (2, 1400)]


def test_a_jump_back_in_time_forgets_everything():
    collector = make()
    collector.offer_peer(sweep(2, 5000))
    assert collector.offer_ego(sweep(1, 5000), 0.0) is False
    assert collector.offer_ego(sweep(1, 100), 0.0) is True
    assert fused(run(collector, 0.0)) == [(1, 100)]
    collector.offer_peer(sweep(2, 200))
    collector.offer_ego(sweep(1, 200), 0.0)
    assert fused(run(collector, 0.1)) == [(1, 200), (2, 200)]


def test_an_ego_sweep_slightly_out_of_order_is_refused():
    collector = make()
    collector.offer_ego(sweep(1, 200), 0.0)
    with pytest.raises(SweepRefusedError) as error:
        collector.offer_ego(sweep(1, 100), 0.0)
    assert error.value.reason == "out_of_order"
    with pytest.raises(SweepRefusedError) as error:
        collector.offer_ego(sweep(1, 200), 0.0)
    assert error.value.reason == "duplicate"


def test_a_peer_whose_clock_jumps_back_is_heard_again():
    collector = make()
    for stamp in (10_000, 10_100, 10_200):
        collector.offer_peer(sweep(2, stamp))
    collector.offer_ego(sweep(1, 100), 0.0)
    run(collector, 0.0)
    collector.offer_peer(sweep(2, 200))
    collector.offer_ego(sweep(1, 200), 0.0)
    assert fused(run(collector, 0.1)) == [(1, 200), (2, 200)]


def test_stations_are_bounded():
    collector = make()
    for station in range(2, MAX_STATIONS + 2):
        collector.offer_peer(sweep(station, 100))
    with pytest.raises(SweepRefusedError) as error:
        collector.offer_peer(sweep(MAX_STATIONS + 2, 100))
    assert error.value.reason == "too_many_stations"


@pytest.mark.parametrize("change", [{"max_agents": 0}, {"peer_timeout": 0.0}, {"peer_wait": -1.0}])
def test_settings_are_validated(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        make(**change)


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 12), st.floats(-90, 90)), max_size=60),
    st.integers(1, 4),
)
def test_whatever_arrives_fusions_are_bounded_fresh_and_have_every_station_once(events, agents):
    collector = make(max_agents=agents)
    for number, (station, tick, x) in enumerate(events):
        now = number / 100
        try:
            if station == 1:
                collector.offer_ego(sweep(1, tick * 50, x=x), now)
            else:
                collector.offer_peer(sweep(station, tick * 50, x=x))
        except SweepRefusedError:
            pass
        step = run(collector, now)
        if isinstance(step, Fuse):
            stations = [station for station, _ in fused(step)]
            assert stations[0] == 1
            assert len(set(stations)) == len(stations) <= agents
            for held in step.peers:
                assert abs(held.sweep.stamp_ns - step.ego.sweep.stamp_ns) <= 300 * MS


def test_nothing_is_prepared_while_the_egos_next_sweep_is_encoded():
    collector = make()
    collector.offer_ego(sweep(1, 0), 0.0)
    assert fused(run(collector, 0.04)) == [(1, 0)]
    collector.offer_peer(sweep(2, 100))
    assert collector.next_step(0.1, may_prepare=False) == Wait(None)
    collector.offer_ego(sweep(1, 100), 0.13)
    step = collector.next_step(0.13, may_prepare=False)
    assert isinstance(step, ComputePyramid), "what the ego waits for is not prepared but due"
    assert step.held.sweep.station_id == 1


def test_peers_are_prepared_while_nothing_is_encoded():
    collector = make()
    collector.offer_ego(sweep(1, 0), 0.0)
    run(collector, 0.04)
    collector.offer_peer(sweep(2, 100))
    step = collector.next_step(0.1)
    assert isinstance(step, ComputePyramid)
    assert step.held.sweep.station_id == 2


class Unsigned:
    """Everyone works, nobody signs."""

    def standing_of(self, station, now):
        return Standing.WORKING

    def works_since(self, station):
        return 0.0

    def waits_since(self, station):
        return 0.0


@pytest.mark.parametrize(("step_ms", "agents"), [(100, 7), (400, 3)])
def test_an_ego_that_leaves_sweeps_out_fuses_fewer_unsigned_peers(step_ms, agents):
    collector = make(max_agents=8)
    collector.places.standings = Unsigned()
    counts = []
    for stamp in range(0, 20 * step_ms, step_ms):
        for station in range(2, 8):
            collector.offer_peer(sweep(station, stamp))
        own = replace(sweep(1, stamp), period_ns=100 * MS)  # of a sensor with 10 Hz
        collector.offer_ego(own, 0.0)
        counts.append(len(fused(run(collector, 1.0))))
    assert counts[0] == 7
    assert sorted(counts[-12:])[5] == agents


def test_a_forgotten_peer_takes_no_place():
    collector = make()
    collector.offer_peer(sweep(2, 100))
    collector.forget(2)
    collector.offer_ego(sweep(1, 100), 0.0)
    assert fused(run(collector, 1.0)) == [(1, 100)]
