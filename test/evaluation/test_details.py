# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which frames are the worst, and what counts against a frame."""

import numpy as np
import pytest

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.detection.evaluation import AveragePrecision
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.evaluation.details import Details
from quantv2x_ros.evaluation.frame_state import FrameState
from quantv2x_ros.evaluation.playback import EgoView

CLASSES = ("vehicle", "pedestrian", "truck")


@pytest.fixture(scope="module")
def frames(dataset):
    return list(Scenario.open(dataset / "test" / "scene_3").frames())


def detections(boxes, labels):
    scores = np.full(len(boxes), 0.9, np.float32)
    return Detections(boxes.astype(np.float32), scores, labels.astype(np.int32))


def gather(frames, see):
    """Details of frames whose detections are what `see` makes of (number, truth)."""
    details, whole = Details(lambda: AveragePrecision(CLASSES)), AveragePrecision(CLASSES)
    for number, frame in enumerate(frames):
        ego = next(iter(frame.agents))
        truth = frame.truth(ego)
        state = FrameState(number, frame, dict.fromkeys(frame.agents))
        details.add(state, EgoView(see(number, truth), 3, 0.0), truth, whole)
    return details


def test_frames_with_more_errors_are_worse(frames):
    def see(number, truth):
        kept = slice(5 * number, None)  # the later, the more is missed
        return detections(truth.boxes[kept], truth.labels[kept])

    details = gather(frames, see)
    worst = details.worst(2)
    assert [frame.timestamp for frame in worst] == ["000002", "000001"]
    assert worst[0].errors > worst[1].errors > 0
    assert worst[0].agents == tuple(frames[0].agents)


def test_false_boxes_count_and_what_nobody_sees_does_not(frames):
    far = np.array([[90.0, 30.0, 50.0, 4.0, 2.0, 1.5, 0.0]])  # 50 m up in the air

    def see(number, truth):
        extra = np.repeat(far, number, axis=0)
        extra[:, 0] -= 10.0 * np.arange(number)
        boxes = np.concatenate([truth.boxes, extra])
        return detections(boxes, np.concatenate([truth.labels, np.ones(number, np.int64)]))

    assert [frame.score.false for frame in gather(frames, see).frames] == [0, 1, 2]
    assert [frame.score.missed for frame in gather(frames, see).frames] == [0, 0, 0]

    def blind(number, truth):
        return Detections.empty()

    details = gather(frames, blind)
    nobody = details.compute()["by_sight"]["seen by nobody"]["objects"]
    total = sum(sum(part["objects"].values()) for part in details.compute()["by_sight"].values())
    missed = sum(frame.score.missed for frame in details.frames)
    assert missed == total - sum(nobody.values())
    assert missed > 0
