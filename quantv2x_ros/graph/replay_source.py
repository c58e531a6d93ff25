# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The recording that is replayed and its agents, found in one way by replay, launch and demo."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from quantv2x_ros.core.cache_folder import cache_folder, find_cache_folder
from quantv2x_ros.data.agent_names import agent_namespace, station_id
from quantv2x_ros.data.bag_files import is_bag_like
from quantv2x_ros.data.bag_topics import DEFAULT_TOPICS, ROOT_AGENT, BagTopics

#: Seed and layout of the scene: a crossing where each agent hides much from the other. Training
#: uses other seeds.
SEED = 20_260_011
LAYOUT = "intersection"
#: Length of the scene at 10 Hz, frames.
FRAMES = 100


#: Folder of scenes in the cache folder.
SCENES = "scenes"


def default_scene(
    agents: int,
    *,
    seed: int = SEED,
    frames: int = FRAMES,
    folder: Path | None = None,
    announce: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Return a simulated scenario, which the first call makes and keeps.

    The agents are called 1 (the ego), -1, 2, -2, and so on: vehicles and, negative, roadside units.
    A changed simulator makes a new scene.

    Args:
        agents: number of agents.
        seed: seed of the scene.
        frames: number of its frames at 10 Hz.
        folder: folder where scenes are kept; None for the user's cache folder.
        announce: called with a sentence before a scene is made.
        progress: called with (frames done, frames) while it is made.

    Raises:
        OSError: naming the folder, if neither it nor any other can be written.
    """
    base = folder or cache_folder(SCENES)
    if base is None:
        raise OSError(find_cache_folder().trouble)
    scene = base / f"{LAYOUT}_seed{seed}_agents{agents}_frames{frames}_{_simulator_hash()}"
    if scene.is_dir():
        return scene
    from quantv2x_ros.data.simulator import write_scenario

    if announce is not None:
        announce(f"Simulating {frames} frames of {agents} agents once, into {scene}")
    base.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="partial_", dir=base))
    try:
        write_scenario(
            partial, seed=seed, frames=frames, agents=agents, layout=LAYOUT, progress=progress
        )
        try:
            partial.rename(scene)
        except OSError:
            if not scene.is_dir():  # else another process was faster
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return scene


def _simulator_hash() -> str:
    """Return a short hash of the simulator's sources."""
    from quantv2x_ros.data import simulator

    digest = hashlib.sha256()
    for source in sorted(Path(simulator.__path__[0]).glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


#: Agents of the simulated scene where no number is given.
DEFAULT_AGENTS = 2
INDICES_TOPIC = "/v2x/bev_indices"
CODEBOOK_TOPIC = "/v2x/codebook"


class ReplaySourceError(ValueError):
    """A recording or choice of agents that cannot be played."""


@dataclass(frozen=True)
class ReplaySource:
    """A recording and the agents in it that are played.

    Attributes:
        path: folder of the scenario, or path of the bag.
        agents: names in the recording, the ego first: a dataset's agents, a bag's namespaces, or
            the station ids where indices alone are played.
        is_bag: whether the recording is a rosbag2.
        indices_only: whether the bag's indices are played instead of its clouds.
        topics: names of the topics of a bag's agents.
    """

    path: str
    agents: tuple[str, ...]
    is_bag: bool
    indices_only: bool = False
    topics: BagTopics = DEFAULT_TOPICS

    @classmethod
    def find(
        cls,
        path: str,
        agents: str = "all",
        announce: Callable[[str], None] | None = None,
        indices: bool = False,
        topics: BagTopics = DEFAULT_TOPICS,
    ) -> ReplaySource:
        """Find a recording.

        Args:
            path: path of a scenario or rosbag2; empty for the simulated scene, which is made if it
                does not exist.
            agents: ``all``, a number, or names separated by commas, the ego first.
            announce: called with a sentence before a scene is made.
            indices: whether a bag's indices are played even if it has clouds; those of a bag
                without clouds always are.
            topics: names of the topics of a bag's agents.

        Raises:
            ReplaySourceError: naming the agents there are, or for indices or topics of a dataset.
            ValueError: for a recording that cannot be read.
        """
        if not path:
            path = str(default_scene(_count(agents) or DEFAULT_AGENTS, announce=announce))
        folder = Path(path).expanduser()
        is_bag = is_bag_like(folder)
        if indices and not is_bag:
            raise ReplaySourceError(
                f"replay: {folder} is no rosbag2, so it holds no indices; make one with "
                "`python -m quantv2x_ros record --indices`"
            )
        if topics != DEFAULT_TOPICS and not is_bag:
            raise ReplaySourceError(
                f"points_topic, pose_topic, pose_source: {folder} is a dataset, which has no topics"
                "; leave them out"
            )
        if is_bag and (indices or not clouds_in(folder)):
            return cls(str(folder), _choose(bag_stations(folder), agents, folder), True, True)
        known = list(topics.agents(folder)) if is_bag else _dataset_agents(folder)
        return cls(str(folder), _choose(known, agents, folder), is_bag, topics=topics)

    def namespace(self, agent: str) -> str:
        """Return the namespace of an agent's topics: empty for the ego."""
        if agent == self.agents[0]:
            return ""
        if agent == ROOT_AGENT:
            return agent_namespace("root")
        return agent if self.is_bag else agent_namespace(agent)

    def station(self, agent: str) -> int:
        """Return the station id of an agent."""
        if self.indices_only:
            return int(agent)
        if not self.is_bag:
            return station_id(agent)
        number = agent.removeprefix(agent_namespace(""))  # "agent_m1" was "-1" in the dataset
        return station_id(f"-{number[1:]}" if number.startswith("m") else number)


def topic_of(namespace: str, name: str) -> str:
    """Join an agent's namespace, which may be empty, and a topic."""
    return f"{namespace}/{name}" if namespace else name


def clouds_in(path: Path) -> bool:
    """Tell whether a bag has a topic of clouds with messages.

    Raises:
        ValueError: for a bag that cannot be read.
    """
    from quantv2x_ros.data.bag import BagReader
    from quantv2x_ros.data.recorded_messages import POINTS_TYPE

    with BagReader(path) as bag:
        return any(t.count and t.msgtype == POINTS_TYPE for t in bag.topics.values())


def bag_stations(path: Path) -> list[str]:
    """Return the ids of the stations whose indices are in a bag, ascending.

    Raises:
        ReplaySourceError: for a bag without indices.
        ValueError: for a bag that cannot be read.
    """
    from quantv2x_ros.core.transport.packet import station_of
    from quantv2x_ros.data.bag import BagReader
    from quantv2x_ros.data.message_types import deserialize

    with BagReader(path) as bag:
        topic = bag.topics.get(INDICES_TOPIC)
        if topic is None or not topic.count:
            raise ReplaySourceError(
                f"bag {path}: it has neither clouds with poses nor {INDICES_TOPIC}; its topics are "
                f"{', '.join(sorted(bag.topics)) or 'none'}"
            )
        stations = {
            station_of(bytes(deserialize(message.msgtype, message.data).packet))
            for message in bag.messages([INDICES_TOPIC])
        }
    return [str(station) for station in sorted(stations)]


def _dataset_agents(folder: Path) -> list[str]:
    """Return the agents of a scenario in their order."""
    from quantv2x_ros.data.scenario import Scenario

    return Scenario.open(folder, skip_broken=True).agents


def _count(agents: str) -> int | None:
    """Return the requested number of agents; None for ``all``, empty or names."""
    return int(agents) if agents.isdecimal() else None


def _choose(known: list[str], agents: str, folder: Path) -> tuple[str, ...]:
    """Return the requested agents."""
    count = _count(agents)
    if agents in ("", "all"):
        return tuple(known)
    if count is not None and count > 0:
        if count > len(known):
            raise ReplaySourceError(
                f"agents: {count} wanted, {folder} has {len(known)}: {', '.join(known)}; all plays"
                " all of them"
            )
        return tuple(known[:count])
    names = tuple(name.strip() for name in agents.split(",") if name.strip())
    # A bag made from a dataset may be asked for its agents by the dataset's names, too.
    names = tuple(
        n if n in known or agent_namespace(n) not in known else agent_namespace(n) for n in names
    )
    unknown = [name for name in names if name not in known]
    if unknown or len(set(names)) < len(names):
        raise ReplaySourceError(
            f"agents: got {agents!r}, expected all, a number, or different names with commas "
            f"between, out of {', '.join(known)}"
        )
    return names
