# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Peers' late messages with their moving objects carried on, as the fusion node does it."""

from __future__ import annotations

from quantv2x_ros.core.fusion.motion_compensation import move_objects
from quantv2x_ros.core.fusion.occupancy_tracks import OccupancyTracks, TrackSettings
from quantv2x_ros.data.scenario import FRAME_PERIOD
from quantv2x_ros.evaluation.moments import Moment, Moments
from quantv2x_ros.evaluation.settings import EvaluationSettingError
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.peer_views import MIN_AGE
from quantv2x_ros.inference.protocol import Percept
from quantv2x_ros.inference.results import AgentPyramid

#: Sweeps before the one that is fused, from which motion is estimated.
PAST = TrackSettings().places - 1


def moved_on(
    bundle: ModelBundle, moments: Moments, sent: Moment, name: str, percept: Percept, now: int
) -> Percept:
    """Return a peer's percept with its objects where they should be by now.

    Motion is estimated from what the peer sent before, as if all of it had arrived.

    Args:
        bundle: The model.
        moments: What was sent lately.
        sent: When the peer sent it.
        name: The peer.
        percept: What arrived.
        now: Number of the frame in which it is fused.

    Raises:
        EvaluationSettingError: For a detector whose percepts are no pyramids of engines.
    """
    period_ns = round(1e9 * FRAME_PERIOD)
    if (now - sent.number) * FRAME_PERIOD < MIN_AGE:
        return percept
    tracks = OccupancyTracks(TrackSettings(), bundle.grid)
    for number in range(sent.number - PAST, sent.number + 1):
        past = moments.at(number)
        if past is not None and name in past.sent:
            pyramid = _pyramid(past.sent[name].percept)
            occupancy = pyramid.scores[0] / bundle.manifest.score_gain
            tracks.add(occupancy, past.sent[name].pose, number * period_ns)
    pyramid = _pyramid(percept)
    displacements = tracks.displacements(sent.sent[name].pose, now * period_ns)
    levels, scores = move_objects(pyramid.levels, pyramid.scores, displacements, bundle.grid)
    return Percept(AgentPyramid(levels, scores, pyramid.stage_ms), percept.stage_ms)


def _pyramid(percept: Percept) -> AgentPyramid:
    if not isinstance(percept.content, AgentPyramid):
        raise EvaluationSettingError(
            "compensate works on the pyramids of a bundle's engines; leave --precision away, or "
            "--compensate"
        )
    return percept.content
