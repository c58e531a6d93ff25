# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts the ego (encoder and fusion), its peers' encoders and a replay.

ros2 launch quantv2x_ros cooperative.launch.py                        # simulated scene
ros2 launch quantv2x_ros cooperative.launch.py replay:=/data/scene agents:=all rviz:=true
ros2 launch quantv2x_ros cooperative.launch.py replay:=none           # real sensors, ego only
"""

import difflib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from launch.action import Action
from launch.actions import (
    DeclareLaunchArgument,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.events.process import ProcessExited
from launch.logging import get_logger
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription
from quantv2x_ros.data.bag_topics import POSE_SOURCES, BagTopics
from quantv2x_ros.environment.huge_pages import HUGE_PAGES
from quantv2x_ros.environment.middleware import middleware_environment
from quantv2x_ros.graph.executables import require_installed
from quantv2x_ros.graph.graph import NodeDescription, cooperative_graph, through_channel, with_radio
from quantv2x_ros.graph.parameters.replay import PACES
from quantv2x_ros.graph.replay_source import ReplaySource
from quantv2x_ros.graph.settings import LOG_LEVELS, NO_REPLAY, GraphError, GraphSettings
from quantv2x_ros.inference.backends import BACKENDS

BOOLEANS = ("true", "false")
#: What the arguments are where they are not given, but for `pace`.
DEFAULTS = GraphSettings()

Number = TypeVar("Number", int, float)


def in_words(value: bool) -> str:
    """Return a truth value as arguments have it."""
    return str(value).lower()


ARGUMENTS = (
    DeclareLaunchArgument(
        "bundle",
        default_value=DEFAULTS.bundle,
        description="Model bundle: a folder, or a name in engines/. Empty: the default bundle.",
    ),
    DeclareLaunchArgument(
        "backend",
        default_value=DEFAULTS.backend,
        choices=BACKENDS,
        description="Engine. auto: tensorrt where there is an NVIDIA GPU, else openvino.",
    ),
    DeclareLaunchArgument(
        "replay",
        default_value=DEFAULTS.replay,
        description="What is played: a V2X-Real or OPV2V scenario folder, or a rosbag2. "
        f"Empty: a simulated scene. {NO_REPLAY}: nothing, the sensors are real.",
    ),
    DeclareLaunchArgument(
        "agents",
        default_value=DEFAULTS.agents,
        description="Agents of the replay, the ego first: all, a number, or names with commas "
        "between (a single name with a comma behind it).",
    ),
    DeclareLaunchArgument(
        "indices",
        default_value=in_words(DEFAULTS.indices),
        choices=BOOLEANS,
        description="Play a bag's indices instead of its clouds; one without clouds always is.",
    ),
    DeclareLaunchArgument(
        "points_topic",
        default_value=DEFAULTS.topics.points,
        description="Topic of the clouds in a bag, or with replay:=none of the LiDAR, where it is "
        "not called points, such as /velodyne_points.",
    ),
    DeclareLaunchArgument(
        "pose_topic",
        default_value=DEFAULTS.topics.pose,
        description="Topic of the poses, likewise: PoseWithCovarianceStamped; in a bag also "
        "PoseStamped or Odometry.",
    ),
    DeclareLaunchArgument(
        "pose_source",
        default_value=DEFAULTS.topics.pose_source,
        choices=POSE_SOURCES,
        description="Where poses come from, in a bag or with replay:=none: the topic pose, the "
        "topic odometry, or tf.",
    ),
    DeclareLaunchArgument(
        "map_frame",
        default_value=DEFAULTS.map_frame,
        description="Frame of all poses, the same for all stations.",
    ),
    DeclareLaunchArgument(
        "rate",
        default_value=str(DEFAULTS.rate),
        description="Speed of the replay against real time.",
    ),
    DeclareLaunchArgument(
        "pace",
        default_value="auto",
        choices=("auto", *PACES),
        description="What the replay goes by. results: each sweep waits for the boxes of the one "
        "before, at `rate` at most, so that a computer of any speed shows every frame with its "
        "peers. real_time: the clock. auto: results, real_time where messages go through channel.",
    ),
    DeclareLaunchArgument(
        "loop",
        default_value=in_words(DEFAULTS.loop),
        choices=BOOLEANS,
        description="Start the replay again at its end, instead of ending everything.",
    ),
    DeclareLaunchArgument(
        "namespace",
        default_value=DEFAULTS.namespace,
        description="Namespace of the ego's nodes and topics; the peers' lie below it.",
    ),
    DeclareLaunchArgument(
        "station_id",
        default_value=str(DEFAULTS.station_id),
        description="ETSI StationID of the ego with real sensors. -1: this host's own, from its "
        "machine id.",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value=DEFAULTS.use_sim_time,
        choices=("auto", *BOOLEANS),
        description="Go by /clock. auto: with a replay.",
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value=DEFAULTS.params_file,
        description="YAML files with parameters, commas between, which win over this file's "
        "(config/ has one for each node).",
    ),
    DeclareLaunchArgument(
        "threads",
        default_value=str(DEFAULTS.threads),
        description="CPU threads of each engine. 0: the cores, shared by what computes.",
    ),
    DeclareLaunchArgument(
        "channel",
        default_value="false",
        choices=BOOLEANS,
        description="Send the peers' messages through the simulated radio channel; set it up with "
        "params_file, such as config/channel.yaml.",
    ),
    DeclareLaunchArgument(
        "radio",
        default_value="false",
        choices=BOOLEANS,
        description="Send the ego's packets as UDP datagrams and hear others'; say where to with "
        "params_file, such as a copy of config/radio.yaml.",
    ),
    DeclareLaunchArgument(
        "autostart",
        default_value=in_words(DEFAULTS.autostart),
        choices=BOOLEANS,
        description="Whether the nodes configure and activate themselves; else their lifecycle "
        "services wait for a manager, and nothing is played before.",
    ),
    DeclareLaunchArgument(
        "rviz", default_value=in_words(DEFAULTS.rviz), choices=BOOLEANS, description="Start RViz."
    ),
    DeclareLaunchArgument(
        "fixed_frame",
        default_value=DEFAULTS.fixed_frame,
        description="Frame that RViz shows everything in. With real sensors: the frame_id of the "
        "ego's clouds. Empty: a replay's ego.",
    ),
    DeclareLaunchArgument(
        "viewer",
        default_value=in_words(DEFAULTS.viewer),
        choices=BOOLEANS,
        description="Serve the live scene to browsers on this machine.",
    ),
    DeclareLaunchArgument(
        "viewer_port",
        default_value=str(DEFAULTS.viewer_port),
        description="Port of that page; 0: any free one.",
    ),
    DeclareLaunchArgument(
        "log_level",
        default_value=DEFAULTS.log_level,
        choices=LOG_LEVELS,
        description="Least severe log messages that are shown.",
    ),
)


def refuse_unknown(words: Sequence[str]) -> None:
    """Refuse misspelt arguments of a command line, which launch would pass over in silence.

    Args:
        words: of the command line; one that launches another file, which may include this one
            and have arguments of its own, is left alone.

    Raises:
        GraphError: naming the argument, and those with a similar name.
    """
    if Path(__file__).name not in (Path(word).name for word in words):
        return
    known = [argument.name for argument in ARGUMENTS]
    for name in (word.partition(":=")[0] for word in words if ":=" in word):
        if name not in known:
            near = difflib.get_close_matches(name, known)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
            raise GraphError(f"there is no launch argument {name!r}; {hint}")


def number(text: dict[str, str], name: str, kind: type[Number]) -> Number:
    """Read an argument that is a number.

    Raises:
        GraphError: naming the argument and what it got.
    """
    try:
        return kind(text[name])
    except ValueError as error:
        what = "a whole number" if kind is int else "a number"
        raise GraphError(f"{name}: got {text[name]!r}, allowed is {what}") from error


def pace_from(text: dict[str, str]) -> str:
    """Choose what the replay goes by; a channel's delays are told in real time."""
    if text["pace"] != "auto":
        return text["pace"]
    return "real_time" if text["channel"] == "true" else "results"


def settings_from(context: LaunchContext) -> GraphSettings:
    """Read the arguments of this launch."""
    refuse_unknown(sys.argv)
    text = {
        argument.name: LaunchConfiguration(argument.name).perform(context) for argument in ARGUMENTS
    }
    return GraphSettings(
        bundle=text["bundle"],
        backend=text["backend"],
        replay=text["replay"],
        agents=text["agents"],
        indices=text["indices"] == "true",
        topics=BagTopics(text["points_topic"], text["pose_topic"], text["pose_source"]),
        map_frame=text["map_frame"],
        rate=number(text, "rate", float),
        pace=pace_from(text),
        loop=text["loop"] == "true",
        namespace=text["namespace"],
        station_id=number(text, "station_id", int),
        use_sim_time=text["use_sim_time"],
        rviz=text["rviz"] == "true",
        fixed_frame=text["fixed_frame"],
        viewer=text["viewer"] == "true",
        viewer_port=number(text, "viewer_port", int),
        log_level=text["log_level"],
        params_file=text["params_file"],
        threads=number(text, "threads", int),
        autostart=text["autostart"] == "true",
    )


def action_from(node: NodeDescription, settings: GraphSettings) -> Action:
    """Turn one description into a launch action; a process that fails ends the launch."""
    parameters = {
        name: ParameterValue(value, value_type=type(value))
        for name, value in node.parameters.items()
    }
    return Node(
        package=node.package,
        executable=node.executable,
        namespace=node.namespace,
        parameters=[parameters, *settings.params_files],
        remappings=list(node.remappings.items()),
        arguments=list(node.arguments),
        ros_arguments=["--log-level", settings.log_level],
        output="screen",
        on_exit=end_of(node),
    )


def end_of(node: NodeDescription) -> Callable[[ProcessExited, LaunchContext], list[Action]]:
    """Return what ends the launch with a process: with exit code 1 where the process failed."""
    name = f"{node.executable} in {node.namespace}"

    def on_exit(event: ProcessExited, context: LaunchContext) -> list[Action]:
        if event.returncode and not context.is_shutdown:
            raise RuntimeError(f"{name} ended with exit code {event.returncode}; it says why above")
        return [Shutdown(reason=f"{name} has ended")]

    return on_exit


def start(context: LaunchContext) -> list[Action]:
    """Describe the graph, and start it."""
    settings = settings_from(context)
    announce = get_logger("launch.user").info
    source = (
        None
        if settings.replay == NO_REPLAY
        else ReplaySource.find(
            settings.replay, settings.agents, announce, settings.indices, settings.topics
        )
    )
    nodes = cooperative_graph(settings, source)
    if LaunchConfiguration("channel").perform(context) == "true":
        nodes = through_channel(nodes, {"use_sim_time": False, "autostart": settings.autostart})
    if LaunchConfiguration("radio").perform(context) == "true":
        nodes = with_radio(nodes, {"use_sim_time": False, "autostart": settings.autostart})
    require_installed(nodes, os.environ)
    return [action_from(node, settings) for node in nodes]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the graph."""
    variables = {**middleware_environment(os.environ), **HUGE_PAGES}
    environment = [
        SetEnvironmentVariable(name, EnvironmentVariable(name, default_value=value))
        for name, value in variables.items()
    ]
    return LaunchDescription([*ARGUMENTS, *environment, OpaqueFunction(function=start)])
