# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What quantization costs in average precision, with progress shown."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from quantv2x_ros.core.detection.detection import PROTOCOL_SCORE, Detections
from quantv2x_ros.environment.progress import counted, counting_progress
from quantv2x_ros.evaluation.detector import EngineDetector
from quantv2x_ros.evaluation.settings import EvaluationConfig
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.protocol import Detector
from quantv2x_ros.training.detector import TorchDetector
from quantv2x_ros.training.export.bundle_writer import BundleSettings, export_bundle
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.quantization.comparison import compare, measure
from quantv2x_ros.training.quantization.sensitivity import sensitivity
from quantv2x_ros.training.quantization.simulation import SimulatedNetwork


@dataclass(frozen=True)
class Measurement:
    """A quantized network on a dataset.

    Attributes:
        network: before it was quantized.
        graphs: quantized.
        precision: of the graphs, such as w4a8.
        bundle: written from the graphs.
        data: dataset.
        config: of the evaluation.
        simulated_frames: frames, spread over the data, on which the simulation runs, which is an
            order of magnitude slower than engines.
    """

    network: QuantV2XNetwork
    graphs: NetworkGraphs
    precision: str
    bundle: ModelBundle
    data: Path
    config: EvaluationConfig
    simulated_frames: int

    def precisions(self) -> dict[str, Any]:
        """Evaluate the bundle's engines, FP32 engines of the network, and the simulation.

        Returns:
            AP of each, and how the boxes differ.
        """
        bundle, few = self._ranked, self._few
        with self._full_precision() as full:
            fp32, fp32_boxes = self._run("fp32", EngineDetector(full), self.config)
        engines, engine_boxes = self._run(self.precision, EngineDetector(bundle), self.config)
        simulator = TorchDetector(bundle, SimulatedNetwork(self.graphs))
        simulation, simulated = self._run("simulation", simulator, few)
        again, few_boxes = self._run("engines again", EngineDetector(bundle), few)
        return {
            "data": self.data.resolve().name,
            "fp32": fp32,
            self.precision: engines,
            "boxes against fp32": compare(engine_boxes, fp32_boxes),
            "exported against simulated": {
                "simulation": simulation,
                "engines": again,
                "boxes": compare(few_boxes, simulated),
            },
        }

    def parts(self) -> list[dict[str, Any]]:
        """Evaluate each part quantized alone; see `sensitivity`."""
        with counting_progress() as progress:
            tasks: dict[str, Any] = {}

            def advance(part: str, done: int, total: int) -> None:
                if part not in tasks:
                    tasks[part] = progress.add_task(f"Only {part} quantized", total=total)
                progress.update(tasks[part], completed=done)

            return sensitivity(self.graphs, self._ranked, self.data, self._few, advance)

    @property
    def _ranked(self) -> ModelBundle:
        """The bundle with the boxes that the published evaluation ranks."""
        return self.bundle.for_ranking(PROTOCOL_SCORE)

    @property
    def _few(self) -> EvaluationConfig:
        return replace(self.config, max_frames=self.simulated_frames)

    @contextmanager
    def _full_precision(self) -> Iterator[ModelBundle]:
        """FP32 engines of the same network."""
        bundle = self._ranked
        settings = BundleSettings(
            anchors=bundle.anchors, detection=bundle.detection, max_agents=bundle.max_agents
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "fp32"
            yield export_bundle(
                self.network, path, name="fp32", precision="fp32", settings=settings
            )

    def _run(
        self, name: str, detector: Detector, config: EvaluationConfig
    ) -> tuple[dict[str, Any], list[Detections]]:
        with counted(f"Evaluating {name}") as progress:
            result, boxes = measure(detector, self.data, config, progress)
        return {key: result[key] for key in ("AP", "mAP", "frames")}, boxes
