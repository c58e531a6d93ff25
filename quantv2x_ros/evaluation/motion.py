# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Peers' late messages with their moving objects carried on, as the fusion node does it."""

from __future__ import annotations

from quantv2x_ros.core.fusion.motion_compensation import move_objects
from quantv2x_ros.core.fusion.occupancy_tracks import OccupancyTracks, TrackSettings
from quantv2x_ros.data.scenario import FRAME_PERIOD
from quantv2x_ros.evaluation.frame_history import FrameHistory, FrameState
from quantv2x_ros.evaluation.settings import EvaluationSettingError
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.peer_views import MIN_AGE
from quantv2x_ros.inference.protocol import AgentFeatures
from quantv2x_ros.inference.results import AgentPyramid

#: Sweeps before the one that is fused, from which motion is estimated.
PAST = TrackSettings().places - 1


def moved_on(
    bundle: ModelBundle,
    history: FrameHistory,
    sent: FrameState,
    name: str,
    agent_features: AgentFeatures,
    now: int,
) -> AgentFeatures:
    """Return a peer's features with its objects where they should be by now.

    Motion is estimated from what the peer sent before, as if all of it had arrived.

    Args:
        bundle: The model.
        history: What was sent lately.
        sent: When the peer sent it.
        name: The peer.
        agent_features: What arrived.
        now: Number of the frame in which it is fused.

    Raises:
        EvaluationSettingError: For a detector whose agent features are no pyramids of engines.
    """
    period_ns = round(1e9 * FRAME_PERIOD)
    if (now - sent.number) * FRAME_PERIOD < MIN_AGE:
        return agent_features
    tracks = OccupancyTracks(TrackSettings(), bundle.grid)
    for number in range(sent.number - PAST, sent.number + 1):
        past = history.at(number)
        if past is not None and name in past.sent:
            pyramid = _pyramid(past.sent[name].agent_features)
            occupancy = pyramid.scores[0] / bundle.manifest.score_gain
            tracks.add(occupancy, past.sent[name].pose, number * period_ns)
    pyramid = _pyramid(agent_features)
    displacements = tracks.displacements(sent.sent[name].pose, now * period_ns)
    levels, scores = move_objects(pyramid.features, pyramid.scores, displacements, bundle.grid)
    return AgentFeatures(AgentPyramid(levels, scores, pyramid.stage_ms), agent_features.stage_ms)


def _pyramid(agent_features: AgentFeatures) -> AgentPyramid:
    if not isinstance(agent_features.content, AgentPyramid):
        raise EvaluationSettingError(
            "compensate works on the pyramids of a bundle's engines; leave --precision away, or "
            "--compensate"
        )
    return agent_features.content
