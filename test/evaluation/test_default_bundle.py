# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The default bundle on real-format frames that it has never seen."""

import zlib

import numpy as np
import pytest

from quantv2x_ros.commands._detectors import open_detector
from quantv2x_ros.core.coding.wire import decode_indices, encode_indices, packed_size
from quantv2x_ros.core.detection.matching import recall_precision
from quantv2x_ros.core.geometry.boxes import points_in_boxes
from quantv2x_ros.core.geometry.pose import invert, transform_points
from quantv2x_ros.core.placement.levelling import Levelling, levelled_points
from quantv2x_ros.core.transport.sweep_sender import SendSettings, SweepSender
from quantv2x_ros.core.transport.tiles import IndexMapFormat
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.data.simulator import simulate_scene
from quantv2x_ros.environment.resources import ResourceError, find_bundle
from quantv2x_ros.evaluation.agent_grids import AgentGrids
from quantv2x_ros.evaluation.detect import choose_agents, cloud_input, frame_input, look
from quantv2x_ros.inference.encoder import AgentEncoder

VISIBLE = 10  # points in the union of clouds from which an object must be found


@pytest.fixture(scope="module")
def detector():
    try:
        folder = find_bundle("")
    except ResourceError as error:
        pytest.skip(f"no default bundle: {error}")
    return open_detector(folder)


def union_of_clouds(given):
    return np.concatenate(
        [
            transform_points(points, invert(matrix))
            for points, matrix in zip(given.clouds.values(), given.ego_to_agents, strict=True)
        ]
    ).astype(np.float32)


def levelled(detector, frame, agents):
    return frame_input(AgentGrids(detector.bundle).lay(frame, agents), agents)


def score(detector, given, truth, visible):
    detections = look(detector, given).detections
    near = (np.abs(truth.boxes[:, 0]) <= 100.0) & (np.abs(truth.boxes[:, 1]) <= 40.0)
    return recall_precision(detections, truth.boxes, None, iou=0.3, optional=~(visible & near))


def test_five_opv2v_agents_err_less_than_any_one_of_them(detector, shared_dir):
    frame = Scenario.open(shared_dir / "data" / "opv2v_format_5agents").frame("000000")
    raw = frame_input(frame, choose_agents(frame, None, "all", 5))
    truth = frame.truth(raw.ego)
    visible = points_in_boxes(union_of_clouds(raw), truth.boxes) >= VISIBLE
    together = levelled(detector, frame, list(raw.clouds))
    result = score(detector, together, truth, visible)
    ids = set(truth.ids[visible].tolist())
    alone = {}
    for agent in frame.agents:
        own = frame.truth(agent)
        seen = np.array([object_id in ids for object_id in own.ids])
        alone[agent] = score(detector, levelled(detector, frame, [agent]), own, seen)
    print(f"together {result}, alone {alone}")
    assert len(together.clouds) == 5
    assert result.recall >= 0.6
    assert result.precision >= 0.5
    assert result.found >= max(one.found for one in alone.values())
    assert result.missed + result.false < min(one.missed + one.false for one in alone.values())


def test_a_real_128_beam_sweep_shows_objects_on_the_ground(detector, shared_dir):
    path = shared_dir / "data" / "vls128" / "1585897255376374245.pcd"
    detections = look(detector, cloud_input(path, detector.bundle.sensor_heights)).detections
    given = cloud_input(path)
    confident = detections.boxes[detections.scores >= 0.4]
    assert len(confident) >= 3
    counts = points_in_boxes(given.clouds[given.ego], confident)
    assert (counts >= 5).mean() >= 0.8


def upright(cloud, bundle):
    """A cloud as the encoder node lays it."""
    level = Levelling(bundle.sensor_heights).update(cloud, 0.0)
    return cloud if level is None else levelled_points(cloud, level)


@pytest.fixture(scope="module")
def unseen(detector):
    """Index maps of three agents in a simulated scene that training has not seen."""
    encoder = AgentEncoder(detector.bundle)
    frame = next(iter(simulate_scene(987_654, frames=1, agents=3)))
    clouds = [agent.points for agent in frame.agents.values()]
    return [encoder.encode(upright(cloud, detector.bundle)).indices for cloud in clouds]


def test_indices_of_unseen_sweeps_take_a_fifth_of_their_packed_size(detector, unseen):
    entropy_model = detector.bundle.entropy_model
    packed = packed_size(unseen[0].shape, entropy_model)
    sizes = []
    for indices in unseen:
        payload = encode_indices(indices, entropy_model)
        np.testing.assert_array_equal(
            decode_indices(payload, entropy_model, indices.shape), indices
        )
        sizes.append(len(payload))
    print(f"bytes {sizes}, packed {packed}")
    assert 5 * np.mean(sizes) <= packed
    deflated = [len(zlib.compress(indices.tobytes(), 9)) for indices in unseen]
    assert np.sum(sizes) <= 0.7 * np.sum(deflated)


def test_occupancy_says_which_cells_may_be_left_out(detector, unseen):
    """Leaving out what has less than a quarter of a chance of an object saves bytes everywhere.

    Less than in streets like those of its training, where it saved a tenth of every sweep: between
    hedges and shops this bundle holds more cells for possible.
    """
    bundle = detector.bundle
    background = bundle.background
    book = bundle.codebook
    form = IndexMapFormat(bundle.entropy_model, book.levels, book.segments, *bundle.grid.shape)
    whole = SweepSender(form, background, SendSettings(min_occupancy=0.0))
    chosen = SweepSender(form, background, SendSettings(min_occupancy=0.25))
    sizes = [
        [sender.send(indices).packet_bytes for sender in (chosen, whole)] for indices in unseen
    ]
    assert all(fewer < all_of_it for fewer, all_of_it in sizes)
    fewer, all_of_it = np.sum(sizes, axis=0)
    assert fewer < 0.95 * all_of_it
