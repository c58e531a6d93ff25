# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation and crops keep the agents of a frame consistent with each other."""

import numpy as np
import pytest

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.geometry.boxes import points_in_boxes
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import matrix_from_v2x, transform_between, transform_points
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.data.simulator import write_scenario
from quantv2x_ros.evaluation.agent_grids import RoadsideGrids
from quantv2x_ros.training.cooperative_frame import AgentView, CooperativeFrame
from quantv2x_ros.training.loader import collate
from quantv2x_ros.training.samples import (
    SampleConfig,
    SampleError,
    SampleMaker,
    augmented,
    clutter_places,
    cooperative_frame,
    crop_grid,
)

GRID = BevGrid((-140.8, -40.0, -5.0, 140.8, 40.0, 1.0), (0.4, 0.4, 6.0))


def two_agents(rng: np.random.Generator) -> CooperativeFrame:
    """One box full of points, seen by an ego and by a peer that stands elsewhere, turned."""
    box = np.array([[12.0, 3.0, -0.9, 4.4, 1.8, 1.5, 0.4]], dtype=np.float32)
    local = rng.uniform(-0.45, 0.45, (200, 3)) * box[0, 3:6]
    turn = matrix_from_v2x([12.0, 3.0, -0.9, 0.0, np.degrees(0.4), 0.0])
    in_ego = transform_points(local, turn)
    ego, peer = np.eye(4), matrix_from_v2x([30.0, -6.0, 0.0, 0.0, 120.0, 0.0])
    ego_to_peer = transform_between(ego, peer)
    in_peer = transform_points(in_ego, ego_to_peer)
    peer_box = box.copy()
    peer_box[:, :3] = transform_points(box, ego_to_peer)
    peer_box[:, 6] -= np.radians(120.0)

    def cloud(points):
        return np.column_stack([points, np.zeros(len(points))]).astype(np.float32)

    views = (
        AgentView(cloud(in_ego), box, np.eye(4)),
        AgentView(cloud(in_peer), peer_box, ego_to_peer),
    )
    return CooperativeFrame(views, box, np.array([1]))


@pytest.mark.parametrize("seed", range(12))
def test_points_stay_in_their_boxes_and_agents_agree_after_augmentation(seed):
    rng = np.random.default_rng(seed)
    frame = augmented(two_agents(rng), SampleConfig(GRID), rng)
    for view in frame.agents:
        assert points_in_boxes(view.points[:, :3], view.boxes)[0] == len(view.points)
        to_ego = np.linalg.inv(view.ego_to_agent)
        in_ego = transform_points(view.points, to_ego).astype(np.float32)
        assert points_in_boxes(in_ego, frame.boxes)[0] == len(view.points)


@pytest.mark.parametrize("x", [-200.0, -47.3, 0.0, 300.0])
@pytest.mark.parametrize("y", [-90.0, 0.0, 7.7, 60.0])
def test_crops_lie_on_the_grid_and_within_it(x, y):
    low_x, low_y, _, high_x, high_y, _ = crop_grid(GRID, (57.6, 51.2), (x, y)).lidar_range
    assert -140.8 - 1e-6 <= low_x < high_x <= 140.8 + 1e-6
    assert -40.0 - 1e-6 <= low_y < high_y <= 40.0 + 1e-6
    assert (high_x - low_x, high_y - low_y) == pytest.approx((57.6, 51.2))
    assert (low_x + 140.8) / 3.2 == pytest.approx(round((low_x + 140.8) / 3.2))
    assert (low_y + 40.0) / 3.2 == pytest.approx(round((low_y + 40.0) / 3.2))


def test_every_agent_crop_looks_at_the_same_piece_of_the_world():
    rng = np.random.default_rng(3)
    frame = two_agents(rng)
    maker = SampleMaker(SampleConfig(GRID, jitter=(0.0, 0.0)), AnchorSet.v2x_real())
    sample = maker(frame, rng)
    assert sample.pillars.agents == 2
    assert sample.pillars.shape == (128, 144)
    assert (sample.targets.occupancy.sum((1, 2, 3)) > 0).all()
    assert len(sample.targets.positives) > 0


def test_collating_frames_keeps_every_pillar_and_positive_of_each():
    rng = np.random.default_rng(4)
    frame = two_agents(rng)
    maker = SampleMaker(SampleConfig(GRID), AnchorSet.v2x_real())
    samples = [maker(frame), maker(frame)]
    joined, agents = collate(samples)
    assert agents == [2, 2]
    area = 200 * 704
    assert joined.pillars.cells.max() < 4 * area
    assert len(joined.pillars.cells) == 2 * len(samples[0].pillars.cells)
    half = len(joined.targets.positives) // 2
    anchors = samples[0].targets.labels.shape[1]
    first, second = joined.targets.positives[:half], joined.targets.positives[half:]
    assert (second - first == anchors).all()
    assert (joined.targets.labels.reshape(-1)[joined.targets.positives] == 1).all()


def test_balanced_crops_go_to_rare_classes_as_often_as_to_common_ones():
    rng = np.random.default_rng(5)
    boxes = np.zeros((20, 7), np.float32)
    boxes[:, 3:6] = (4.4, 1.8, 1.5)
    boxes[-1, 0] = 100.0
    labels = np.array([1] * 19 + [3])
    frame = CooperativeFrame(
        (AgentView(np.zeros((1, 4), np.float32), boxes, np.eye(4)),), boxes, labels
    )

    def share(balance):
        config = SampleConfig(GRID, jitter=(0.0, 0.0), balance=balance)
        maker = SampleMaker(config, AnchorSet.v2x_real())
        return np.mean([maker._centre(frame, rng)[0] > 50.0 for _ in range(400)])

    assert share(0.0) < 0.15
    assert share(1.0) == pytest.approx(0.5, abs=0.1)


def test_keeping_the_side_of_the_road_turns_the_world_by_half_a_turn_only():
    config = SampleConfig(
        GRID, keep_side=True, rotation=0.0, scaling=(1.0, 1.0), drop_points=0.0, flip=(0.5, 0.5)
    )
    start = two_agents(np.random.default_rng(0))
    seen = set()
    for seed in range(16):
        box = augmented(start, config, np.random.default_rng(seed)).boxes[0]
        turned_back = box[0] < 0
        seen.add(bool(turned_back))
        expected = 0.4 + np.pi * turned_back
        assert np.cos(box[6] - expected) == pytest.approx(1.0, abs=1e-5)
        assert box[1] * box[0] == pytest.approx(36.0, rel=1e-5)
    assert seen == {False, True}


@pytest.mark.parametrize("seed", range(3))
def test_five_real_agents_agree_on_their_vehicles_after_augmentation(shared_dir, seed):
    """What all agents see of a vehicle stays in its box, whichever way the world is changed."""
    source = Scenario.open(shared_dir / "data" / "opv2v_format_5agents").frame("000000")
    frame = CooperativeFrame.from_frame(source, list(source.agents))

    def points_seen(frame):
        """(G,) points of all agents in each box of the truth, a little larger than labelled."""
        boxes = frame.boxes.copy()
        boxes[:, 3:6] *= 1.1
        counts = np.zeros(len(boxes), np.int64)
        for view in frame.agents:
            cloud = transform_points(view.points, np.linalg.inv(view.ego_to_agent))
            counts += points_in_boxes(cloud.astype(np.float32), boxes)
        return counts

    before = points_seen(frame)
    assert (before > 50).sum() >= 15
    rng = np.random.default_rng(seed)
    after = points_seen(augmented(frame, SampleConfig(GRID, drop_points=0.0), rng))
    np.testing.assert_allclose(after, before, rtol=0.01, atol=3)


def seen_and_hidden() -> CooperativeFrame:
    """Two boxes 60 m apart: the ego's points lie in the first, its peer's in the second."""
    boxes = np.array(
        [[10.0, 5.0, -0.9, 4.4, 1.8, 1.5, 0.0], [70.0, 5.0, -0.9, 4.4, 1.8, 1.5, 0.0]], np.float32
    )
    clouds = []
    for box in boxes:
        cloud = np.zeros((50, 4), np.float32)
        cloud[:, :3] = box[:3] + np.random.default_rng(0).uniform(-0.4, 0.4, (50, 3)) * box[3:6]
        clouds.append(cloud)
    views = tuple(AgentView(cloud, boxes, np.eye(4)) for cloud in clouds)
    return CooperativeFrame(views, boxes, np.array([1, 1]))


@pytest.mark.parametrize(("hidden", "alike"), [(1.0, False), (0.0, True)])
def test_crops_can_be_laid_around_what_the_ego_hardly_sees(hidden, alike):
    config = SampleConfig(
        GRID, window=(12.8, 12.8), jitter=(0.0, 0.0), hidden=hidden, rotation=0.0, flip=(0.0, 0.0)
    )
    maker = SampleMaker(config, AnchorSet.v2x_real())
    centres = {
        round(float(maker(seen_and_hidden(), np.random.default_rng(seed)).targets.boxes[0, 0]), -1)
        for seed in range(12)
    }
    assert (len(centres) == 2) is alike
    assert 70.0 in centres


def test_without_anything_hidden_crops_lie_around_what_is_seen():
    frame = seen_and_hidden()
    seen = CooperativeFrame(frame.agents, frame.boxes[:1], frame.labels[:1])
    config = SampleConfig(GRID, window=(12.8, 12.8), jitter=(0.0, 0.0), hidden=1.0)
    sample = SampleMaker(config, AnchorSet.v2x_real())(seen, np.random.default_rng(1))
    assert len(sample.targets.boxes) == 1


def test_a_share_of_hidden_objects_is_a_probability():
    with pytest.raises(SampleError, match=r"hidden, clutter are probabilities, got .*1\.5"):
        SampleConfig(GRID, hidden=1.5)


@pytest.mark.parametrize("turns", [True, False])
def test_roadside_units_send_turned_grids_where_samples_say_so(tmp_path, turns):
    write_scenario(tmp_path / "scene", seed=4, frames=1, agents=3, layout="road")
    frame = Scenario.open(tmp_path / "scene").frame("000000")
    agents = ["1", "2", "-1"]
    config = SampleConfig(GRID, turn_grids=turns)
    found = cooperative_frame(frame, agents, config)
    turned = RoadsideGrids(GRID, DetectionConfig()).turn(frame, agents)
    assert turned["-1"].turn != 0.0
    expected = CooperativeFrame.from_frame(turned if turns else frame, agents)
    for view, wanted in zip(found.agents, expected.agents, strict=True):
        np.testing.assert_array_equal(view.points, wanted.points)
        np.testing.assert_allclose(view.ego_to_agent, wanted.ego_to_agent)


def boxes_at(*x: float) -> np.ndarray:
    return np.array([[place, 5.0, -0.9, 4.4, 1.8, 1.5, 0.0] for place in x], np.float32)


def cropped_around(x: tuple[float, ...], points: tuple[int, ...]) -> set[float]:
    """Where objects lie that crops have in their middle, whose boxes hold so many own points."""
    boxes = boxes_at(*x)
    own = np.zeros((sum(points), 4), np.float32)
    own[:, :3] = boxes[:, :3].repeat(points, axis=0)
    frame = CooperativeFrame((AgentView(own, boxes, np.eye(4)),), boxes, np.ones(len(x), int))
    still = SampleConfig(
        GRID,
        window=(12.8, 12.8),
        jitter=(0.0, 0.0),
        hidden=1.0,
        rotation=0.0,
        flip=(0.0, 0.0),
        scaling=(1.0, 1.0),
        drop_points=0.0,
    )
    maker = SampleMaker(still, AnchorSet.v2x_real())
    samples = [maker(frame, np.random.default_rng(seed)) for seed in range(10)]
    return {float(box[0]) for sample in samples for box in sample.targets.boxes}


def test_an_object_with_ten_own_points_is_not_hidden_and_one_with_nine_is():
    assert cropped_around((10.0, 70.0), (10, 9)) == {70.0}
    assert cropped_around((10.0, 70.0), (10, 10)) == {10.0, 70.0}


def test_hidden_objects_out_of_reach_are_not_cropped_around():
    assert cropped_around((10.0, 125.0), (50, 0)) == {10.0}
    assert cropped_around((10.0, 40.0, 125.0), (50, 0, 0)) == {40.0}


def test_an_ego_at_the_roadside_keeps_its_grid(tmp_path):
    write_scenario(tmp_path / "scene", seed=4, frames=1, agents=3, layout="road")
    frame = Scenario.open(tmp_path / "scene").frame("000000")
    agents = ["-1", "1", "2"]
    found = cooperative_frame(frame, agents, SampleConfig(GRID, turn_grids=True))
    expected = CooperativeFrame.from_frame(frame, agents)
    for view, wanted in zip(found.agents, expected.agents, strict=True):
        np.testing.assert_array_equal(view.points, wanted.points)
        np.testing.assert_array_equal(view.ego_to_agent, wanted.ego_to_agent)


def test_clutter_is_what_stands_tall_and_is_no_object():
    rng = np.random.default_rng(0)
    ground = np.column_stack([rng.uniform(-30, 30, (4000, 2)), np.full(4000, -1.8)])
    hedge = np.column_stack([rng.uniform(9.0, 11.0, (200, 2)), rng.uniform(-1.8, 0.2, 200)])
    car = np.column_stack([rng.uniform(-12.0, -9.0, (200, 2)), rng.uniform(-1.8, -0.3, 200)])
    kerb = np.column_stack([rng.uniform(19.0, 21.0, (200, 2)), rng.uniform(-1.8, -1.6, 200)])
    points = np.concatenate([ground, hedge, car, kerb]).astype(np.float32)
    boxes = np.array([[-10.5, -10.5, -1.0, 4.5, 4.5, 1.6, 0.0]], np.float32)
    places = clutter_places(np.pad(points, ((0, 0), (0, 1))), boxes, 25.0)
    assert len(places) > 3
    assert (np.abs(places - 10.0) < 1.5).all(), "the hedge alone"


def test_crops_are_drawn_around_clutter_as_often_as_asked():
    frame = two_agents(np.random.default_rng(0))
    pole = np.zeros((100, 4), np.float32)
    pole[:, :3] = [-60.0, -20.0, 0.0]
    pole[:, 2] = np.linspace(-1.8, 1.0, 100)
    ego = AgentView(np.concatenate([frame.agents[0].points, pole]), frame.boxes, np.eye(4))
    frame = CooperativeFrame((ego, frame.agents[1]), frame.boxes, frame.labels)
    rng, seen = np.random.default_rng(1), []
    maker = SampleMaker(
        SampleConfig(GRID, clutter=0.5, jitter=(2.0, 2.0), rotation=0.0, flip=(0.0, 0.0)),
        AnchorSet.v2x_real(),
    )
    for _ in range(60):
        seen.append(maker(frame, rng).targets.box_counts[0])
    assert 15 <= seen.count(0) <= 45, "the pole's crops hold no object"
