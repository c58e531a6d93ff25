# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of the launch file, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from quantv2x_ros.core.peers.host_station import THIS_HOST
from quantv2x_ros.data.bag_topics import DEFAULT_TOPICS, BagTopics
from quantv2x_ros.graph.parameters.common import (
    ModelParameters,
    NodeParameters,
    StationParameters,
)
from quantv2x_ros.graph.parameters.replay import PACES, ReplayParameters
from quantv2x_ros.graph.parameters.viewer import ViewerParameters
from quantv2x_ros.inference.backends import BACKENDS

LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
#: Value of ``replay`` for real sensors.
NO_REPLAY = "none"


class GraphError(ValueError):
    """Arguments that describe no graph."""


@dataclass(frozen=True)
class GraphSettings:
    """The arguments of ``cooperative.launch.py``.

    Attributes:
        bundle: folder or name of a model bundle; empty for the default one.
        backend: one of `inference.backends.BACKENDS`.
        replay: scenario folder or rosbag2; empty for a simulated scene, ``none`` for real sensors.
        agents: ``all``, a number, or names separated by commas, the ego first.
        indices: whether a bag's indices are played instead of its clouds.
        heard: whether a bag's indices of further stations are played, too.
        topics: names of the topics of a bag's agents, or of the real sensors.
        map_frame: name of the frame of all poses.
        rate: speed of the replay against real time.
        pace: one of `PACES`; with ``results`` each sweep waits for the boxes of the one before,
            at `rate` at most, and fusion waits for every agent's sweep.
        loop: whether the replay starts again at its end.
        namespace: namespace of the ego's nodes; those of peers and replay lie below it.
        station_id: station id of the ego with real sensors (a replay's agents have their own);
            -1 for this host's.
        use_sim_time: ``true``, ``false``, or ``auto``: true with a replay.
        rviz: whether RViz is started.
        fixed_frame: name of the frame that RViz shows everything in: with real sensors the
            ``frame_id`` of the ego's clouds; empty for ``ego``, which a replay has.
        viewer: whether the live scene is served to browsers on this machine.
        viewer_port: port of the page; 0 for any free port.
        log_level: one of `LOG_LEVELS`.
        params_file: YAML files with further parameters, separated by commas; empty for none.
        autostart: whether the nodes configure and activate themselves; if not, a lifecycle
            manager does it by their services.
        threads: CPU threads of each engine; 0 gives all cores to the ego's engines, and a share
            of them to those of its peers on the same computer.
    """

    bundle: str = ModelParameters.bundle
    backend: str = ModelParameters.backend
    replay: str = ""
    agents: str = "2"
    indices: bool = ReplayParameters.indices
    heard: bool = ReplayParameters.heard
    topics: BagTopics = DEFAULT_TOPICS
    map_frame: str = StationParameters.map_frame
    rate: float = ReplayParameters.rate
    pace: str = ReplayParameters.pace
    loop: bool = ReplayParameters.loop
    namespace: str = ""
    station_id: int = StationParameters.station_id
    use_sim_time: str = "auto"
    rviz: bool = False
    fixed_frame: str = ""
    viewer: bool = False
    viewer_port: int = ViewerParameters.port
    log_level: str = "info"
    params_file: str = ""
    threads: int = ModelParameters.threads
    autostart: bool = NodeParameters.autostart

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            GraphError: naming the argument, its value and what is allowed.
        """
        _check_choice("backend", self.backend, BACKENDS)
        _check_choice("pace", self.pace, PACES)
        _check_choice("log_level", self.log_level, LOG_LEVELS)
        _check_choice("use_sim_time", self.use_sim_time, ("auto", "true", "false"))
        if not 0.01 <= self.rate <= 100.0:
            raise GraphError(f"rate: got {self.rate}, allowed are 0.01 to 100")
        if not THIS_HOST <= self.station_id < 2**32:
            raise GraphError(
                f"station_id: got {self.station_id}, allowed are 0 to {2**32 - 1}, and "
                f"{THIS_HOST} for this host's own"
            )
        if not 0 <= self.viewer_port < 2**16:
            raise GraphError(f"viewer_port: got {self.viewer_port}, allowed are 0 to {2**16 - 1}")
        if self.rviz and self.replay == NO_REPLAY and not self.fixed_frame:
            raise GraphError(
                "fixed_frame: RViz shows real sensors in the frame_id of the ego's clouds, which is"
                " not given; allowed is any frame, such as fixed_frame:=lidar_top"
            )
        for name in self.params_files:
            if not Path(name).is_file():
                raise GraphError(f"params_file: there is no file {name}")

    @property
    def params_files(self) -> tuple[str, ...]:
        """Return the files with further parameters; a later file overrides an earlier one."""
        return tuple(name.strip() for name in self.params_file.split(",") if name.strip())

    @property
    def sim_time(self) -> bool:
        """Tell whether the nodes use the time of ``/clock``."""
        if self.use_sim_time == "auto":
            return self.replay != NO_REPLAY
        return self.use_sim_time == "true"


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise GraphError(f"{name}: got {value!r}, allowed are {', '.join(allowed)}")
