# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A network whose ego uses its own feature as it is: torch, simulation and engines agree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import warp_theta
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.training.checkpoint import load_checkpoint
from quantv2x_ros.training.export.bundle_writer import BundleSettings, write_bundle
from quantv2x_ros.training.export.random_bundle import (
    SMALL_RANGE,
    VOXEL,
    random_frames,
    random_network,
)
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.quantization.aware_training import Student
from quantv2x_ros.training.quantization.crops import CropMaker
from quantv2x_ros.training.quantization.post_training import QuantizationConfig, quantize_network
from quantv2x_ros.training.quantization.simulation import CalibrationFrame, run_frame
from quantv2x_ros.training.quantization.streams import Stream

GRID = BevGrid(SMALL_RANGE, VOXEL)


@pytest.fixture(scope="module")
def network() -> QuantV2XNetwork:
    return random_network(12, GRID, coded_ego=False)


@pytest.fixture(scope="module")
def frames() -> list[CalibrationFrame]:
    return random_frames(12, GRID, (1, 2))


@pytest.fixture(scope="module")
def graphs(network: QuantV2XNetwork, frames: list[CalibrationFrame]) -> NetworkGraphs:
    return quantize_network(network, frames, QuantizationConfig.parse("w8a8"))


def test_only_the_first_agent_of_each_frame_is_heard_as_it_is(network: QuantV2XNetwork) -> None:
    features, decoded = torch.rand(5, 64, 2, 3), torch.rand(5, 64, 2, 3)
    heard = network.heard(features, decoded, [2, 3])
    for agent in range(5):
        expected = features if agent in (0, 2) else decoded
        assert torch.equal(heard[agent], expected[agent])
    published = random_network(12, GRID)
    assert torch.equal(published.heard(features, decoded, [2, 3]), decoded)


def test_an_agent_alone_needs_no_codebook(
    network: QuantV2XNetwork, frames: list[CalibrationFrame]
) -> None:
    cloud = frames[0].clouds[0]
    found = network.forward_points([cloud], np.eye(4)[None])
    theta = torch.from_numpy(warp_theta(np.eye(4), GRID))[None]
    with torch.no_grad():
        expected, _ = network.detect(network.encode_points([cloud]), theta, [1])
    assert torch.equal(found["cls"], expected.cls)
    coded = random_network(12, GRID).forward_points([cloud], np.eye(4)[None])
    assert torch.equal(found["indices"], coded["indices"])
    assert not torch.allclose(found["cls"], coded["cls"], atol=1e-3)


def test_full_precision_graphs_compute_what_the_network_does(
    network: QuantV2XNetwork, frames: list[CalibrationFrame]
) -> None:
    expected = network.forward_points(list(frames[1].clouds), frames[1].ego_to_agent)
    found = run_frame(NetworkGraphs.fold(network), frames[1])
    for name in ("cls", "reg", "dir"):
        torch.testing.assert_close(found[name], expected[name], rtol=1e-3, atol=1e-3)


def test_a_whole_int8_frame_equals_its_simulation(
    network: QuantV2XNetwork,
    graphs: NetworkGraphs,
    frames: list[CalibrationFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bundle: ModelBundle = write_bundle(
        network, graphs, tmp_path / "bundle", "test", BundleSettings()
    )
    assert not load_checkpoint(bundle.folder / "checkpoint.safetensors").config.coded_ego
    expected = run_frame(graphs, frames[1], dtype=torch.float64)
    encoder = AgentEncoder(bundle, threads=2, keep_own=True)
    detector = CooperativeDetector(bundle, threads=2)
    ego, peer = (encoder.encode(cloud) for cloud in frames[1].clouds)
    assert ego.own is not None
    codes = expected["indices"].numpy()
    assert (np.stack([ego.indices, peer.indices]) == codes).mean() > 0.99
    pyramids = [detector.own_pyramid(ego.own), detector.pyramid(codes[1])]
    found = detector.head_maps(pyramids, frames[1].ego_to_agent).cls
    reference = expected["cls"][0].permute(1, 2, 0).numpy()
    error = np.abs(found - reference).mean()
    assert error < 0.01 * np.abs(reference).max()
    coded = [detector.pyramid(codes[0]), pyramids[1]]
    without = detector.head_maps(coded, frames[1].ego_to_agent).cls
    assert np.abs(without - reference).mean() > 3 * error


def test_calibration_has_seen_the_own_feature(
    network: QuantV2XNetwork, graphs: NetworkGraphs, frames: list[CalibrationFrame]
) -> None:
    seen: list[torch.Tensor] = []

    def watch(name: str, value: torch.Tensor) -> None:
        if name == "pyramid/decoded":
            seen.append(value)

    run_frame(NetworkGraphs.fold(network), frames[1], watch)
    feature = network.encode_points([frames[1].clouds[0]])
    torch.testing.assert_close(seen[0], feature.detach(), rtol=1e-3, atol=1e-3)
    highest = graphs.scales["pyramid/decoded"].scale * 255
    assert highest >= float(seen[0].max()) - 1e-3


def test_reconstruction_lets_the_ego_keep_its_feature(
    graphs: NetworkGraphs, frames: list[CalibrationFrame]
) -> None:
    known = [replace(frames[1], objects=np.zeros((1, 2)))]
    (crop,) = CropMaker(graphs.pillars, GRID, (12.8, 12.8), seed=0)(known, 1)
    feature = torch.rand(len(crop.thetas), 64, 4, 4)
    stream = Stream(graphs, {"feature": [feature]})
    stream.transmit()
    (decoded,) = stream.values["decoded"]
    offset = torch.from_numpy(graphs.offset)[:, None, None]
    torch.testing.assert_close(decoded[0], feature[0] + offset)
    assert not torch.allclose(decoded[1], feature[1] + offset, atol=1e-2)


def test_a_student_lets_the_ego_keep_its_feature(
    network: QuantV2XNetwork, graphs: NetworkGraphs, frames: list[CalibrationFrame]
) -> None:
    expected = network.forward_points(list(frames[1].clouds), frames[1].ego_to_agent)
    from quantv2x_ros.training.points import pillar_input

    canvas = network.scatter(pillar_input(list(frames[1].clouds), [GRID] * 2))
    thetas = np.stack([warp_theta(matrix, GRID) for matrix in frames[1].ego_to_agent])
    student = Student(network, graphs, bfloat16=False)
    with torch.no_grad():
        out = student(canvas, torch.from_numpy(thetas), [2], ())
    torch.testing.assert_close(out.heads.cls, expected["cls"], rtol=1e-3, atol=1e-3)
