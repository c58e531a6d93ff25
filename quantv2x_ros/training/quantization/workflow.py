# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a trained network to a quantized one and what it costs, with progress shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.environment.progress import counting_progress
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.graphs.operations import convolution_cells
from quantv2x_ros.training.loader import training_loader
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.quantization.aware_training import AwareTraining, AwareTrainingConfig
from quantv2x_ros.training.quantization.block_learning import ReconstructionConfig
from quantv2x_ros.training.quantization.calibration import calibrate
from quantv2x_ros.training.quantization.calibration_data import CalibrationFrames
from quantv2x_ros.training.quantization.crops import CropMaker
from quantv2x_ros.training.quantization.post_training import (
    QuantizationConfig,
    quantize_calibrated,
)
from quantv2x_ros.training.quantization.reconstruction import BlockResult, Reconstruction
from quantv2x_ros.training.samples import SampleConfig


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
    if "sensitivity" in report:
        table = Table(title="each part quantized alone, in simulation")
        for title in ("part", "mAP, IoU 0.3", "boxes as in FP32"):
            table.add_column(title, justify="left" if title == "part" else "right")
        for row in report["sensitivity"]:
            share = f"{100 * row['boxes']['same_share']:.1f} %"
            table.add_row(row["part"], f"{row['mAP']['0.3']:.3f}", share)
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


FLOAT_BITS = 32


@dataclass(frozen=True)
class Cost:
    """Model size and bit operations, as QD-BEV counts them (arXiv 2308.10515, section 4).

    Attributes:
        size_bits: of all parameters: weights at their bits, biases, scales, pillar layer and
            codebook tables at 32.
        macs: multiply-accumulates a frame.
        bops: bit operations a frame: those of every layer times the bits of its weights times the
            bits of its input.
    """

    size_bits: int
    macs: int
    bops: int

    def as_dict(self) -> dict[str, float]:
        """Return megabytes, GMAC and TBOPS."""
        return {
            "size_MB": self.size_bits / 8e6,
            "GMAC": self.macs / 1e9,
            "TBOPS": self.bops / 1e12,
        }


def network_cost(network: NetworkGraphs, agents: int) -> Cost:
    """Count a network's cost.

    Args:
        network: in any precision, before narrow groups are widened: what is widened holds zeros.
        agents: agents fused; each runs the encoder, and the ego a pyramid for each.
    """
    size, macs, bops = 0, 0, 0
    tables = network.codebook.tables.size + network.codebook.bias.size
    size += FLOAT_BITS * (tables + network.pillars.linear.size + network.pillars.bias.size)
    for name, graph in network.graphs.items():
        times = 1 if name == "head" else agents
        for node, cells in convolution_cells(graph, network.grid.pillar_shape):
            weight = network.graph_weights(name).get(node.name)
            scale = network.graph_scales(name).get(node.source)
            weight_bits = FLOAT_BITS if weight is None else weight.bits
            input_bits = FLOAT_BITS if scale is None else scale.bits
            size += weight_bits * node.weight.size + FLOAT_BITS * node.bias.size
            size += 0 if weight is None else FLOAT_BITS * weight.scales.size
            count = times * cells * node.weight.size
            macs += count
            bops += count * weight_bits * input_bits
    return Cost(size, macs, bops)


class Workflow:
    """Quantizes one network.

    Args:
        network: in eval mode.
        frames: to calibrate on.
        config: how.
        bfloat16: calibrate with convolutions in bfloat16.
        keep_dead: keep channels that never fire on the frames.
    """

    def __init__(
        self,
        network: QuantV2XNetwork,
        frames: CalibrationFrames,
        config: QuantizationConfig,
        bfloat16: bool = False,
        keep_dead: bool = False,
    ) -> None:
        self.network = network
        self.frames = frames
        self.config = config
        self._bfloat16, self._keep_dead = bfloat16, keep_dead
        self._agents: tuple[int, ...] = ()
        self._blocks: list[BlockResult] = []
        self._aware_steps = 0

    def quantize(self) -> NetworkGraphs:
        """Calibrate and round.

        Raises:
            QuantizationError: for frames that leave a tensor at 0.
            DatasetError: for a damaged dataset.
        """
        frames = track(self.frames, "Calibrating", total=len(self.frames))
        calibration = calibrate(NetworkGraphs.fold(self.network), frames, self._bfloat16)
        self._agents = calibration.agents
        return quantize_calibrated(self.network, calibration, self.config, self._keep_dead)

    def reconstruct(self, graphs: NetworkGraphs, config: ReconstructionConfig) -> NetworkGraphs:
        """Learn the rounding block by block, on crops of the calibration frames."""
        maker = CropMaker(graphs.pillars, graphs.grid, config.window, config.seed)
        crops = maker(track(self.frames, "Cropping", total=len(self.frames)), config.crops)
        reconstruction = Reconstruction(graphs, crops, config)
        with counting_progress() as progress:
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

    def train(
        self, graphs: NetworkGraphs, data: Path, config: AwareTrainingConfig, seed: int
    ) -> NetworkGraphs:
        """Train the quantized network on labelled frames; see `aware_training`."""
        extent_y, extent_x = graphs.grid.extent
        window_x, window_y = SampleConfig.window or (extent_x, extent_y)
        window = (min(window_x, extent_x), min(window_y, extent_y))
        sampling = SampleConfig(graphs.grid, window=window)
        batches = training_loader(
            data, sampling, AnchorSet.v2x_real(), seed=seed, batch=1, workers=0
        )
        training = AwareTraining(self.network, graphs, config)
        with counting_progress() as progress:
            tasks: dict[str, Any] = {}

            def advance(phase: str, step: int, losses: dict[str, float]) -> None:
                if phase not in tasks:
                    tasks[phase] = progress.add_task(phase, total=config.steps)
                text = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
                progress.update(tasks[phase], completed=step, description=f"{phase}: {text}")

            trained = training.run(batches, advance)
        self._aware_steps = config.steps
        return trained

    def summary(self) -> dict[str, Any]:
        """Return how it was quantized, in plain values for a manifest."""
        return {
            "precision": self.config.precision,
            "activations": self.config.activations,
            "weights": self.config.weights,
            "heads": self.config.heads,
            "reconstructed": bool(self._blocks),
            "aware training steps": self._aware_steps,
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
