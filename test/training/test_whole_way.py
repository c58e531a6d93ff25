# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From simulated scenes to the average precision of an INT8 bundle, by the commands alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.training.export.random_bundle import build_random_bundle

#: A small grid of V2X-Real's pillars, and a short course.
COMMON: dict[str, Any] = {
    "batch": 4,
    "precision": "auto",
    "save_every": 1000,
    "grid": {
        "lidar_range": [-51.2, -25.6, -5.0, 51.2, 25.6, 1.0],
        "voxel_size": [0.4, 0.4, 6.0],
    },
    "network": {
        "architecture": "light",
        "coded_ego": False,
        "score_gain": 6.0,
        "levels": 2,
        "segments": 1,
        "dict_size": 32,
    },
    "samples": {
        "window": [25.6, 25.6],
        "jitter": [8.0, 8.0],
        "reach": 48.0,
        "max_agents": 2,
        "rotation": 0.0,
        "flip": [0.5, 0.5],
        "keep_side": True,
    },
    "codebook": {"kmeans_frames": 12, "revive_every": 20},
}
STAGES: dict[int, dict[str, Any]] = {
    1: {
        "epoch_samples": 520,
        "optimizer": {
            "name": "adamw",
            "learning_rate": 0.003,
            "warm_up": 20,
            "decay": 0.5,
            "clip": 10.0,
            "average": 0.97,
            "milestones": [],
        },
    },
    2: {
        "epoch_samples": 10,
        "losses": {"codebook": 1.0},
        "optimizer": {"learning_rate": 0.0003, "milestones": []},
    },
    3: {
        "epoch_samples": 20,
        "losses": {"codebook": 1.0},
        "optimizer": {"learning_rate": 0.0003, "decay": 1.0, "clip": 10.0, "milestones": []},
    },
}


def run(*arguments: object) -> None:
    """Run a command of the package; it must succeed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, f"{arguments}: {result.output}\n{result.exception!r}"


def train(folder: Path, stage: int) -> None:
    """Train a stage from the one before."""
    out = folder / f"stage{stage}"
    config = folder / f"stage{stage}.yaml"
    config.write_text(yaml.safe_dump({"stage": stage, "epochs": 1, **COMMON, **STAGES[stage]}))
    options = ["--start", folder / f"stage{stage - 1}"] if stage > 1 else []
    device = ["--accelerator", "cpu", "--devices", "1", "--workers", "0"]
    run("train", "--data", folder / "data", "--out", out, "--config", config, *options, *device)


def losses(out: Path) -> list[float]:
    """Classification losses that a stage logged."""
    log = EventAccumulator(str(out / "tensorboard"))
    log.Reload()
    return [event.value for event in log.Scalars("train/cls")]


def vehicle_ap(folder: Path, bundle: Path, *options: str) -> float:
    """AP@0.3 of vehicles on scenes that were not learned from."""
    out = folder / "result.json"
    run("evaluate", "--data", folder / "unseen", "--json", out, "--bundle", bundle, *options)
    return float(json.loads(out.read_text())["AP"]["vehicle"]["0.3"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes, all stages, and a bundle by PTQ."""
    root = tmp_path_factory.mktemp("whole_way")
    scenes = ("--frames", 1, "--agents", 2)
    run("simulate", "--out", root / "data", "--split", "train", "--scenes", 24, *scenes)
    run("simulate", "--out", root / "unseen", "--scenes", 6, "--seed", 1000, *scenes)
    for stage in STAGES:
        train(root, stage)
    run(
        "quantize",
        *("--checkpoint", root / "stage3" / "network.safetensors", "--data", root / "data"),
        *("--out", root / "engines" / "int8", "--calibration-batches", 4),
    )
    return root


def test_the_losses_fall(folder: Path) -> None:
    first, last = losses(folder / "stage1"), losses(folder / "stage3")
    assert np.mean(last) < 0.7 * np.mean(first[:3])


def test_the_bundle_finds_what_an_untrained_network_does_not(folder: Path) -> None:
    grid = COMMON["grid"]
    untrained = build_random_bundle(
        folder / "untrained",
        lidar_range=tuple(grid["lidar_range"]),
        voxel_size=tuple(grid["voxel_size"]),
        architecture="light",
        coded_ego=False,
    )
    trained = vehicle_ap(folder, folder / "engines" / "int8")
    # so short a course ends anywhere from 0.03 to 0.12, by the order in which a processor adds
    assert trained > 0.01
    assert trained > 5 * vehicle_ap(folder, untrained.folder)


def test_int8_finds_what_full_precision_finds(folder: Path) -> None:
    int8 = vehicle_ap(folder, folder / "engines" / "int8")
    full = vehicle_ap(folder, folder / "engines" / "int8", "--precision", "fp32")
    assert 0.4 * full < int8 < full + 0.05
