# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network on features that no codebook has touched, to say what the codebook costs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.commands._detectors import open_detector
from quantv2x_ros.data.simulator import write_scenario
from quantv2x_ros.evaluation.settings import EvaluationSettingError
from quantv2x_ros.training.checkpoint import load_checkpoint
from quantv2x_ros.training.export.random_bundle import build_random_bundle
from quantv2x_ros.training.points import pillar_input

POINTS = np.random.default_rng(7).uniform((-20, -20, -2, 0), (20, 20, 1, 0), (4000, 4))
POINTS = POINTS.astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return build_random_bundle(tmp_path_factory.mktemp("uncoded"), seed=2).folder


def test_the_pyramid_is_that_of_the_encoders_feature(folder):
    detector = open_detector(folder, "uncoded", threads=1)
    broadcast = detector.broadcast(POINTS)
    levels, _ = detector.perceive(detector.decode(broadcast.payload)).content
    network = load_checkpoint(folder / "checkpoint.safetensors")
    with torch.no_grad():
        feature = network.encode(pillar_input([POINTS], [detector.bundle.grid]))
        expected, _ = network.pyramid.extract(feature)
    for level, wanted in zip(levels, expected, strict=True):
        torch.testing.assert_close(level, wanted)
    coded = open_detector(folder, "fp32", threads=1)
    indices = coded.decode(coded.broadcast(POINTS).payload)
    assert not torch.allclose(coded.perceive(indices).content[0][0], levels[0])


def test_a_sweep_that_did_not_arrive_as_it_was_sent_is_refused(folder):
    detector = open_detector(folder, "uncoded", threads=1)
    indices = detector.decode(detector.broadcast(POINTS).payload)
    with pytest.raises(EvaluationSettingError, match="not sent in tiles"):
        detector.perceive(indices ^ 1)
    with pytest.raises(EvaluationSettingError, match="not sent in tiles"):
        detector.perceive(indices, np.ones(indices.shape[1:], np.bool_))


def test_evaluate_tells_the_bytes_of_plain_features(folder, tmp_path):
    write_scenario(tmp_path / "test" / "scene", seed=3, frames=1, agents=2)
    out = tmp_path / "ap.json"
    call = ["evaluate", "--data", str(tmp_path), "--bundle", str(folder), "--json", str(out)]
    ended = CliRunner().invoke(app, [*call, "--precision", "uncoded", "--threads", "1"])
    assert ended.exit_code == 0, ended.output
    result = json.loads(out.read_text())
    detector = open_detector(folder, "uncoded", threads=1)
    feature = detector._network.encode(pillar_input([POINTS], [detector.bundle.grid]))
    assert result["bytes_per_frame"] == feature.numel() * 4
    assert result["precision"] == "fp32, uncoded"
    lossy = CliRunner().invoke(app, [*call, "--precision", "uncoded", "--loss", "0.5"])
    assert lossy.exit_code == 1
    assert "not sent in tiles" in lossy.output
