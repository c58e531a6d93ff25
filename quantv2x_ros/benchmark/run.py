# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The measuring process: runs both pipelines in turn and gathers the result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from quantv2x_ros.benchmark.agreement import agreement
from quantv2x_ros.benchmark.frames import BenchmarkFrame, load_frame
from quantv2x_ros.benchmark.ours import OurPipeline
from quantv2x_ros.benchmark.roofline import (
    Ceilings,
    StageCost,
    engine_shapes,
    other_costs,
    roofline,
)
from quantv2x_ros.benchmark.samples import Samples, compare
from quantv2x_ros.benchmark.scaling import (
    scale_agents,
    scale_candidates,
    scale_points,
    scale_range,
)
from quantv2x_ros.benchmark.settings import BenchmarkSettings
from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.environment.machine import describe_machine
from quantv2x_ros.inference.model.bundle import ModelBundle

#: Stages of which both sides have a time.
SHARED_STAGES = ("encoder", "fusion", "detection", "frame")

#: Told what is being measured, and which part of all is done.
Report = Callable[[str, float], None]


class Pipeline(Protocol):
    """What is measured: clouds to boxes."""

    def run(self, frame: BenchmarkFrame) -> tuple[Detections, dict[str, float]]:
        """Detections, and milliseconds by stage."""


def measure(settings: BenchmarkSettings, report: Report) -> dict[str, Any]:
    """Measure everything that the settings ask for.

    Args:
        settings: what to measure.
        report: told about the progress.

    Returns:
        The result, ready for JSON; milliseconds, megabytes.
    """
    machine = describe_machine(settings.threads, settings.isa)
    report("loading", 0.0)
    bundle = ModelBundle.load(Path(settings.bundle))
    plain = _plain(bundle, settings)  # first: where torch is not installed that is said at once
    frame = load_frame(settings.scenario, settings.max_agents, settings.points)
    ours = OurPipeline(bundle, settings.backend, settings.threads)
    by_agents = _side_by_side(ours, plain, frame, settings, report)
    agreed = _agreement(ours, plain, bundle, frame.first(settings.agents), settings)
    reference = _polygon_nms() if settings.torch else None
    report("suppression", 0.7)
    threshold = bundle.detection.nms_threshold
    candidates = scale_candidates(threshold, max(settings.rounds // 4, 2), reference)
    main = by_agents[str(settings.agents)]
    theirs = main["torch_fp32"] or {}
    stages = {stage: compare(main["ours"][stage], theirs.get(stage)) for stage in SHARED_STAGES}
    stages["nms"] = {**candidates["1000"], "candidates": 1000}
    result: dict[str, Any] = {
        "stages": stages,
        "finer_stages": main["ours"],
        "agents_of_stages": settings.agents,
        "points": settings.points or [len(cloud) for cloud in frame.clouds],
        "agents": by_agents,
        "agreement": agreed,
        "bundle": {"name": bundle.name, "version": bundle.version, "precision": bundle.precision},
        "machine": machine,
        "scaling": {"candidates": candidates},
    }
    if settings.scaling:
        result["scaling"].update(_scaling(ours, bundle, frame, settings, report))
    report("ceilings of the machine", 0.95)
    result["roofline"] = _roofline(bundle, settings, main["ours"])
    return result


def _plain(bundle: ModelBundle, settings: BenchmarkSettings) -> Pipeline | None:
    if not settings.torch:
        return None
    from quantv2x_ros.benchmark.torch_reference.plain import PlainPipeline

    return PlainPipeline.published(bundle, settings.threads)


def _agreement(
    ours: OurPipeline,
    plain: Pipeline | None,
    bundle: ModelBundle,
    frame: BenchmarkFrame,
    settings: BenchmarkSettings,
) -> dict[str, Any] | None:
    """Compare the boxes with those of the bundle's own network in torch."""
    if plain is None:
        return None
    if bundle.manifest.architecture != "published":  # what was timed is not its network
        from quantv2x_ros.benchmark.torch_reference.plain import PlainPipeline

        plain = PlainPipeline(bundle, settings.threads)
    return agreement(ours.run(frame)[0], plain.run(frame)[0])


def _polygon_nms() -> Callable[..., Any]:
    from quantv2x_ros.benchmark.torch_reference.polygons import polygon_nms

    return polygon_nms


def _side_by_side(
    ours: OurPipeline,
    plain: Pipeline | None,
    frame: BenchmarkFrame,
    settings: BenchmarkSettings,
    report: Report,
) -> dict[str, Any]:
    """Both pipelines for each number of agents, in turn within every round."""
    counts = range(1, settings.max_agents + 1)
    tables = {agents: (Samples(), Samples()) for agents in counts}
    for number in range(settings.rounds + 1):  # the first warms up
        for agents in counts:
            report(
                f"round {number} of {settings.rounds}, {agents} agents",
                0.7 * number / (settings.rounds + 1),
            )
            part = frame.first(agents)
            for _ in range(settings.repeats):
                _, times = ours.run(part)
                if number:
                    tables[agents][0].add(times)
            if plain is not None:
                _, times = plain.run(part)
                if number:
                    tables[agents][1].add(times)
    return {
        str(agents): {"ours": own.summary(), "torch_fp32": other.summary() or None}
        for agents, (own, other) in tables.items()
    }


def _scaling(
    ours: OurPipeline,
    bundle: ModelBundle,
    frame: BenchmarkFrame,
    settings: BenchmarkSettings,
    report: Report,
) -> dict[str, Any]:
    runs = settings.rounds
    report("growth with points", 0.75)
    points = scale_points(ours, frame, runs)
    report("growth with agents", 0.8)
    agents = scale_agents(ours, frame, runs)
    report("growth with range", 0.9)
    chosen = frame.first(settings.agents)
    ranges = scale_range(bundle, settings.backend, settings.threads, chosen, runs)
    return {"points": points, "agents": agents, "range": ranges}


def _roofline(
    bundle: ModelBundle, settings: BenchmarkSettings, stages: dict[str, dict[str, float]]
) -> dict[str, Any]:
    from quantv2x_ros.benchmark.roofline import engine_cost, int8_ceiling, memory_ceiling

    ceilings = Ceilings(int8_ceiling(settings.threads), memory_ceiling(settings.threads))
    costs = other_costs(bundle, settings.points, settings.agents)
    files = {"encoder.encoder": "encoder", "fusion.pyramid_per_agent": "pyramid"}
    for stage, shapes in engine_shapes(bundle).items():
        path = bundle.engine_path(files.get(stage, "head"))
        cost = engine_cost(path, shapes)
        costs[stage] = StageCost(cost.macs, cost.border_bytes)
    medians = {stage: row["p50"] for stage, row in stages.items()}
    return {
        "ceilings": {
            "int8_gmacs_per_second": round(ceilings.macs / 1e9, 1),
            "memory_gb_per_second": round(ceilings.bytes / 1e9, 2),
        },
        "stages": roofline(costs, medians, ceilings),
    }
