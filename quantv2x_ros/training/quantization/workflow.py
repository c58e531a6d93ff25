# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a trained network to a quantized one and a report on it, with progress shown."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, track
from rich.table import Table

from quantv2x_ros.core.detection import Detections
from quantv2x_ros.inference.bundle import ModelBundle
from quantv2x_ros.offline.detector import Detector, EngineDetector
from quantv2x_ros.offline.settings import EvaluationConfig
from quantv2x_ros.training.export.bundle_writer import BundleSettings, export_bundle
from quantv2x_ros.training.export.network_graphs import NetworkGraphs
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.quantization.block_learning import ReconstructionConfig
from quantv2x_ros.training.quantization.calibration import calibrate
from quantv2x_ros.training.quantization.calibration_data import CalibrationFrames
from quantv2x_ros.training.quantization.comparison import compare, measure
from quantv2x_ros.training.quantization.cost import network_cost
from quantv2x_ros.training.quantization.crops import CropMaker
from quantv2x_ros.training.quantization.post_training import (
    QuantizationConfig,
    quantize_calibrated,
)
from quantv2x_ros.training.quantization.reconstruction import BlockResult, Reconstruction
from quantv2x_ros.training.quantization.simulation import SimulatedDetector


class Workflow:
    """Quantizes one network.

    Args:
        network: in eval mode.
        frames: to calibrate on.
        config: how.
    """

    def __init__(
        self, network: QuantV2XNetwork, frames: CalibrationFrames, config: QuantizationConfig
    ) -> None:
        self.network = network
        self.frames = frames
        self.config = config
        self._agents: tuple[int, ...] = ()
        self._blocks: list[BlockResult] = []

    def quantize(self) -> NetworkGraphs:
        """Calibrate and round.

        Raises:
            QuantizationError: for frames that leave a tensor at 0.
            DatasetError: for a damaged dataset.
        """
        frames = track(self.frames, "Calibrating", total=len(self.frames))
        calibration = calibrate(NetworkGraphs.fold(self.network), frames)
        self._agents = calibration.agents
        return quantize_calibrated(self.network, calibration, self.config)

    def reconstruct(self, graphs: NetworkGraphs, config: ReconstructionConfig) -> NetworkGraphs:
        """Learn the rounding block by block, on crops of the calibration frames."""
        maker = CropMaker(graphs.pillars, graphs.grid, config.window, config.seed)
        crops = maker(track(self.frames, "Cropping", total=len(self.frames)), config.crops)
        reconstruction = Reconstruction(graphs, crops, config)
        with _progress() as progress:
            task = progress.add_task("Reconstructing", total=None)

            def advance(result: BlockResult, done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)
                progress.console.print(
                    f"{result.name}: error {result.before:.3g} → {result.after:.3g}, "
                    f"{100 * result.turned:.1f} % of the weights turned"
                    + ("" if result.kept else ", not kept")
                )

            learned = reconstruction.run(advance)
        self._blocks = reconstruction.results
        return learned

    def summary(self) -> dict[str, Any]:
        """Return how it was quantized, in plain values for a manifest."""
        return {
            "precision": self.config.precision,
            "activations": self.config.activations,
            "weights": self.config.weights,
            "heads": self.config.heads,
            "reconstructed": bool(self._blocks),
            "frames": len(self.frames),
            "agents": {count: self._agents.count(count) for count in sorted(set(self._agents))},
        }

    def report(self, graphs: NetworkGraphs, agents: int) -> dict[str, Any]:
        """Return the summary with size and operations of both precisions."""
        costs = {"fp32": NetworkGraphs.fold(self.network), self.config.precision: graphs}
        return {
            **self.summary(),
            "blocks": [result.as_dict() for result in self._blocks],
            "cost": {
                "agents": agents,
                **{name: network_cost(item, agents).as_dict() for name, item in costs.items()},
            },
        }

    def measure(
        self,
        graphs: NetworkGraphs,
        bundle: ModelBundle,
        data: Path,
        config: EvaluationConfig,
        simulated_frames: int,
    ) -> dict[str, Any]:
        """Evaluate a bundle's engines, FP32 engines of the same network, and the simulation.

        Args:
            graphs: what the bundle was written from.
            bundle: to be evaluated.
            data: dataset.
            config: of the evaluation.
            simulated_frames: frames, spread over the data, on which simulation and engines are
                compared; the simulation is an order of magnitude slower.

        Returns:
            AP of each, and how the boxes differ.
        """
        few = replace(config, max_frames=simulated_frames)
        settings = BundleSettings(
            anchors=bundle.anchors, detection=bundle.detection, max_agents=bundle.max_agents
        )
        with tempfile.TemporaryDirectory() as folder, _progress() as progress:

            def run(
                name: str, detector: Detector, how: EvaluationConfig
            ) -> tuple[dict[str, Any], list[Detections]]:
                task = progress.add_task(f"Evaluating {name}", total=None)
                result, boxes = measure(
                    detector,
                    data,
                    how,
                    lambda done, total: progress.update(task, completed=done, total=total),
                )
                return {key: result[key] for key in ("AP", "mAP", "frames")}, boxes

            path = Path(folder) / "fp32"
            full = export_bundle(
                self.network, path, name="fp32", precision="fp32", settings=settings
            )
            fp32, fp32_boxes = run("fp32", EngineDetector(full), config)
            engines, engine_boxes = run(self.config.precision, EngineDetector(bundle), config)
            simulation, simulated = run("simulation", SimulatedDetector(graphs, bundle), few)
            again, few_boxes = run("engines again", EngineDetector(bundle), few)
        return {
            "data": str(data),
            "fp32": fp32,
            self.config.precision: engines,
            "boxes against fp32": compare(engine_boxes, fp32_boxes),
            "exported against simulated": {
                "simulation": simulation,
                "engines": again,
                "boxes": compare(few_boxes, simulated),
            },
        }


def _progress() -> Progress:
    return Progress(*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())


def print_report(report: dict[str, Any]) -> None:
    """Print size, operations and, where measured, mean average precision."""
    console = Console()
    table = Table(title=f"{report['cost']['agents']} agents")
    table.add_column("")
    for title in ("size [MB]", "GMAC", "TBOPS"):
        table.add_column(title, justify="right")
    for name in ("fp32", report["precision"]):
        row = report["cost"][name]
        values = (f"{row['size_MB']:.2f}", f"{row['GMAC']:.1f}", f"{row['TBOPS']:.2f}")
        table.add_row(name, *values)
    console.print(table)
    if "measured" in report:
        measured = report["measured"]
        table = Table(title=f"mAP over {measured['fp32']['frames']} frames")
        table.add_column("")
        for threshold in measured["fp32"]["mAP"]:
            table.add_column(f"IoU {threshold}", justify="right")
        for name in ("fp32", report["precision"]):
            table.add_row(name, *(f"{value:.3f}" for value in measured[name]["mAP"].values()))
        console.print(table)
        boxes = measured["exported against simulated"]["boxes"]
        console.print(
            f"{100 * boxes['same_share']:.1f} % of the simulation's boxes come out of the engines"
        )
