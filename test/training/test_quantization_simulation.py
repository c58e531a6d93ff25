# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is exported computes what was simulated: the default bundle's weights, real scenes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.evaluation.detector import EngineDetector
from quantv2x_ros.evaluation.settings import EvaluationConfig, Link, Sending
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.bundle_files import CHECKPOINT_FILE
from quantv2x_ros.training.checkpoint import load_checkpoint
from quantv2x_ros.training.detector import TorchDetector
from quantv2x_ros.training.export.bundle_writer import BundleSettings, write_bundle
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.quantization.calibration_data import CalibrationFrames
from quantv2x_ros.training.quantization.comparison import compare, measure
from quantv2x_ros.training.quantization.post_training import (
    QuantizationConfig,
    quantize_network,
)
from quantv2x_ros.training.quantization.sensitivity import only_part, parts_of, sensitivity
from quantv2x_ros.training.quantization.simulation import SimulatedNetwork, run_frame

#: A quarter of the default range around the ego: fully convolutional, so the weights fit.
RANGE = (-38.4, -25.6, -5.0, 38.4, 25.6, 2.0)


@dataclass(frozen=True)
class Exported:
    """The default bundle's network, quantized, as simulated and as exported."""

    graphs: NetworkGraphs
    bundle: ModelBundle
    frames: CalibrationFrames


@pytest.fixture(scope="module")
def exported(
    repository: Path, scenario_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Exported:
    network = load_checkpoint(repository / "engines" / "default" / CHECKPOINT_FILE)
    grid = BevGrid(RANGE, network.config.grid.voxel_size)
    network.config = replace(network.config, grid=grid)
    frames = CalibrationFrames(scenario_folder, 2, grid)
    graphs = quantize_network(network, frames, QuantizationConfig.parse("w4a8"))
    folder = tmp_path_factory.mktemp("simulation") / "bundle"
    bundle = write_bundle(network, graphs, folder, "w4a8", BundleSettings())
    return Exported(graphs, bundle, frames)


def features_of(agents: int) -> EvaluationConfig:
    """Return settings under which nothing but features is fused, and each frame once."""
    free = Link(sending=Sending(radio="none"))
    return EvaluationConfig(agents=agents, max_frames=3, fusion="features", link=free)


def test_the_engines_find_the_boxes_of_the_simulation(
    exported: Exported, scenario_folder: Path
) -> None:
    config = features_of(3)
    simulated = TorchDetector(exported.bundle, SimulatedNetwork(exported.graphs))
    expected, expected_boxes = measure(simulated, scenario_folder, config)
    engines = EngineDetector(exported.bundle, threads=1)
    actual, boxes = measure(engines, scenario_folder, config)
    difference = compare(boxes, expected_boxes)
    assert difference["boxes"][0] > 20
    # single steps where a sum lies on the border between two, and the codes that they turn
    assert difference["same_share"] > 0.95
    assert difference["centre_median_m"] < 0.01
    assert actual["mAP"]["0.3"] == pytest.approx(expected["mAP"]["0.3"], abs=0.02)


def test_a_part_alone_rounds_nothing_else(exported: Exported) -> None:
    frame = next(iter(exported.frames))
    whole = exported.graphs
    full = run_frame(replace(whole, scales={}, weights={}), frame)
    names = parts_of(whole)
    assert names == ["encoder", "pyramid", "neck", "towers", "heads"]
    parts = [only_part(whole, part) for part in names]
    assert sum(len(part.scales) for part in parts) == len(whole.scales)
    assert sum(len(part.weights) for part in parts) == len(whole.weights)
    for name, part in zip(names, parts, strict=True):
        out = run_frame(part, frame)
        same_codes = bool((out["indices"] == full["indices"]).all())
        assert same_codes == (name != "encoder")
        assert float((out["cls"] - full["cls"]).abs().max()) > 0


def test_the_sensitivity_table_has_a_row_for_each_part(
    exported: Exported, scenario_folder: Path
) -> None:
    config = features_of(2)
    rows = sensitivity(exported.graphs, exported.bundle, scenario_folder, config)
    assert [row["part"] for row in rows] == ["nothing", *parts_of(exported.graphs), "everything"]
    assert rows[0]["boxes"]["same_share"] == 1.0
    assert min(row["boxes"]["same_share"] for row in rows[1:]) < 1.0
    assert all("0.3" in row["mAP"] for row in rows)
