# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The default bundle on real-format frames that it has never seen."""

import numpy as np
import pytest

from quantv2x_ros.core.boxes import points_in_boxes
from quantv2x_ros.core.matching import recall_precision
from quantv2x_ros.core.pose import invert, transform_points
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.offline.detect import choose_agents, cloud_input, frame_input
from quantv2x_ros.offline.detector import detect_once, open_detector
from quantv2x_ros.resources import ResourceError, find_bundle

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


def score(detector, given, truth, visible):
    detections, _, _ = detect_once(detector, given.clouds, given.ego_to_agents)
    near = (np.abs(truth.boxes[:, 0]) <= 100.0) & (np.abs(truth.boxes[:, 1]) <= 40.0)
    return recall_precision(detections, truth.boxes, None, iou=0.3, optional=~(visible & near))


def test_five_opv2v_agents_find_more_than_any_one_of_them(detector, shared_dir):
    frame = Scenario.open(shared_dir / "data" / "opv2v_format_5agents").frame("000000")
    together = frame_input(frame, choose_agents(frame, None, "all", 5))
    truth = frame.truth(together.ego)
    visible = points_in_boxes(union_of_clouds(together), truth.boxes) >= VISIBLE
    result = score(detector, together, truth, visible)
    ids = set(truth.ids[visible].tolist())
    alone = {}
    for agent in frame.agents:
        own = frame.truth(agent)
        seen = np.array([object_id in ids for object_id in own.ids])
        alone[agent] = score(detector, frame_input(frame, [agent]), own, seen).found
    print(f"together {result}, alone {alone}")
    assert len(together.clouds) == 5
    assert result.recall >= 0.6
    assert result.precision >= 0.5
    assert result.found > max(alone.values())


def test_a_real_128_beam_sweep_shows_objects_on_the_ground(detector, shared_dir):
    given = cloud_input(shared_dir / "data" / "vls128" / "1585897255376374245.pcd")
    detections, _, _ = detect_once(detector, given.clouds, given.ego_to_agents)
    confident = detections.boxes[detections.scores >= 0.4]
    assert len(confident) >= 3
    counts = points_in_boxes(given.clouds[given.ego], confident)
    assert (counts >= 5).mean() >= 0.8
