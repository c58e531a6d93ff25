# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects keep their ids, and their motion is told with how sure it is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.boxes import transform_boxes
from quantv2x_ros.core.geometry.pose import invert, matrix_from_v2x
from quantv2x_ros.core.tracking.object_tracker import ObjectTracker, TrackerError, TrackerSettings

HERE = np.eye(4)
PERIOD = 0.1


def seen(
    places: npt.ArrayLike,
    labels: npt.ArrayLike = (),
    scores: npt.ArrayLike = (),
    yaw: float = 0.0,
) -> Detections:
    """Cars at some places of the map."""
    at = np.asarray(places, np.float32).reshape(-1, 2)
    boxes = np.zeros((len(at), 7), np.float32)
    boxes[:, :2], boxes[:, 3:6], boxes[:, 6] = at, (4.5, 1.9, 1.6), yaw
    kinds = np.asarray(labels if np.size(labels) else np.ones(len(at)), np.int32)
    sure = np.asarray(scores if np.size(scores) else np.full(len(at), 0.8), np.float32)
    return Detections(boxes, sure, kinds)


@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.floats(-15, 15), st.floats(-15, 15)), min_size=6, max_size=6),
    st.integers(0, 2**32 - 1),
)
@settings(deadline=None)
def test_objects_that_move_steadily_keep_their_ids(count, speeds, seed):
    """Lanes of 12 m, any order of the detections, noise of a tenth of a metre."""
    tracker, generator = ObjectTracker(), np.random.default_rng(seed)
    velocities = np.array(speeds[:count])
    velocities[:, 1] = np.clip(velocities[:, 1], -1, 1)
    ids: dict[int, int] = {}
    for frame in range(15):
        places = np.stack([np.zeros(count), 12.0 * np.arange(count)], axis=1)
        places = places + velocities * PERIOD * frame
        places += generator.normal(0.0, 0.1, places.shape)
        order = generator.permutation(count)
        told = tracker.update(seen(places[order]), HERE, PERIOD * frame)
        for row, which in enumerate(order):
            assert ids.setdefault(int(which), int(told.ids[row])) == told.ids[row]
    assert sorted(ids.values()) == list(range(1, count + 1))
    found = told.velocities[np.argsort(order)]
    np.testing.assert_allclose(found, velocities, atol=2.5)


def test_the_velocitys_covariance_covers_its_error():
    """Of many objects whose places are measured as badly as assumed, few are beyond the gate."""
    generator = np.random.default_rng(3)
    places = np.stack(np.meshgrid(np.arange(12) * 40.0, np.arange(12) * 40.0), -1).reshape(-1, 2)
    velocities = generator.normal(0, 8, places.shape)
    tracker = ObjectTracker(TrackerSettings(accelerations=(0.01, 1.0, 1.0)))
    for frame in range(8):
        at = places + velocities * PERIOD * frame + generator.normal(0, 0.3, places.shape)
        told = tracker.update(seen(at), HERE, PERIOD * frame)
    error = told.velocities - velocities
    distance = np.einsum("ni,nij,nj->n", error, np.linalg.inv(told.covariances[:, 2:, 2:]), error)
    assert 1.6 < distance.mean() < 2.4, "two dimensions"


@given(st.lists(st.floats(-200, 200), min_size=3, max_size=3), st.floats(-180, 180))
@settings(deadline=None)
def test_the_frame_that_boxes_are_in_does_not_matter(place, yaw):
    """What moves in the map is the same, wherever the ego is and whatever way it faces."""
    still, moving = ObjectTracker(), ObjectTracker()
    for frame in range(6):
        at = seen([[2.0 * frame, 5.0], [30.0, -1.0 * frame]])
        told = still.update(at, HERE, PERIOD * frame)
        pose = matrix_from_v2x([place[0] + 3.0 * frame, *place[1:], 0.0, yaw + frame, 0.0])
        own = Detections(transform_boxes(at.boxes, invert(pose)), at.scores, at.labels)
        other = moving.update(own, pose, PERIOD * frame)
    np.testing.assert_array_equal(told.ids, other.ids)
    np.testing.assert_allclose(other.velocities @ pose[:2, :2].T, told.velocities, atol=0.05)
    for index in range(2):
        turn = np.kron(np.eye(2), pose[:2, :2])
        np.testing.assert_allclose(
            turn @ other.covariances[index] @ turn.T, told.covariances[index], atol=1e-6
        )


def test_an_object_that_is_not_detected_for_a_while_keeps_its_id_and_later_does_not():
    tracker = ObjectTracker(TrackerSettings(coast=0.5))
    ids = {}
    for frame in range(16):
        there = frame in (0, 1, 2, 7, 14)
        at = [[1.0 * frame, 0.0]] if there else []
        told = tracker.update(seen(at), HERE, PERIOD * frame)
        ids[frame] = told.ids.tolist()
    assert ids[0] == ids[1] == ids[2] == ids[7]
    assert ids[14] != ids[7], "0.7 s later"
    assert ids[15] == []


def test_a_pedestrian_never_takes_a_cars_id_but_a_truck_may():
    tracker = ObjectTracker()
    first = tracker.update(seen([[0.0, 0.0], [30.0, 0.0]], [1, 1]), HERE, 0.0).ids
    second = tracker.update(seen([[0.0, 0.0], [30.0, 0.0]], [2, 3]), HERE, 0.1).ids
    assert second[0] not in first
    assert second[1] == first[1]


@given(st.lists(st.lists(st.floats(0.05, 0.99), max_size=4), min_size=1, max_size=12))
@settings(deadline=None)
def test_existence_is_a_probability_and_grows_with_detections(scores):
    tracker = ObjectTracker()
    for frame, sure in enumerate(scores):
        places = [[20.0 * number, 0.0] for number in range(len(sure))]
        told = tracker.update(seen(places, scores=sure), HERE, PERIOD * frame)
        assert (told.existence > 0).all()
        assert (told.existence < 1).all()
        eigenvalues = np.linalg.eigvalsh(told.covariances) if len(sure) else np.ones(1)
        assert eigenvalues.min() > 0


def test_what_is_seen_again_and_again_is_surer_than_its_score():
    tracker = ObjectTracker()
    sure = [
        float(tracker.update(seen([[0, 0]], scores=[0.7]), HERE, PERIOD * n).existence[0])
        for n in range(5)
    ]
    assert sure[0] == pytest.approx(0.7)
    assert sure == sorted(sure)
    assert sure[-1] > 0.97


def test_a_front_is_told_by_motion_along_the_heading_alone():
    facing = []
    for yaw, speed in ((0.0, 5.0), (np.pi, 5.0), (0.0, 0.5)):
        tracker = ObjectTracker()
        for frame in range(10):
            at = seen([[speed * PERIOD * frame, 0.0]], yaw=yaw)
            told = tracker.update(at, HERE, PERIOD * frame)
        facing.append(bool(told.facing[0]))
    assert facing == [True, False, False]


def test_ids_are_not_given_again_after_a_reset():
    tracker = ObjectTracker()
    first = tracker.update(seen([[0, 0]]), HERE, 5.0).ids[0]
    tracker.reset()
    assert tracker.update(seen([[0, 0]]), HERE, 1.0).ids[0] != first


@pytest.mark.parametrize("seconds", [1.0, 0.5])
def test_a_frame_that_is_not_later_is_refused(seconds):
    tracker = ObjectTracker()
    tracker.update(seen([[0, 0]]), HERE, 1.0)
    with pytest.raises(TrackerError, match="does not come after"):
        tracker.update(seen([[0, 0]]), HERE, seconds)


@pytest.mark.parametrize(
    "values",
    [{"speeds": (0.0,)}, {"deviations": ()}, {"coast": -1.0}, {"accelerations": (np.nan,)}],
)
def test_settings_are_validated(values):
    with pytest.raises(TrackerError, match=next(iter(values))):
        TrackerSettings(**values)


def test_a_velocity_is_known_some_frames_after_the_first() -> None:
    tracker = ObjectTracker()
    known = []
    for number in range(8):
        tracked = tracker.update(seen([(10.0 + number, 0.0)]), HERE, PERIOD * number)
        known.append(bool(np.isfinite(tracked.known_velocities).all()))
    assert known == sorted(known)
    assert not any(known[:2])
    assert known[-1]
    np.testing.assert_allclose(tracked.known_velocities, tracked.velocities)
    np.testing.assert_allclose(tracked.known_velocities, [[10.0, 0.0]], atol=1.0)
