# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs the demo from the start of the processes to the picture."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import Progress

from quantv2x_ros.data.bag_writer import BagWriter
from quantv2x_ros.data.scenario import FRAME_PERIOD
from quantv2x_ros.demo.preparation import prepare_engines
from quantv2x_ros.environment.interruption import signals_held_back
from quantv2x_ros.environment.resources import find_bundle
from quantv2x_ros.graph.graph import cooperative_graph
from quantv2x_ros.graph.processes import ProcessGraph, node_environment
from quantv2x_ros.graph.replay_source import ReplaySource
from quantv2x_ros.graph.settings import GraphSettings
from quantv2x_ros.inference.model.bundle import ModelBundle

#: Longest wait for the next objects, seconds: a first start compiles kernels.
PATIENCE = 240.0
#: A scene that a computer cannot play in real time is watched at least until so many frames are
#: fused.
ENOUGH_FRAMES = 40
#: And at least for so long: a scene that is played in real time is then over, seconds.
ENOUGH_SECONDS = 10.5
#: The stage that is the whole latency, as fusion names it.
LATENCY = "sweep to objects"
#: Sweeps a second of the scene's sensors.
SENSOR_HZ = 1.0 / FRAME_PERIOD
#: Where there is no terminal, a line this often, seconds.
_LINE_PERIOD = 2.0
_REFRESH = 0.25


class DemoError(ValueError):
    """A demo that showed nothing."""


@dataclass(frozen=True)
class DemoSettings:
    """What the demo plays and where it leaves its results.

    Attributes:
        graph: the nodes and what they play.
        seconds: longest time to watch after the first objects; 0: until the scene is over, or, on a
            computer that is slower than real time, `ENOUGH_FRAMES` have been fused.
        out: folder for pictures and log.
        record: folder of a new rosbag2; None for none.
        pictures: whether to leave pictures.
    """

    graph: GraphSettings
    seconds: float
    out: Path
    record: Path | None = None
    pictures: bool = True


def run_demo(settings: DemoSettings, console: Console) -> dict[str, Any]:
    """Play, show, and draw.

    Returns:
        The summary: rate, frames, bytes a frame by agent, latency by stage, gain, files.

    Raises:
        DemoError: if no objects came.
        ValueError: for a scene, bundle or other input that cannot be used.
        ProcessGraphError: if a node failed.
    """
    graph_settings = settings.graph
    source = ReplaySource.find(
        graph_settings.replay, graph_settings.agents, console.print, graph_settings.indices
    )
    graph = cooperative_graph(settings.graph, source)
    bundle = ModelBundle.load(find_bundle(graph_settings.bundle))
    prepare_engines(bundle, graph_settings.backend, console)
    settings.out.mkdir(parents=True, exist_ok=True)
    log_file = settings.out / "nodes.log"
    # For this process, too: its node must receive large clouds when it records.
    os.environ.update(node_environment(os.environ))
    with ProcessGraph(
        graph,
        log_level=settings.graph.log_level,
        params_files=settings.graph.params_files,
        log_file=log_file,
    ) as processes:
        summary, objects = _watch(settings, source, processes, console)
        summary["exit_codes"] = processes.stop()
    if not settings.pictures or source.is_bag:
        return summary
    return {**summary, **_draw(settings, source, objects, console)}


def _watch(
    settings: DemoSettings, source: ReplaySource, processes: ProcessGraph, console: Console
) -> tuple[dict[str, Any], dict[int, Any]]:
    """Listen until the scene is over, show what is heard, and return a summary and the objects."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from quantv2x_ros.demo.observer import Observer
    from quantv2x_ros.demo.recorder import Recorder

    root = "/" + settings.graph.namespace.strip("/")
    names = {source.station(agent): agent for agent in source.agents}
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        observer = Observer(root)
        with contextlib.ExitStack() as stack:
            if settings.record is not None:
                bag = stack.enter_context(BagWriter(settings.record))
                Recorder(observer, bag, source, root)
            heading = (
                f"quantv2x_ros demo: {Path(source.path).name}, {len(names)} agents with "
                f"{SENSOR_HZ * settings.graph.rate:g} Hz"
            )
            _show(observer, names, processes, settings, console, heading)
        if not observer.frames:
            raise DemoError(f"no objects were published; see {settings.out / 'nodes.log'}")
        return _summary(observer, names, settings.graph.rate), observer.objects()
    finally:
        rclpy.try_shutdown()


def _show(
    observer: Any,
    names: dict[int, str],
    processes: ProcessGraph,
    settings: DemoSettings,
    console: Console,
    heading: str,
) -> None:
    """Spin the observer and refresh the view until the scene is over or time is up."""
    from rclpy.executors import SingleThreadedExecutor

    from quantv2x_ros.demo.live import headline, live_view

    executor = SingleThreadedExecutor()
    executor.add_node(observer)
    began, refreshed = time.monotonic(), 0.0
    view = Live(console=console, auto_refresh=False) if console.is_terminal else None
    with view or contextlib.nullcontext():
        while not processes.is_over():
            with signals_held_back():
                executor.spin_once(timeout_sec=0.05)
            now = time.monotonic()
            if now - max(began, observer.last_object_time) > PATIENCE:
                raise DemoError(f"no objects within {PATIENCE:.0f} s; see the nodes' log")
            if _is_enough(observer, settings.seconds, now):
                break
            if now - refreshed < (_REFRESH if view is not None else _LINE_PERIOD):
                continue
            refreshed = now
            if view is not None:
                view.update(live_view(observer, names, heading), refresh=True)
            elif observer.frames:
                console.print(headline(observer), soft_wrap=True)
    if view is None:
        console.print(live_view(observer, names, heading))
    executor.shutdown()


def _is_enough(observer: Any, seconds: float, now: float) -> bool:
    start = observer.first_object_time
    if start is None:
        return False
    if seconds > 0:
        return bool(now - start >= seconds)
    return bool(observer.frames >= ENOUGH_FRAMES and now - start >= ENOUGH_SECONDS)


def _summary(observer: Any, names: dict[int, str], rate: float) -> dict[str, Any]:
    """Gather what was measured.

    Args:
        observer: what has heard it.
        names: agents by station id.
        rate: speed at which the sensors' 10 Hz would be played.
    """
    counts = [len(m.contributing_stations) for m in observer.objects().values()]
    found = [stages.get(LATENCY) for stages in observer.stages().values()]
    p50, p95 = next((latency for latency in found if latency is not None), (None, None))
    return {
        "frames": observer.frames,
        "frames_with_all": sum(count == len(names) for count in counts),
        "hz": observer.mean_rate,
        "sensor_hz": SENSOR_HZ * rate,
        "latency_ms": {"p50": p50, "p95": p95},
        "bytes_per_frame": {
            name: observer.stations[station].mean_bytes
            for station, name in names.items()
            if station in observer.stations
        },
        "ms": {
            node: {stage: {"p50": p50, "p95": p95} for stage, (p50, p95) in stages.items()}
            for node, stages in observer.stages().items()
        },
        "dropped": observer.drops(),
    }


def _draw(
    settings: DemoSettings, source: ReplaySource, objects: Any, console: Console
) -> dict[str, Any]:
    """Leave picture and animation, and count what cooperation found."""
    from quantv2x_ros.data.scenario import Scenario
    from quantv2x_ros.demo.pictures import draw, pairs
    from quantv2x_ros.evaluation.detector import EngineDetector

    scenario = Scenario.open(source.path, skip_broken=True)
    bundle = ModelBundle.load(find_bundle(settings.graph.bundle))
    detector = EngineDetector(bundle, settings.graph.backend, settings.graph.threads)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("What would the ego see alone?", total=None)
        seen = pairs(
            scenario,
            source.agents,
            objects,
            detector,
            lambda done, total: progress.update(task, completed=done, total=total),
        )
    if not seen:
        raise DemoError("no frame was fused with all agents, so there is nothing to compare")
    console.print("Drawing …")
    picture, animation = draw(seen, settings.out, Path(source.path).name)
    truth = sum(len(pair.together.found()) for pair in seen)
    alone = sum(int(pair.alone.found().sum()) for pair in seen)
    together = sum(int(pair.together.found().sum()) for pair in seen)
    return {
        "frames_in_animation": len(seen),
        "objects_labelled": truth,
        "found_alone": alone,
        "found_together": together,
        "picture": str(picture),
        "animation": str(animation),
    }
