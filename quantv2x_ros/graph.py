# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which nodes cooperate, with which parameters and names: described once, as data.

The launch file turns the description into launch actions; the demo and the tests start it as
processes, also where `launch` is not installed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from quantv2x_ros.replay_source import ReplaySource
from quantv2x_ros.resources import find_bundle, shared_folder

PACKAGE = "quantv2x_ros"
BACKENDS = ("auto", "openvino", "tensorrt")
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
#: Value of ``replay`` for real sensors.
NO_REPLAY = "none"
#: Peers that the RViz configuration shows.
RVIZ_PEERS = 4

ParameterValue = bool | int | float | str


class GraphError(ValueError):
    """Arguments that describe no graph."""


@dataclass(frozen=True)
class NodeDescription:
    """A process with one or more nodes.

    Attributes:
        package: ROS package of the executable.
        executable: its name.
        namespace: of its nodes, absolute.
        parameters: set for all its nodes; a parameter file may override them.
        remappings: topic to topic.
        arguments: further command-line arguments.
        ends_graph: whether the end of this process ends all others.
    """

    package: str
    executable: str
    namespace: str
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    remappings: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    ends_graph: bool = False


@dataclass(frozen=True)
class GraphSettings:
    """The arguments of ``cooperative.launch.py``.

    Attributes:
        bundle: folder or name of a model bundle; empty for the default one.
        backend: one of `BACKENDS`.
        replay: scenario folder or rosbag2; empty for a simulated scene, ``none`` for real sensors.
        agents: ``all``, a number, or names with commas between, the ego first.
        indices: whether a bag's indices are played instead of its clouds.
        heard: whether a bag's indices of stations that are not played are, too.
        rate: speed of the replay against real time.
        loop: whether the replay starts again at its end.
        namespace: of the ego's nodes; peers and replay lie below it.
        station_id: the ego's station id with real sensors (a replay's agents have their own).
        use_sim_time: ``true``, ``false``, or ``auto``: true with a replay.
        rviz: whether RViz is started.
        viewer: whether the live scene is served to browsers on this machine.
        viewer_port: where; 0 for any free port.
        log_level: one of `LOG_LEVELS`.
        params_file: YAML files with further parameters, commas between; empty for none.
        autostart: whether the nodes configure and activate themselves; else a lifecycle manager
            does, by their services.
        threads: CPU threads of each engine; 0 for all cores to the ego's, and a share of them to
            the peers', which are guests on its computer.
    """

    bundle: str = ""
    backend: str = "auto"
    replay: str = ""
    agents: str = "2"
    indices: bool = False
    heard: bool = False
    rate: float = 1.0
    loop: bool = False
    namespace: str = ""
    station_id: int = 1
    use_sim_time: str = "auto"
    rviz: bool = False
    viewer: bool = False
    viewer_port: int = 8080
    log_level: str = "info"
    params_file: str = ""
    threads: int = 0
    autostart: bool = True

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            GraphError: naming the argument, its value and what is allowed.
        """
        _check_choice("backend", self.backend, BACKENDS)
        _check_choice("log_level", self.log_level, LOG_LEVELS)
        _check_choice("use_sim_time", self.use_sim_time, ("auto", "true", "false"))
        if not 0.01 <= self.rate <= 100.0:
            raise GraphError(f"rate: got {self.rate}, allowed are 0.01 to 100")
        if not 0 <= self.station_id < 2**32:
            raise GraphError(f"station_id: got {self.station_id}, allowed are 0 to {2**32 - 1}")
        if not 0 <= self.viewer_port < 2**16:
            raise GraphError(f"viewer_port: got {self.viewer_port}, allowed are 0 to {2**16 - 1}")
        for name in self.params_files:
            if not Path(name).is_file():
                raise GraphError(f"params_file: there is no file {name}")

    @property
    def params_files(self) -> tuple[str, ...]:
        """The files with further parameters; where two say something, the later one wins."""
        return tuple(name.strip() for name in self.params_file.split(",") if name.strip())

    @property
    def sim_time(self) -> bool:
        """Whether the nodes go by ``/clock``."""
        if self.use_sim_time == "auto":
            return self.replay != NO_REPLAY
        return self.use_sim_time == "true"


def cooperative_graph(
    settings: GraphSettings, source: ReplaySource | None
) -> tuple[NodeDescription, ...]:
    """Describe ego, peers and replay.

    Args:
        settings: what is wanted.
        source: the recording; None with real sensors.

    Returns:
        The processes: the ego's first, then one encoder a peer, the replay, viewer, RViz.

    Raises:
        ValueError: for a bundle that is not there, or a replay without its source.
    """
    if (source is None) != (settings.replay == NO_REPLAY):
        raise GraphError(f"replay: {settings.replay!r} and its source {source} do not fit")
    common: dict[str, ParameterValue] = {
        "bundle": str(find_bundle(settings.bundle)),
        "backend": settings.backend,
        "use_sim_time": settings.sim_time,
    }
    root = "/" + settings.namespace.strip("/")
    if source is None:
        station: dict[str, ParameterValue] = {"station_id": settings.station_id}
        station["threads"] = settings.threads
        nodes = [NodeDescription(PACKAGE, "ego", root, {**common, **station})]
        peers: list[str] = []
    elif source.indices_only:
        ego = {"station_id": source.station(source.agents[0]), "threads": settings.threads}
        nodes = [
            NodeDescription(PACKAGE, "fusion", root, {**common, **ego}),
            _replay(source, settings, root),
        ]
        peers = []
    else:
        nodes = [_agent(source, agent, root, common, settings.threads) for agent in source.agents]
        nodes.append(_replay(source, settings, root))
        peers = [source.namespace(agent) for agent in source.agents[1:]]
    if settings.viewer:
        nodes.append(_viewer(root, peers, settings))
    if not settings.autostart:
        nodes = [replace(n, parameters={**n.parameters, "autostart": False}) for n in nodes]
    if settings.rviz:
        nodes.append(_rviz(root, peers, settings.sim_time))
    return tuple(nodes)


def absolute(root: str, name: str) -> str:
    """Join an absolute namespace and a relative name."""
    return f"{root.rstrip('/')}/{name}" if name else root


def _agent(
    source: ReplaySource,
    agent: str,
    root: str,
    common: Mapping[str, ParameterValue],
    threads: int,
) -> NodeDescription:
    is_ego = agent == source.agents[0]
    share = 0 if is_ego else max(1, (os.cpu_count() or 1) // (len(source.agents) + 1))
    # A dataset's loader has cut the vehicle's body out already; a roadside unit has none.
    parameters = {
        **common,
        "threads": threads or share,
        "station_id": source.station(agent),
        "crop_ego_body": False,
    }
    return NodeDescription(
        PACKAGE,
        "ego" if is_ego else "encoder",
        absolute(root, source.namespace(agent)),
        parameters,
    )


def _replay(source: ReplaySource, settings: GraphSettings, root: str) -> NodeDescription:
    parameters: dict[str, ParameterValue] = {
        "path": source.path,
        "agents": ",".join(source.agents) + ",",  # with a comma a single number is a name
        "indices": source.indices_only,
        "heard": settings.heard,
        "rate": settings.rate,
        "loop": settings.loop,
        "use_sim_time": False,
    }
    return NodeDescription(PACKAGE, "replay", root, parameters, ends_graph=True)


def _viewer(root: str, peers: list[str], settings: GraphSettings) -> NodeDescription:
    clouds = ",".join(f"{namespace}/points" for namespace in peers)
    parameters: dict[str, ParameterValue] = {
        "port": settings.viewer_port,
        "peer_points": clouds,
        "use_sim_time": settings.sim_time,
    }
    return NodeDescription(PACKAGE, "viewer", root, parameters)


def _rviz(root: str, peers: list[str], sim_time: bool) -> NodeDescription:
    """RViz with its committed configuration, whose topics are remapped to this graph's."""
    names = ("points", "markers", "ground_truth")
    remappings = {f"/{name}": absolute(root, name) for name in names}
    for number, namespace in enumerate(peers[:RVIZ_PEERS], start=1):
        remappings[f"/peer_{number}/points"] = absolute(root, f"{namespace}/points")
    config = shared_folder("rviz") / "cooperative.rviz"
    return NodeDescription(
        "rviz2",
        "rviz2",
        "/",
        {"use_sim_time": sim_time},
        {name: topic for name, topic in remappings.items() if name != topic},
        ("-d", str(config)),
    )


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise GraphError(f"{name}: got {value!r}, allowed are {', '.join(allowed)}")
