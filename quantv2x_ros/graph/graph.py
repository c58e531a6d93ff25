# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The description of the cooperating nodes, with their parameters and names, as data.

The launch file turns the description into launch actions; the demo and the tests start it as
processes, also where `launch` is not installed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from quantv2x_ros.data.agent_names import is_roadside
from quantv2x_ros.data.bag_topics import DEFAULT_TOPICS
from quantv2x_ros.data.recorded_messages import MAP_FRAME
from quantv2x_ros.environment.resources import find_bundle, shared_folder
from quantv2x_ros.graph.replay_source import ReplaySource
from quantv2x_ros.graph.settings import NO_REPLAY, GraphError, GraphSettings

PACKAGE = "quantv2x_ros"
#: Its nodes' executables: `ros2 run quantv2x_ros NAME`, `python -m quantv2x_ros.nodes NAME`.
EXECUTABLES = ("encoder", "fusion", "ego", "replay", "channel", "radio", "viewer")
#: Peers that the RViz configuration shows.
RVIZ_PEERS = 4

#: Of fusion, where a replay goes at the pace of the boxes: its time stands still meanwhile, so that
#: no frame need be without a peer whose sweep is only being encoded, or a tile on its way, seconds.
PATIENT_FUSION = {"peer_wait": 3.0, "tile_timeout": 1.0}

ParameterValue = bool | int | float | str


@dataclass(frozen=True)
class NodeDescription:
    """A process with one or more nodes.

    Attributes:
        package: name of the executable's ROS package.
        executable: name of the executable.
        namespace: absolute namespace of its nodes.
        parameters: parameters of all its nodes; a parameter file may override them.
        remappings: topic → topic.
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


def cooperative_graph(
    settings: GraphSettings, source: ReplaySource | None
) -> tuple[NodeDescription, ...]:
    """Describe ego, peers and replay.

    Args:
        settings: arguments of the graph.
        source: recording that is played; None with real sensors.

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
    if settings.map_frame != MAP_FRAME:
        common["map_frame"] = settings.map_frame
    root = "/" + settings.namespace.strip("/")
    if source is None:
        station: dict[str, ParameterValue] = {"station_id": settings.station_id}
        station["threads"] = settings.threads
        with_defaults = NodeDescription(PACKAGE, "ego", root, {**common, **station})
        nodes = [_with_sensors(with_defaults, settings)]
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
    if settings.pace == "results":
        nodes = [_patient(node) for node in nodes]
    if settings.viewer:
        nodes.append(_viewer(root, peers, settings))
    if not settings.autostart:
        nodes = [replace(n, parameters={**n.parameters, "autostart": False}) for n in nodes]
    if settings.rviz:
        nodes.append(_rviz(root, peers, settings))
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
    station = source.station(agent)
    # A dataset's loader has cut the vehicle's body out already; a roadside unit has none; who
    # recorded a bag may not have.
    parameters = {
        **common,
        "threads": threads or share,
        "station_id": station,
        "crop_ego_body": source.is_bag and not is_roadside(station),
    }
    if is_roadside(station) and not is_ego:
        parameters["turn_grid"] = True
    return NodeDescription(
        PACKAGE,
        "ego" if is_ego else "encoder",
        absolute(root, source.namespace(agent)),
        parameters,
    )


def _patient(node: NodeDescription) -> NodeDescription:
    if node.executable not in ("ego", "fusion"):
        return node
    return replace(node, parameters={**node.parameters, **PATIENT_FUSION})


def _with_sensors(ego: NodeDescription, settings: GraphSettings) -> NodeDescription:
    """Connect the ego with real sensors whose topics have other names."""
    parameters = dict(ego.parameters)
    if settings.topics.pose_source != DEFAULT_TOPICS.pose_source:
        parameters["pose_source"] = settings.topics.pose_source
    return replace(ego, parameters=parameters, remappings=_sensor_names(settings))


def _sensor_names(settings: GraphSettings) -> dict[str, str]:
    """Return the topics of real sensors by the names that the nodes have for them."""
    if settings.replay != NO_REPLAY:
        return {}
    topics = settings.topics
    named = {"points": topics.points, topics.pose_source: topics.pose}
    return {name: topic for name, topic in named.items() if topic}


def _replay(source: ReplaySource, settings: GraphSettings, root: str) -> NodeDescription:
    parameters: dict[str, ParameterValue] = {
        "path": source.path,
        "agents": ",".join(source.agents) + ",",  # with a comma a single number is a name
        "indices": source.indices_only,
        "heard": settings.heard,
        "rate": settings.rate,
        "pace": settings.pace,
        "loop": settings.loop,
        "use_sim_time": False,
    }
    if source.topics != DEFAULT_TOPICS:
        topics = source.topics
        parameters["points_topic"], parameters["pose_topic"] = topics.points, topics.pose
        parameters["pose_source"] = topics.pose_source
    if settings.map_frame != MAP_FRAME:
        parameters["map_frame"] = settings.map_frame
    return NodeDescription(PACKAGE, "replay", root, parameters, ends_graph=True)


def _viewer(root: str, peers: list[str], settings: GraphSettings) -> NodeDescription:
    clouds = ",".join(f"{namespace}/points" for namespace in peers)
    parameters: dict[str, ParameterValue] = {
        "port": settings.viewer_port,
        "peer_points": clouds,
        "use_sim_time": settings.sim_time,
    }
    return NodeDescription(PACKAGE, "viewer", root, parameters, _sensor_names(settings))


def _rviz(root: str, peers: list[str], settings: GraphSettings) -> NodeDescription:
    """Describe RViz with its committed configuration, its topics remapped to this graph's."""
    names = ("points", "markers", "ground_truth")
    remappings = {f"/{name}": absolute(root, name) for name in names}
    if points := _sensor_names(settings).get("points"):
        remappings["/points"] = points if points.startswith("/") else absolute(root, points)
    for number, namespace in enumerate(peers[:RVIZ_PEERS], start=1):
        remappings[f"/peer_{number}/points"] = absolute(root, f"{namespace}/points")
    config = shared_folder("rviz") / "cooperative.rviz"
    frame = ("-f", settings.fixed_frame) if settings.fixed_frame else ()
    return NodeDescription(
        "rviz2",
        "rviz2",
        "/",
        {"use_sim_time": settings.sim_time},
        {name: topic for name, topic in remappings.items() if name != topic},
        ("-d", str(config), *frame),
    )


#: What stations send to, before the channel, and what is heard.
SENT_TOPIC, HEARD_TOPIC = "/v2x/bev_indices_sent", "/v2x/bev_indices"


def through_channel(
    nodes: Sequence[NodeDescription], parameters: Mapping[str, ParameterValue]
) -> tuple[NodeDescription, ...]:
    """Return the nodes with their peers' messages remapped, and the channel as the last one.

    The ego hears itself without a channel: its own node stays as it is.

    Args:
        nodes: nodes of a graph.
        parameters: parameters of the channel node.
    """
    remapped = [
        replace(node, remappings={**node.remappings, HEARD_TOPIC: SENT_TOPIC})
        if node.executable == "encoder"
        else node
        for node in nodes
    ]
    return (*remapped, NodeDescription(PACKAGE, "channel", "/", parameters))


def with_radio(
    nodes: Sequence[NodeDescription], parameters: Mapping[str, ParameterValue]
) -> tuple[NodeDescription, ...]:
    """Return the nodes with the ego's radio as the last one.

    Args:
        nodes: nodes of a graph, the ego's first.
        parameters: parameters of the radio node beside the station's id, which is the ego's.
    """
    own = {"station_id": nodes[0].parameters["station_id"], **parameters}
    return (*nodes, NodeDescription(PACKAGE, "radio", "/", own))
