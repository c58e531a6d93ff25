# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Plays a scene in a loop over the simulated channel, while peers come and go."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from quantv2x_ros.core.channel.channel_model import ChannelSettings
from quantv2x_ros.graph.graph import NodeDescription, cooperative_graph, through_channel
from quantv2x_ros.graph.processes import ProcessGraph, node_environment
from quantv2x_ros.graph.replay_source import ReplaySource
from quantv2x_ros.graph.settings import GraphSettings
from quantv2x_ros.soak.report import memory_growth, missed_deadlines

#: Longest wait for the first result, seconds: a first start compiles engines and kernels.
_START_LIMIT = 300.0
_SAMPLE_PERIOD = 1.0
#: What is added to the niceness of peers' processes.
_PEER_NICENESS = 10


class SoakError(ValueError):
    """A soak that showed nothing."""


@dataclass(frozen=True)
class SoakSettings:
    """What is run.

    Attributes:
        graph: the nodes and what they play; more than one agent.
        channel: state of the channel.
        seed: seed of the channel.
        seconds: how long after the first result.
        warm_up: not judged, seconds after the first result.
        absence: a peer is away for so long, then the next one, seconds; 0: all stay.
        longest_gap: allowed between two results, seconds.
        log_file: takes what the nodes print.
    """

    graph: GraphSettings
    channel: ChannelSettings = field(default_factory=ChannelSettings)
    seed: int = 0
    seconds: float = 1800.0
    warm_up: float = 60.0
    absence: float = 15.0
    longest_gap: float = 0.5
    log_file: Path = Path("soak.log")


@dataclass
class _Peer:
    """A peer's process, which may be away."""

    node: NodeDescription
    process: ProcessGraph | None = None

    def start(self, settings: SoakSettings) -> None:
        log = settings.log_file.with_suffix(f".{self.node.namespace.rsplit('/', 1)[-1]}.log")
        self.process = ProcessGraph([self.node], log_level=settings.graph.log_level, log_file=log)
        for process in self.process.processes:
            # a real peer has a computer of its own: its start must not take the ego's time
            niceness = os.getpriority(os.PRIO_PROCESS, process.pid) + _PEER_NICENESS
            os.setpriority(os.PRIO_PROCESS, process.pid, niceness)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()
            self.process = None


def soak_graph(
    settings: SoakSettings, source: ReplaySource
) -> tuple[list[NodeDescription], list[NodeDescription]]:
    """Return the nodes that stay (ego, replay, channel) and the peers' encoders.

    Raises:
        SoakError: for a scene without peers.
        ValueError: for a bundle that is not there.
    """
    channel = {**asdict(settings.channel), "seed": settings.seed}
    nodes = through_channel(cooperative_graph(replace(settings.graph, loop=True), source), channel)
    peers = [node for node in nodes if node.executable == "encoder"]
    if not peers:
        raise SoakError("a soak needs a peer: choose a scene and agents with two or more")
    return [node for node in nodes if node.executable != "encoder"], peers


def run_soak(settings: SoakSettings, announce: Callable[[str], None]) -> dict[str, Any]:
    """Run, and return what was seen.

    Args:
        settings: what.
        announce: takes a line now and then.

    Raises:
        SoakError: if no result came.
        ProcessGraphError: if a node failed.
        ValueError: for input that cannot be used.
    """
    source = ReplaySource.find(settings.graph.replay, settings.graph.agents, announce)
    stay, peer_nodes = soak_graph(settings, source)
    os.environ.update(node_environment(os.environ))
    with contextlib.ExitStack() as stack:
        graph = stack.enter_context(
            ProcessGraph(stay, log_level=settings.graph.log_level, log_file=settings.log_file)
        )
        peers = [_Peer(node) for node in peer_nodes]
        for peer in peers:
            stack.callback(peer.stop)
            peer.start(settings)
        return _watch(settings, graph, peers, announce)


def _watch(
    settings: SoakSettings,
    graph: ProcessGraph,
    peers: Sequence[_Peer],
    announce: Callable[[str], None],
) -> dict[str, Any]:
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    from quantv2x_ros.soak.observer import SoakObserver

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        observer = SoakObserver("/" + settings.graph.namespace.strip("/"))
        executor = SingleThreadedExecutor()
        executor.add_node(observer)
        # in a thread of its own, so that a peer that takes its time to go delays no time stamp
        listening = threading.Thread(target=executor.spin, name="observer", daemon=True)
        listening.start()
        record = _Record(
            {node.executable: p.pid for node, p in zip(graph.nodes, graph.processes, strict=True)}
        )
        began = time.monotonic()
        while not graph.is_over():
            time.sleep(0.05)
            now = time.monotonic()
            if not observer.results:
                if now - began > _START_LIMIT:
                    raise SoakError(
                        f"no result within {_START_LIMIT:.0f} s; see {settings.log_file}"
                    )
                continue
            elapsed = now - observer.results[0]
            if elapsed >= settings.seconds:
                break
            record.sample(elapsed)
            _come_and_go(settings, peers, elapsed, announce)
        executor.shutdown()
        listening.join()
        return _summary(settings, observer, record)
    finally:
        rclpy.try_shutdown()


class _Record:
    """Resident memory of the processes over time."""

    def __init__(self, processes: dict[str, int]) -> None:
        self._processes = processes
        self.times: list[float] = []
        self.sizes: dict[str, list[float]] = {name: [] for name in processes}

    def sample(self, elapsed: float) -> None:
        """Take a sample if one is due."""
        if self.times and elapsed - self.times[-1] < _SAMPLE_PERIOD:
            return
        self.times.append(elapsed)
        for name, process in self._processes.items():
            pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
            self.sizes[name].append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


def _come_and_go(
    settings: SoakSettings, peers: Sequence[_Peer], elapsed: float, announce: Callable[[str], None]
) -> None:
    """Let the peers be away in turns, each time for one period, then all here for one."""
    if settings.absence <= 0:
        return
    turn = int(elapsed / settings.absence)
    away = (turn // 2) % len(peers) if turn % 2 else -1
    for number, peer in enumerate(peers):
        if number == away and peer.process is not None:
            announce(f"{elapsed:.0f} s: {peer.node.namespace} goes")
            peer.stop()
        elif number != away and peer.process is None:
            announce(f"{elapsed:.0f} s: {peer.node.namespace} comes")
            peer.start(settings)


def _summary(settings: SoakSettings, observer: Any, record: _Record) -> dict[str, Any]:
    start = observer.results[0]
    times = [result - start for result in observer.results]
    return {
        "seconds": record.times[-1] if record.times else 0.0,
        "memory": {
            name: memory_growth(record.times, sizes, settings.warm_up)
            for name, sizes in record.sizes.items()
        },
        "deadlines": missed_deadlines(times, settings.longest_gap, settings.warm_up),
        "fused_with_peers": observer.with_peers,
        "dropped": observer.drops.totals(),
        "channel": {
            key: value
            for name, values in observer.diagnostics.items()
            if name.endswith("/channel")
            for key, value in values.items()
            if value.isdigit()
        },
    }
