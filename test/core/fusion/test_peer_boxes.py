# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes of peers: the newest of each, at the ego's time and place, in one list with the fused."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.detection.detection import DetectionConfig, Detections
from quantv2x_ros.core.fusion.late_fusion import carried, late_fusion
from quantv2x_ros.core.fusion.peer_boxes import (
    PeerBoxes,
    PeerObjects,
    ReportedBoxes,
    join_reports,
)
from quantv2x_ros.core.geometry.pose import invert, matrix_from_v2x
from quantv2x_ros.core.peers.peers import PeerLimits, PeerRefusedError
from quantv2x_ros.core.peers.registry import PeerRegistry
from test.core.peers.tables import tables_keyed_by

OWN = 1
#: An id that no table has by chance.
STATION = 3_987_654_321
MS = 1_000_000
NOW = 1_700_000_000_000 * MS
EGO = matrix_from_v2x([5.0, -3.0, 0.0, 0.0, 40.0, 0.0])
PEER = matrix_from_v2x([30.0, 10.0, 0.0, 0.0, -100.0, 0.0])
CONFIG = DetectionConfig(score_threshold=0.2, nms_threshold=0.15)


def boxes_at(*places, score=0.9, label=1):
    """Boxes of cars at places (x, y)."""
    count = len(places)
    boxes = np.array([[x, y, 0.0, 4.5, 1.9, 1.6, 0.3] for x, y in places], np.float32)
    scores = np.broadcast_to(np.float32(score), count).copy()
    labels = np.broadcast_to(np.int32(label), count).copy()
    return Detections(boxes.reshape(-1, 7), scores, labels)


def said(*places, station=7, age=0.0, pose=None, velocity=(0.0, 0.0), score=0.9):
    """What a peer tells of cars at places of its frame, `age` seconds before NOW."""
    velocities = np.tile(np.array(velocity, np.float64), (len(places), 1))
    stamp = NOW - round(age * 1e9)
    pose = np.eye(4) if pose is None else pose
    return PeerObjects(station, stamp, pose, boxes_at(*places, score=score), velocities)


def make(**limits):
    registry = PeerRegistry(OWN, PeerLimits(**{"max_peers": 3, **limits}))
    return PeerBoxes(registry), registry


def places_of(reports):
    """Stations with the places of their boxes, whole metres."""
    return {
        report.station_id: sorted(map(tuple, np.rint(report.detections.boxes[:, :2]).tolist()))
        for report in reports
    }


def heard(*messages, longest=0.5, pose=None, without=()):
    """The reports after messages."""
    known, _ = make()
    for message in messages:
        known.hear(message, 0.0)
    return known.reports(NOW, np.eye(4) if pose is None else pose, longest, without)


def test_the_newest_sweep_of_a_station_counts():
    old, new = said((10, 0), age=0.1), said((20, 0), (30, 0))
    assert places_of(heard(old, new)) == {7: [(20, 0), (30, 0)]}
    (report,) = heard(old, new)
    assert report.stamp_ns == NOW


def test_an_older_sweep_that_comes_late_is_passed_over():
    old, new = said((10, 0), age=0.1), said((20, 0))
    assert places_of(heard(new, old)) == {7: [(20, 0)]}


def test_parts_of_a_sweep_add_up_in_whatever_order_they_come():
    old, first, second = said((10, 0), age=0.1), said((20, 0)), said((30, 0), (40, 0))
    for order in ((first, second), (second, first), (old, first, old, second, old)):
        assert places_of(heard(*order)) == {7: [(20, 0), (30, 0), (40, 0)]}


def test_a_sweep_without_objects_takes_the_place_of_one_with_some():
    (report,) = heard(said((10, 0), age=0.1), said())
    assert len(report.detections) == 0
    assert report.stamp_ns == NOW


def test_each_station_has_its_own_and_they_come_in_order():
    messages = [said((number, 0), station=number) for number in (9, 2, 5)]
    reports = heard(*messages)
    assert [report.station_id for report in reports] == [2, 5, 9]
    assert places_of(reports) == {2: [(2, 0)], 5: [(5, 0)], 9: [(9, 0)]}


def test_scores_and_labels_come_along():
    message = PeerObjects(
        7,
        NOW,
        np.eye(4),
        boxes_at((1, 0), (2, 0), score=[0.8, 0.3], label=[3, 2]),
        np.zeros((2, 2)),
    )
    (report,) = heard(message)
    assert report.detections.scores.tolist() == pytest.approx([0.8, 0.3])
    assert report.detections.labels.tolist() == [3, 2]


def test_nobody_was_heard_before_somebody_speaks():
    known, registry = make()
    assert known.reports(NOW, np.eye(4), 0.5) == []
    registry.admit(7, 0.0)
    assert known.reports(NOW, np.eye(4), 0.5) == [], "a station that sends tiles alone"


@given(
    st.floats(-25.0, 25.0),
    st.floats(-25.0, 25.0),
    st.floats(-0.4, 0.4),
    st.floats(-180.0, 180.0),
    st.floats(-180.0, 180.0),
)
def test_boxes_are_where_they_drive_to_whoever_looks(speed_x, speed_y, age, peer_yaw, ego_yaw):
    peer = matrix_from_v2x([30.0, 10.0, 0.0, 0.0, peer_yaw, 0.0])
    ego = matrix_from_v2x([5.0, -3.0, 0.0, 0.0, ego_yaw, 0.0])
    in_peer = np.array([speed_x, speed_y]) @ peer[:2, :2]
    message = said((10, 4), age=age, pose=peer, velocity=in_peer)
    (report,) = heard(message, pose=ego)
    in_map = peer @ [10, 4, 0, 1] + [age * speed_x, age * speed_y, 0, 0]
    expected = invert(ego) @ in_map
    np.testing.assert_allclose(report.detections.boxes[0, :3], expected[:3], atol=1e-3)


def test_a_box_of_a_turned_peer_moves_along_its_axes():
    peer = matrix_from_v2x([0.0, 0.0, 0.0, 0.0, 90.0, 0.0])
    (report,) = heard(said((10, 0), age=0.2, pose=peer, velocity=(10.0, 0.0)), longest=0.3)
    np.testing.assert_allclose(report.detections.boxes[0, :2], 1.2 * peer[:2, 0] * 10, atol=1e-3)
    turned = report.detections.boxes[0, 6] - 0.3
    assert np.cos(turned) == pytest.approx(peer[0, 0], abs=1e-5)
    assert np.sin(turned) == pytest.approx(peer[1, 0], abs=1e-5)


def test_each_part_is_carried_by_its_own_pose():
    parts = said((10, 0), pose=PEER), said((10, 0), pose=EGO)
    (report,) = heard(*parts)
    for box, pose in zip(report.detections.boxes, (PEER, EGO), strict=True):
        np.testing.assert_allclose(box[:2], (pose @ [10, 0, 0, 1])[:2], atol=1e-3)


@pytest.mark.parametrize("age", [0.0, 0.3, -0.3])
def test_boxes_are_used_up_to_their_age(age):
    assert len(heard(said((10, 0), age=age), longest=0.3)) == 1


def test_a_box_of_unknown_velocity_stays_where_it_was():
    told = said((10.0, 2.0), (50.0, 2.0), age=0.4, velocity=(np.nan, np.nan))
    (report,) = heard(told)
    np.testing.assert_allclose(report.detections.boxes, told.detections.boxes, atol=1e-5)


@pytest.mark.parametrize("age", [0.301, 60.0, -0.301, -60.0])
def test_boxes_too_old_or_of_the_future_are_not_used(age):
    messages = said((10, 0), age=age), said((20, 0), station=8)
    assert places_of(heard(*messages, longest=0.3)) == {8: [(20, 0)]}


def test_stations_that_are_excluded_are_left_out():
    messages = [said((number, 0), station=number) for number in (2, 5, 9)]
    for without in ((2, 9), [2, 9], {2, 9, 77}):
        assert places_of(heard(*messages, without=without)) == {5: [(5, 0)]}


def test_the_reader_changes_nothing():
    known, _ = make()
    message = said((10, 0), age=0.1, velocity=(10.0, 0.0))
    before = message.detections.boxes.copy()
    known.hear(message, 0.0)
    first = known.reports(NOW, EGO, 0.5)
    second = known.reports(NOW, EGO, 0.5)
    np.testing.assert_array_equal(first[0].detections.boxes, second[0].detections.boxes)
    np.testing.assert_array_equal(message.detections.boxes, before)
    later = known.reports(NOW + 100 * MS, np.eye(4), 0.5)
    assert later[0].detections.boxes[0, 0] == pytest.approx(12.0, abs=1e-3)


def test_a_station_that_is_forgotten_takes_its_boxes_along():
    for leave in (
        lambda registry: registry.forget(7),
        lambda registry: registry.reset(),
        lambda registry: registry.expire(registry.limits.forget_after + 0.1),
    ):
        known, registry = make()
        known.hear(said((10, 0)), 0.0)
        assert places_of(known.reports(NOW, np.eye(4), 0.5)) == {7: [(10, 0)]}
        leave(registry)
        assert known.reports(NOW, np.eye(4), 0.5) == []
        known.hear(said((20, 0), age=0.1), 90.0)
        assert places_of(known.reports(NOW, np.eye(4), 0.5)) == {7: [(20, 0)]}, "a newcomer's"


def test_there_is_no_table_of_stations_and_nothing_outlives_the_record():
    known, registry = make()
    message = said((10, 0), station=STATION)
    boxes = weakref.ref(message)
    known.hear(message, 0.0)
    del message
    assert tables_keyed_by(known, STATION, beyond=[registry]) == []
    assert boxes() is not None
    registry.forget(STATION)
    gc.collect()
    assert boxes() is None


def test_a_newer_sweep_lets_go_of_the_older_one():
    known, _ = make()
    message = said((10, 0), age=0.1)
    boxes = weakref.ref(message)
    known.hear(message, 0.0)
    del message
    known.hear(said((20, 0)), 0.1)
    gc.collect()
    assert boxes() is None


def test_stations_without_a_place_are_refused_and_leave_no_boxes():
    known, registry = make()
    for station in (2, 3, 4):
        known.hear(said((station, 0), station=station), 0.0)
    with pytest.raises(PeerRefusedError) as caught:
        known.hear(said((5, 0), station=5), 0.1)
    assert caught.value.reason == "too_many_stations"
    known.hear(said((20, 0), station=2), 0.2)
    expected = {2: [(2, 0), (20, 0)], 3: [(3, 0)], 4: [(4, 0)]}
    assert places_of(known.reports(NOW, np.eye(4), 0.5)) == expected
    registry.forget(3)
    known.hear(said((5, 0), station=5), 0.3)
    assert set(places_of(known.reports(NOW, np.eye(4), 0.5))) == {2, 4, 5}


def test_whoever_is_heard_stays_tracked():
    known, registry = make(forget_after=10.0)
    for now in (0.0, 8.0, 16.0):
        known.hear(said((10, 0)), now)
        registry.expire(now)
    registry.expire(25.0)
    assert 7 in registry
    registry.expire(27.0)
    assert 7 not in registry


@given(st.lists(st.tuples(st.integers(2, 9), st.integers(-4, 4), st.floats(0, 0.5)), max_size=60))
def test_whatever_comes_the_newest_of_few_stations_is_held(events):
    known, registry = make()
    newest, now = {}, 0.0
    registry.on_forgotten = lambda station: newest.pop(station, None)
    for station, tick, pause in events:
        now += pause
        try:
            known.hear(said((tick, 0), station=station, age=0.01 * tick), now)
        except PeerRefusedError:
            continue
        least = min(tick, newest.get(station, [tick])[0])
        if newest.get(station, [None])[0] != least:
            newest[station] = []
        if tick == least:
            newest[station].append(tick)
        assert places_of(known.reports(NOW, np.eye(4), 0.5)) == {
            each: [(tick, 0) for tick in ticks] for each, ticks in newest.items()
        }
        assert len(newest) <= 3


def test_one_thread_hears_while_another_reads():
    known, registry = make()
    failures = []

    def hear():
        try:
            for number in range(300):
                now = NOW + number * MS
                for part in range(3):
                    boxes = boxes_at((number, part))
                    known.hear(PeerObjects(7, now, np.eye(4), boxes, np.zeros((1, 2))), 0.0)
                if number % 50 == 49:
                    registry.forget(7)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=hear)
    thread.start()
    while thread.is_alive():
        for report in known.reports(NOW, np.eye(4), 10.0):
            columns = report.detections.boxes[:, 0]
            assert 1 <= len(columns) <= 3
            assert len(set(columns.tolist())) == 1, "boxes of one sweep alone"
    thread.join()
    assert failures == []


def joined(fused, *lists, config=CONFIG, classes=3):
    """Fused boxes with lists of stations 10, 11 and so on."""
    reports = [ReportedBoxes(10 + place, NOW, boxes) for place, boxes in enumerate(lists)]
    return join_reports(fused, reports, config, classes)


def test_without_reports_the_fused_boxes_stay_as_they_are():
    fused = boxes_at((10, 0), (10.1, 0), (900, 0), (0, 0), score=0.01)
    for lists in ((), (Detections.empty(),), (boxes_at((30, 0), score=0.1),)):
        found = joined(fused, *lists)
        np.testing.assert_array_equal(found.detections.boxes, fused.boxes)
        np.testing.assert_array_equal(found.detections.scores, fused.scores)
        np.testing.assert_array_equal(found.detections.labels, fused.labels)
        assert found.sources.tolist() == [0, 1, 2, 3]
        assert found.reporters.tolist() == [-1, -1, -1, -1]


def test_without_anything_there_is_nothing():
    found = joined(Detections.empty())
    assert len(found.detections) == len(found.sources) == len(found.reporters) == 0


def test_what_a_peer_alone_has_found_is_added():
    found = joined(boxes_at((10, 0), score=0.7), boxes_at((30, 0), score=0.9))
    np.testing.assert_allclose(found.detections.boxes[:, 0], [30, 10])
    assert found.detections.scores.tolist() == pytest.approx([0.9, 0.7])
    assert found.sources.tolist() == [-1, 0]
    assert found.reporters.tolist() == [0, -1]


def test_where_nothing_was_fused_there_are_the_reported_ones():
    found = joined(Detections.empty(), boxes_at((30, 0)), boxes_at((40, 0), score=0.8))
    assert found.sources.tolist() == [-1, -1]
    assert found.reporters.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("fused_score", "sources", "reporters"), [(0.9, [0], [-1]), (0.6, [-1], [0])]
)
def test_what_both_see_is_one_box_of_who_is_surer(fused_score, sources, reporters):
    fused, reported = boxes_at((10, 0), score=fused_score), boxes_at((10.3, 0.1), score=0.7)
    found = joined(fused, reported)
    assert found.detections.scores.tolist() == pytest.approx([max(fused_score, 0.7)])
    assert found.sources.tolist() == sources
    assert found.reporters.tolist() == reporters


def test_what_several_peers_see_is_one_box_of_the_surest():
    lists = [boxes_at((30 + 0.1 * n, 0), score=score) for n, score in enumerate((0.5, 0.8, 0.6))]
    found = joined(boxes_at((10, 0)), *lists)
    assert found.sources.tolist() == [0, -1]
    assert found.reporters.tolist() == [-1, 1]


def test_sources_and_reporters_name_where_each_came_from():
    fused = boxes_at((10, 0), (20, 0), (50, 0), score=[0.95, 0.55, 0.25])
    first = boxes_at((20.1, 0), (60, 0), score=[0.75, 0.35])
    second = boxes_at((70, 0), (10.1, 0), (80, 0), score=[0.85, 0.45, 0.1])
    found = joined(fused, first, Detections.empty(), second)
    np.testing.assert_allclose(found.detections.boxes[:, 0], [10, 70, 20.1, 60, 50], atol=1e-4)
    assert found.sources.tolist() == [0, -1, -1, -1, 2]
    assert found.reporters.tolist() == [-1, 2, 0, 0, -1]


def test_reported_boxes_below_the_threshold_of_their_class_are_left_out():
    config = DetectionConfig(class_thresholds=(0.5, 0.25, 0.75))
    scores = [0.51, 0.49, 0.5, 0.26, 0.24, 0.76, 0.74]
    labels = [1, 1, 1, 2, 2, 3, 3]
    places = [(10 * number, 0) for number in range(1, 8)]
    found = joined(Detections.empty(), boxes_at(*places, score=scores, label=labels), config=config)
    kept = dict(zip(found.detections.labels.tolist(), found.detections.scores, strict=True))
    assert kept == pytest.approx({1: 0.51, 2: 0.26, 3: 0.76})


def test_fused_boxes_are_asked_for_no_threshold_again():
    config = DetectionConfig(class_thresholds=(0.5, 0.25, 0.75))
    found = joined(boxes_at((10, 0), score=0.3), boxes_at((30, 0)), config=config)
    assert sorted(found.sources.tolist()) == [-1, 0]


def test_of_the_reported_boxes_the_best_are_used():
    config = DetectionConfig(max_candidates=3)
    first = boxes_at((10, 0), (20, 0), (30, 0), score=[0.5, 0.9, 0.4])
    second = boxes_at((40, 0), (50, 0), score=[0.7, 0.3])
    fused = boxes_at((60, 0), (70, 0), (80, 0), (90, 0), score=0.25)
    found = joined(fused, first, second, config=config)
    reported = found.detections.boxes[found.reporters >= 0, 0]
    np.testing.assert_allclose(reported, [20, 40, 10])
    assert sorted(found.sources[found.sources >= 0].tolist()) == [0, 1, 2, 3]


def test_what_is_out_of_the_egos_range_is_left_out():
    config = DetectionConfig(range_x=50.0, range_y=20.0, whole_boxes=False)
    reported = boxes_at((49, 19), (51, 0), (0, 21), (-49, -19))
    found = joined(boxes_at((10, 0)), reported, config=config)
    places = sorted(map(tuple, np.rint(found.detections.boxes[:, :2]).tolist()))
    assert places == [(-49, -19), (10, 0), (49, 19)]


@pytest.mark.parametrize(("drop_ego", "left"), [(True, 1), (False, 2)])
def test_the_egos_own_body_is_dropped_where_it_is_told_to(drop_ego, left):
    config = DetectionConfig(drop_ego=drop_ego)
    body = boxes_at((0.3, 0), (30, 0))
    body.boxes[:, 2] = -1.0
    found = joined(Detections.empty(), body, config=config)
    assert len(found.detections) == len(found.sources) == len(found.reporters) == left
    assert found.detections.boxes[-1, 0] == pytest.approx(30)


def test_the_body_of_the_ego_is_dropped_though_peers_see_it_from_elsewhere():
    known, _ = make()
    in_peer = invert(PEER) @ EGO @ [0.2, 0.0, 0.0, 1.0]
    message = said(tuple(in_peer[:2]), (8, 3), pose=PEER)
    message.detections.boxes[:, 2] = -1.0
    known.hear(message, 0.0)
    reports = known.reports(NOW, EGO, 0.5)
    assert len(reports[0].detections) == 2
    found = join_reports(boxes_at((40, 0)), reports, DetectionConfig(drop_ego=True), 3)
    expected = invert(EGO) @ PEER @ [8, 3, 0, 1]
    reported = found.detections.boxes[found.reporters == 0]
    np.testing.assert_allclose(reported[:, :2], [expected[:2]], atol=1e-3)


def test_classes_that_do_not_compete_do_not_suppress_each_other():
    config = DetectionConfig(class_aware=True, competing=((1, 3),))
    fused = boxes_at((10, 0), label=1)
    assert len(joined(fused, boxes_at((10, 0), score=0.7, label=2), config=config).sources) == 2
    assert len(joined(fused, boxes_at((10, 0), score=0.7, label=3), config=config).sources) == 1


def test_a_peers_box_draws_that_of_the_ego_where_boxes_vote():
    config = DetectionConfig(vote_threshold=0.3)
    found = joined(boxes_at((10, 0)), boxes_at((10.4, 0), score=0.89), config=config)
    assert found.sources.tolist() == [0]
    assert 10.05 < found.detections.boxes[0, 0] < 10.35


@st.composite
def lists(draw):
    """Boxes on a coarse grid, so that many are doubles."""
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(-30, 30),
                st.integers(-12, 12),
                st.floats(0, 1, width=32),
                st.integers(1, 3),
            ),
            max_size=12,
        )
    )
    places = [(4 * x, 4 * y) for x, y, _, _ in rows]
    scores, labels = [row[2] for row in rows], [row[3] for row in rows]
    return boxes_at(*places, score=scores, label=labels) if rows else Detections.empty()


@given(lists(), st.lists(lists(), max_size=3), st.booleans(), st.integers(1, 8))
def test_every_box_is_of_one_who_gave_it(fused, reported, class_aware, most):
    config = DetectionConfig(class_aware=class_aware, max_candidates=most)
    found = joined(fused, *reported, config=config)
    assert len(found.detections) == len(found.sources) == len(found.reporters)
    assert found.sources.dtype.kind == found.reporters.dtype.kind == "i"
    assert ((found.sources >= 0) != (found.reporters >= 0)).all()
    assert (found.reporters >= 0).sum() <= most
    rows = np.column_stack([found.detections.boxes, found.detections.scores])
    for row, source, reporter in zip(rows, found.sources, found.reporters, strict=True):
        giver = fused if source >= 0 else reported[reporter]
        given_rows = np.column_stack([giver.boxes, giver.scores])
        if source >= 0:
            np.testing.assert_array_equal(row, given_rows[source])
        else:
            assert (given_rows == row).all(axis=1).any()
            assert row[7] > 0.2
    used = found.sources[found.sources >= 0].tolist()
    assert len(set(used)) == len(used)
    if (found.reporters >= 0).any():
        assert (np.diff(found.detections.scores) <= 0).all()


def test_late_fusion_tells_which_box_each_was():
    config = DetectionConfig(nms_threshold=0.15, drop_ego=True, whole_boxes=False)
    views = [
        boxes_at((0.1, 0), (10, 0), (200, 0), score=[0.99, 0.5, 0.98]),
        boxes_at((20, 0), (10.1, 0), score=[0.6, 0.7]),
    ]
    found, rows = late_fusion(views, config)
    assert rows.tolist() == [4, 3]
    np.testing.assert_allclose(found.boxes[:, 0], [10.1, 20], atol=1e-5)
    nothing, none = late_fusion([Detections.empty(), Detections.empty()], config)
    assert len(nothing) == len(none) == 0


def test_reports_are_what_carrying_each_box_gives():
    message = said((10, 4), (-20, 7), age=0.2, pose=PEER, velocity=(3.0, -4.0))
    (report,) = heard(message, pose=EGO)
    expected = carried(message.detections, message.velocities, PEER, invert(EGO), 0.2)
    np.testing.assert_array_equal(report.detections.boxes, expected.boxes)
