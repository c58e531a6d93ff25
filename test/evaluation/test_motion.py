# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation can carry moving objects in late messages on, as the node does."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.evaluation.frame_history import FrameHistory, FrameState, Sent
from quantv2x_ros.evaluation.motion import moved_on
from quantv2x_ros.evaluation.settings import EvaluationSettingError
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.protocol import AgentFeatures, Broadcast
from quantv2x_ros.inference.results import AgentPyramid


@pytest.fixture(scope="module")
def bundle(bundle_folder):
    return ModelBundle.load(bundle_folder)


def agent_features(bundle, x):
    """One object, a soft blob at (x, 2) m of an agent that stands at the map's origin."""
    rows, columns = bundle.grid.cell_centres()
    gap = np.hypot(columns[None] - x, rows[:, None] - 2.0)
    occupancy = (0.8 * np.exp(-((gap / 2.0) ** 2))).astype(np.float32)
    scores, levels = [], []
    for number in range(3):
        coarse = occupancy[:: 2**number, :: 2**number]
        scores.append(coarse * np.float32(bundle.manifest.score_gain))
        levels.append(np.repeat((100 * coarse).astype(np.uint8)[..., None], 4, axis=2))
    return AgentFeatures(AgentPyramid(tuple(levels), tuple(scores), {}), {})


def remembered(bundle, speed):
    """Six frames in which an object drives, as a peer sent them."""
    history = FrameHistory(None, keep=9)
    for number in range(6):
        what = agent_features(bundle, -10.0 + 0.1 * speed * number)
        sent = Sent(
            None, Broadcast(b"", {}), np.zeros((1, 1, 1), np.uint8), np.eye(4), 0.0, np.eye(4)
        )
        sent.agent_features = what  # else the detector computes it
        history._states[number] = FrameState(number, None, {"2": sent})
    return history


def place(what, bundle):
    score = what.content.scores[0]
    return bundle.grid.cell_centres()[1][int(score.max(axis=0).argmax())]


def test_an_object_is_carried_on_to_the_frame_in_which_it_is_fused(bundle):
    history = remembered(bundle, speed=8.0)
    sent = history.at(5)
    late = moved_on(bundle, history, sent, "2", sent.sent["2"].agent_features, now=8)
    assert place(sent.sent["2"].agent_features, bundle) == pytest.approx(-6.0, abs=0.5)
    assert place(late, bundle) == pytest.approx(-6.0 + 2.4, abs=0.8)


def test_fresh_messages_and_standing_objects_stay_as_they_are(bundle):
    history = remembered(bundle, speed=8.0)
    fresh = history.at(5).sent["2"].agent_features
    assert moved_on(bundle, history, history.at(5), "2", fresh, now=6) is fresh
    history = remembered(bundle, speed=0.0)
    still = history.at(5).sent["2"].agent_features
    same = moved_on(bundle, history, history.at(5), "2", still, now=9)
    np.testing.assert_array_equal(same.content.scores[0], still.content.scores[0])


def test_percepts_that_are_no_pyramids_are_refused(bundle):
    history = remembered(bundle, speed=8.0)
    with pytest.raises(EvaluationSettingError, match="--compensate"):
        moved_on(bundle, history, history.at(5), "2", AgentFeatures("something else", {}), now=9)
