# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""This package's pipeline, stage by stage."""

from __future__ import annotations

import time

from quantv2x_ros.benchmark.frames import BenchmarkFrame, Cloud
from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle

Times = dict[str, float]


class OurPipeline:
    """Clouds to boxes with the engines of a bundle, without the bytes in between.

    Args:
        bundle: the model.
        backend: of the engines.
        threads: CPU threads.
    """

    def __init__(self, bundle: ModelBundle, backend: str, threads: int) -> None:
        self.bundle = bundle
        self.encoder = AgentEncoder(bundle, backend, threads, keep_own=True)
        self.detector = CooperativeDetector(bundle, backend, threads)

    def encode(self, cloud: Cloud) -> Times:
        """Encode one cloud: ``encoder`` and its parts, milliseconds."""
        start = time.perf_counter()
        sweep = self.encoder.encode(cloud)
        total = 1e3 * (time.perf_counter() - start)
        parts = {f"encoder.{name}": value for name, value in sweep.stage_ms.items()}
        return {"encoder": total, **parts}

    def run(self, frame: BenchmarkFrame) -> tuple[Detections, Times]:
        """Run one frame.

        Returns:
            The detections; milliseconds of ``frame``, of ``encoder`` (the mean over agents, as each
            agent computes its own), of ``fusion`` (pyramids of all agents, warp and heads),
            ``detection``, and their parts.
        """
        start = time.perf_counter()
        sweeps = [self.encoder.encode(cloud) for cloud in frame.clouds]
        encoded = time.perf_counter()
        pyramids = [
            self.detector.pyramid(sweep.indices, None, frame.ego_to_agents[agent])
            if agent or sweep.own is None
            else self.detector.own_pyramid(sweep.own)
            for agent, sweep in enumerate(sweeps)
        ]
        result = self.detector.fuse(pyramids, frame.ego_to_agents)
        end = time.perf_counter()
        agents = len(sweeps)
        stages = result.stage_ms
        after = stages["detection"] + stages["contributions"]
        times = {
            "frame": 1e3 * (end - start),
            "encoder": 1e3 * (encoded - start) / agents,
            "fusion": 1e3 * (end - encoded) - after,
            "detection": after,
        }
        for part in sweeps[0].stage_ms:
            times[f"encoder.{part}"] = sum(sweep.stage_ms[part] for sweep in sweeps) / agents
        times["fusion.pyramid_per_agent"] = sum(p.stage_ms["pyramid"] for p in pyramids) / agents
        for part, value in stages.items():
            group = "detection" if part in ("detection", "contributions") else "fusion"
            times[f"{group}.{part}"] = value
        return result.detections, times
