# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the replay node plays, as its parameters say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.graph.parameters.replay import ReplayParameters
from quantv2x_ros.graph.replay_source import ReplaySource
from quantv2x_ros.nodes.replay.bag_playlist import BagPlaylist, IndicesPlaylist
from quantv2x_ros.nodes.replay.playlist import Playlist, ScenarioPlaylist


def find_recording(parameters: ReplayParameters, announce: Callable[[str], None]) -> ReplaySource:
    """Find the recording, or make the simulated scene.

    Args:
        parameters: of the replay node.
        announce: told of what takes a while.

    Raises:
        ValueError: where there is none, or not of these agents.
    """
    return ReplaySource.find(
        parameters.path, parameters.agents, announce, parameters.indices, parameters.topics
    )


def open_recording(
    parameters: ReplayParameters, source: ReplaySource, warn: Callable[[str], object]
) -> Playlist:
    """Return the messages of a recording.

    Args:
        parameters: of the replay node.
        source: what `find_recording` has found.
        warn: told of what is not played as it was recorded.

    Raises:
        ValueError: for one that cannot be played so.
    """
    if source.indices_only:
        stations = [source.station(agent) for agent in source.agents]
        return IndicesPlaylist(Path(source.path), stations, warn)
    if source.is_bag:
        played = [source.station(agent) for agent in source.agents]
        unheard = played if parameters.heard else None
        return BagPlaylist(
            Path(source.path),
            source.agents,
            unheard,
            warn,
            parameters.topics,
            parameters.map_frame,
        )
    if parameters.heard:
        raise ValueError(
            f"heard: {source.path} is no rosbag2, so nothing was heard; make one with "
            "`python -m quantv2x_ros record --indices`"
        )
    scenario = Scenario.open(source.path, skip_broken=True)
    return ScenarioPlaylist(scenario, source.agents, parameters.map_frame, parameters.truth, warn)
