# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint and a dataset to a bundle, by the functions and by the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.data.v2x_real import write_agent_frame
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.bundle_files import CHECKPOINT_FILE
from quantv2x_ros.training.checkpoint import load_checkpoint, save_checkpoint
from quantv2x_ros.training.export.bundle_writer import (
    BundleSettings,
    export_bundle,
    record_measured,
)
from quantv2x_ros.training.export.random_bundle import (
    SMALL_RANGE,
    VOXEL,
    random_cloud,
    random_frames,
    random_network,
)
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.published import CheckpointError
from quantv2x_ros.training.quantization.calibration_data import CalibrationFrames
from quantv2x_ros.training.quantization.simulation import CalibrationFrame
from quantv2x_ros.training.start import open_network

GRID = BevGrid(SMALL_RANGE, VOXEL)


@pytest.fixture(scope="module")
def network() -> QuantV2XNetwork:
    return random_network(7, GRID)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for number, agent in enumerate(("1", "2", "-1")):
        for stamp in range(4):
            write_agent_frame(
                root / "scene" / agent,
                f"{stamp:06d}",
                random_cloud(number * 10 + stamp, GRID, 4000),
                lidar_pose=(number * 6.0, number * 2.0, 0.0, 0.0, 20.0 * number, 0.0),
                objects=(),
                infrastructure=agent.startswith("-"),
            )
    return root


def test_a_checkpoint_builds_the_same_network_again(
    network: QuantV2XNetwork, tmp_path: Path
) -> None:
    save_checkpoint(network, tmp_path / "a.safetensors")
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    assert loaded.config == network.config
    frame = random_frames(1, GRID, (2,))[0]
    expected = network.forward_points(frame.clouds, frame.ego_to_agent)
    actual = loaded.forward_points(frame.clouds, frame.ego_to_agent)
    assert all(torch.equal(actual[name], expected[name]) for name in expected)


def test_a_plain_state_dict_needs_its_configuration(
    network: QuantV2XNetwork, tmp_path: Path
) -> None:
    path = tmp_path / "plain.safetensors"
    save_file(network.state_dict(), path)
    with pytest.raises(CheckpointError, match="no network configuration"):
        load_checkpoint(path)
    assert load_checkpoint(path, network.config).config == network.config


def test_weights_without_a_configuration_are_opened_with_their_stage_s(
    network: QuantV2XNetwork, tmp_path: Path
) -> None:
    config = network.config
    (tmp_path / "stage.yaml").write_text(
        f"stage: 3\ngrid: {{lidar_range: {list(config.grid.lidar_range)},"
        f" voxel_size: {list(config.grid.voxel_size)}}}\n"
        f"network: {{architecture: {config.architecture}, levels: {config.levels},"
        f" segments: {config.segments}, dict_size: {config.dict_size},"
        f" score_gain: {config.score_gain}, coded_ego: {str(config.coded_ego).lower()}}}\n"
    )
    path = tmp_path / "plain.safetensors"
    save_file(network.state_dict(), path)
    opened = open_network(path, tmp_path / "stage.yaml")
    assert opened.config == config
    assert not opened.training
    for name, value in network.state_dict().items():
        assert torch.equal(opened.state_dict()[name], value), name
    with pytest.raises(CheckpointError, match=r"--config config/training/published/stage3\.yaml"):
        open_network(path)
    bare = {k: v for k, v in network.state_dict().items() if not k.startswith("codebook.")}
    save_file(bare, path)
    with pytest.raises(CheckpointError, match="has no codebook, which a bundle needs"):
        open_network(path, tmp_path / "stage.yaml")


def test_a_checkpoint_that_does_not_fit_is_refused(
    network: QuantV2XNetwork, tmp_path: Path
) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_checkpoint(path)
    state = network.state_dict()
    del state["cls_head.bias"]
    save_file(state, path)
    with pytest.raises(CheckpointError, match=r"missing.*cls_head\.bias"):
        load_checkpoint(path, network.config)
    save_file({**state, "cls_head.bias": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match=r"cls_head\.bias"):
        load_checkpoint(path, network.config)


def test_calibration_frames_have_the_agents_that_there_are_and_repeat(dataset: Path) -> None:
    frames = CalibrationFrames(dataset, 4, GRID)
    first, second = list(frames), list(frames)
    assert len(first) == len(frames) == 4
    assert {len(frame.clouds) for frame in first} <= {1, 2, 3}
    assert max(len(frame.clouds) for frame in first) > 1
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.ego_to_agent, two.ego_to_agent)
        np.testing.assert_allclose(one.ego_to_agent[0], np.eye(4), atol=1e-12)


def test_the_command_writes_a_bundle_that_detects(
    network: QuantV2XNetwork, dataset: Path, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "network.safetensors"
    save_checkpoint(network, checkpoint)
    arguments = ["export", "--checkpoint", str(checkpoint), "--data", str(dataset)]
    arguments += ["--out", str(tmp_path / "made"), "--frames", "2", "--version", "7"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    bundle = ModelBundle.load(tmp_path / "made")
    assert (bundle.name, bundle.version, bundle.precision) == ("made", "7", "int8")
    assert bundle.manifest.training["calibration"]["frames"] == 2
    assert sum(path.stat().st_size for path in bundle.folder.iterdir()) < 45e6
    assert load_checkpoint(bundle.folder / CHECKPOINT_FILE).config == network.config
    detector = CooperativeDetector(bundle, threads=2)
    indices = AgentEncoder(bundle, threads=2).encode(random_cloud(0, GRID)).indices
    assert len(detector.fuse([detector.pyramid(indices)], np.eye(4)[None]).detections) > 0


def test_the_command_chooses_whether_the_ego_codes_its_own_feature(
    network: QuantV2XNetwork, dataset: Path, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "network.safetensors"
    save_checkpoint(network, checkpoint)
    arguments = ["export", "--checkpoint", str(checkpoint), "--data", str(dataset)]
    arguments += ["--frames", "1"]
    made = {}
    for way in ("--uncoded-ego", "--coded-ego"):
        folder = tmp_path / way.strip("-")
        result = CliRunner().invoke(app, [*arguments, "--out", str(folder), way])
        assert result.exit_code == 0, result.output
        made[way] = ModelBundle.load(folder)
    own = made["--uncoded-ego"]
    assert own.own_feature is not None
    assert not load_checkpoint(own.folder / CHECKPOINT_FILE).config.coded_ego
    assert made["--coded-ego"].own_feature is None
    assert own.codebook_id == made["--coded-ego"].codebook_id, "peers need not know"


def test_the_command_asks_for_data_where_scales_are_needed(
    network: QuantV2XNetwork, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "network.safetensors"
    save_checkpoint(network, checkpoint)
    arguments = ["export", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "made")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code != 0
    assert "--data" in result.output
    assert not (tmp_path / "made").exists()


def test_export_replaces_a_bundle_and_nothing_else(
    network: QuantV2XNetwork, tmp_path: Path
) -> None:
    settings = BundleSettings(version="1")
    export_bundle(network, tmp_path / "b", name="b", precision="fp32", settings=settings)
    newer = BundleSettings(version="2")
    made = export_bundle(network, tmp_path / "b", name="b", precision="fp32", settings=newer)
    assert made.version == "2"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "precious.txt").write_text("keep me")
    with pytest.raises(FileExistsError, match="not overwritten"):
        export_bundle(network, tmp_path / "other", name="b", precision="fp32")
    assert (tmp_path / "other" / "precious.txt").read_text() == "keep me"


def test_export_refuses_what_it_cannot_do(network: QuantV2XNetwork, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no frame was given"):
        export_bundle(network, tmp_path / "b", name="b")
    with pytest.raises(ValueError, match="got 'int4', allowed are int8 and fp32"):
        export_bundle(network, tmp_path / "b", name="b", precision="int4")
    with pytest.raises(ValueError, match="2 clouds"):
        CalibrationFrame([random_cloud(0, GRID)] * 2, np.eye(4)[None])
    assert not (tmp_path / "b").exists()


def test_what_was_measured_is_recorded(network: QuantV2XNetwork, tmp_path: Path) -> None:
    export_bundle(network, tmp_path / "b", name="b", precision="fp32")
    bundle = record_measured(tmp_path / "b", {"AP": {"vehicle": {"0.5": 0.8}}})
    assert bundle.manifest.measured["AP"]["vehicle"]["0.5"] == 0.8
