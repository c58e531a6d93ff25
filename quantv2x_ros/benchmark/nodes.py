# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A vehicle's own load: its nodes run as processes, peers' indices come in over the topic."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from quantv2x_msgs.msg import BevIndices, DetectedObject3DArray
from quantv2x_ros.benchmark.node_times import FrameTimes, summarize_frames
from quantv2x_ros.benchmark.settings import INSTRUCTION_SETS, BenchmarkError, check_isa
from quantv2x_ros.core.transport.packet import TILE, station_of
from quantv2x_ros.data.agent_names import agent_namespace, station_id
from quantv2x_ros.data.recording import RecordOptions, record_scenario
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.environment.interruption import signals_held_back
from quantv2x_ros.environment.machine import describe_machine
from quantv2x_ros.evaluation.index_recorder import IndexRecorder
from quantv2x_ros.graph.graph import cooperative_graph
from quantv2x_ros.graph.processes import ProcessGraph, node_environment
from quantv2x_ros.graph.replay_source import ReplaySource, default_scene
from quantv2x_ros.graph.settings import GraphSettings
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.conversions import nanoseconds

_RELIABLE = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE)


class NodeObserver(Node):  # type: ignore[misc]
    """A node that only listens. A sweep's pose leaves replay just before its cloud.

    Attributes:
        frames: what came when, by the sweep's stamp, nanoseconds.
    """

    def __init__(self, station: int) -> None:
        """Subscribe.

        Args:
            station: the ego's.
        """
        super().__init__("benchmark_observer")
        self._station = station
        self.frames: dict[int, FrameTimes] = {}
        self.create_subscription(PoseWithCovarianceStamped, "pose", self._on_pose, _RELIABLE)
        self.create_subscription(BevIndices, "/v2x/bev_indices", self._on_indices, _RELIABLE)
        self.create_subscription(DetectedObject3DArray, "objects", self._on_objects, qos.output())

    def _frame(self, message: object) -> FrameTimes:
        stamp = nanoseconds(message.header.stamp)  # type: ignore[attr-defined]
        return self.frames.setdefault(stamp, FrameTimes())

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        self._frame(message).sweep = time.monotonic()

    def _on_indices(self, message: BevIndices) -> None:
        if message.packet[0] >> 4 != TILE:
            return
        frame, now = self._frame(message), time.monotonic()
        if station_of(message.packet) == self._station:
            frame.own_indices = now
        else:
            frame.peers_indices = now

    def _on_objects(self, message: DetectedObject3DArray) -> None:
        frame = self._frame(message)
        frame.objects = time.monotonic()
        frame.agents = len(message.contributing_stations)


#: Longest wait for the first output, seconds: a first start compiles engines and kernels.
_START_LIMIT = 240.0

Report = Callable[[str, float], None]


@dataclass(frozen=True)
class NodeBenchmarkSettings:
    """What runs.

    Attributes:
        bundle: folder of the model bundle.
        scenario: folder of a scenario; empty for the simulated one.
        agents: the ego, and peers that are heard.
        backend: of the engines.
        threads: CPU threads of each engine.
        rates: speeds of the replay against real time, one run each; 1 is ten sweeps a second.
        seconds: how long each run is, after the first output.
        warm_up: not counted, seconds.
        encoder_only: the first agent's encoder runs alone, as on a roadside unit.
        isa: instruction set to be held to: one of `INSTRUCTION_SETS`, or empty.
    """

    bundle: str
    scenario: str = ""
    agents: int = 2
    backend: str = "auto"
    threads: int = 2
    rates: tuple[float, ...] = (1.0,)
    seconds: float = 40.0
    warm_up: float = 5.0
    encoder_only: bool = False
    isa: str = ""

    def __post_init__(self) -> None:
        """Raise BenchmarkError naming the setting that is not allowed."""
        if self.agents < 1 or self.threads < 1:
            raise BenchmarkError(
                f"agents and threads must be 1 or more, got {self.agents} and {self.threads}"
            )
        if self.encoder_only and self.agents != 1:
            raise BenchmarkError(f"agents: got {self.agents}, an encoder alone hears none: only 1")
        fitting = all(0.0 < rate <= 10.0 for rate in self.rates)
        if not (self.rates and fitting and 0.0 <= self.warm_up < self.seconds):
            rates = ", ".join(map(str, self.rates)) or "none"
            raise BenchmarkError(
                "rates must be above 0 and at most 10, and seconds longer than the warm-up, got"
                f" {rates}, {self.seconds} and {self.warm_up}"
            )
        check_isa(self.isa)


def measure_nodes(settings: NodeBenchmarkSettings, report: Report) -> dict[str, Any]:
    """Record what the ego and the air hold, play it to the ego's nodes, and watch.

    Args:
        settings: what runs.
        report: told about the progress.

    Returns:
        The result, ready for JSON.

    Raises:
        BenchmarkError: where nothing came out, or too little.
        ValueError: for a scenario or bundle that cannot be used.
        ProcessGraphError: if a node failed.
    """
    machine = describe_machine(settings.threads, settings.isa)
    if settings.isa:  # of the nodes' processes
        os.environ["ONEDNN_MAX_CPU_ISA"] = INSTRUCTION_SETS[settings.isa]
    report("the scene", 0.0)
    bundle = ModelBundle.load(settings.bundle)
    scenario = Scenario.open(settings.scenario or default_scene(settings.agents), skip_broken=True)
    agents = tuple(scenario.agents[: settings.agents])
    if len(agents) < settings.agents:
        raise BenchmarkError(
            f"agents: got {settings.agents}, {scenario.folder} has {', '.join(scenario.agents)}"
        )
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder) / "bag"
        points = _record(scenario, agents, bundle, settings, bag, report)
        runs = [
            {
                **_run(settings, rate, agents[0], bag, report),
                "input_hz": 10.0 * rate,
                "agents": len(agents),
            }
            for rate in settings.rates
        ]
    return {
        "runs": runs,
        "points": points,
        "bundle": {"name": bundle.name, "version": bundle.version, "precision": bundle.precision},
        "machine": machine,
    }


def _record(
    scenario: Scenario,
    agents: tuple[str, ...],
    bundle: ModelBundle,
    settings: NodeBenchmarkSettings,
    bag: Path,
    report: Report,
) -> dict[str, int]:
    """Write the bag; return the number of points of each agent's first cloud."""
    supplement = IndexRecorder(bundle, agents, settings.backend, settings.threads)
    frames = len(scenario.timestamps)
    done = 0

    def progress() -> None:
        nonlocal done
        done += 1
        report("recording what is played", 0.4 * done / frames)

    options = RecordOptions("mcap", agents, truth=False)
    record_scenario(scenario, bag, options, progress, supplement)
    first = scenario.frame(scenario.timestamps[0])
    return {agent: len(first[agent].points) for agent in agents if agent in first.agents}


def _run(
    settings: NodeBenchmarkSettings, rate: float, ego: str, bag: Path, report: Report
) -> dict[str, Any]:
    graph = GraphSettings(
        bundle=settings.bundle,
        backend=settings.backend,
        replay=str(bag),
        agents=f"{agent_namespace(ego)},",
        heard=True,
        rate=rate,
        loop=True,
        threads=settings.threads,
    )
    nodes = cooperative_graph(graph, ReplaySource.find(graph.replay, graph.agents))
    # how long packets wait for their turn on a radio is no time of this computer
    nodes = tuple(
        replace(node, parameters={**node.parameters, "radio": "none"})
        if node.executable in ("ego", "encoder")
        else node
        for node in nodes
    )
    if settings.encoder_only:
        nodes = tuple(
            replace(node, executable="encoder") if node.executable == "ego" else node
            for node in nodes
        )
    os.environ.update(node_environment(os.environ))
    log = bag.parent / "nodes.log"
    with ProcessGraph(nodes, log_level="warn", log_file=log) as processes:
        return _watch(settings, station_id(ego), processes, log, report)


def _watch(
    settings: NodeBenchmarkSettings,
    station: int,
    processes: ProcessGraph,
    log: Path,
    report: Report,
) -> dict[str, Any]:
    """Listen for the time that was asked for."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    from quantv2x_ros.benchmark.nodes import NodeObserver

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        observer = NodeObserver(station)
        executor = SingleThreadedExecutor()
        executor.add_node(observer)
        began, first = time.monotonic(), None
        while not processes.is_over():
            with signals_held_back():
                executor.spin_once(timeout_sec=0.05)
            now = time.monotonic()
            if first is None:
                ends = (frame.end(settings.encoder_only) for frame in observer.frames.values())
                if any(end is not None for end in ends):
                    first = now
                elif now - began > _START_LIMIT:
                    raise BenchmarkError(
                        f"nothing came out within {_START_LIMIT:.0f} s; the nodes said:\n"
                        + log.read_text(errors="replace")[-2000:]
                    )
                continue
            report("nodes are running", 0.4 + 0.6 * min(1.0, (now - first) / settings.seconds))
            if now - first >= settings.seconds:
                break
        executor.shutdown()
        return summarize_frames(
            observer.frames, settings.warm_up, encoder_only=settings.encoder_only
        )
    finally:
        rclpy.try_shutdown()
