# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detection in torch: networks in full precision or as graphs, indices or features on the air."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.commands._detectors import open_detector
from quantv2x_ros.core.coding.wire import WireError
from quantv2x_ros.core.transport.packet_sizes import FIELD_BYTES, GEONETWORKING_UNIT
from quantv2x_ros.data.simulator import write_scenario
from quantv2x_ros.inference.protocol import MessageError, PlainFeature, indices_of, pyramid_of
from quantv2x_ros.training.checkpoint import load_checkpoint
from quantv2x_ros.training.detector import FeatureMessages, IndexMessages, TorchDetector
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.quantization.simulation import SimulatedNetwork

POINTS = np.random.default_rng(7).uniform((-20, -20, -2, 0), (20, 20, 1, 0), (4000, 4))
POINTS = POINTS.astype(np.float32)


@pytest.fixture(scope="module")
def folder(random_bundle):
    return random_bundle(seed=2)


@pytest.fixture(scope="module")
def network(folder):
    return load_checkpoint(folder / "checkpoint.safetensors")


def as_levels(level):
    """A level (h, w, C) as torch has it, (1, C, h, w)."""
    return torch.from_numpy(level).permute(2, 0, 1)[None]


@torch.no_grad()
def test_uncoded_the_pyramid_is_that_of_the_encoders_feature(folder, network):
    detector = open_detector(folder, "uncoded", threads=1)
    payload = detector.broadcast(POINTS).payload
    levels = pyramid_of(detector, detector.decode(payload)).features
    feature = network.encode_points([POINTS])
    expected, _ = network.pyramid.extract(feature)
    for level, wanted in zip(levels, expected, strict=True):
        torch.testing.assert_close(as_levels(level), wanted)
    coded = open_detector(folder, "fp32", threads=1)
    indices = coded.decode(coded.broadcast(POINTS).payload)
    assert not np.allclose(coded.pyramid(indices).features[0], levels[0])


@torch.no_grad()
def test_what_is_on_the_air_is_the_feature_itself(folder, network):
    detector = open_detector(folder, "uncoded", threads=1)
    message = detector.decode(detector.broadcast(POINTS).payload)
    assert isinstance(message, PlainFeature)
    feature = network.encode_points([POINTS])[0].permute(1, 2, 0)
    np.testing.assert_array_equal(message.values, feature.numpy())
    with pytest.raises(WireError, match=r"got 5 bytes, \(64, 64, 64\)"):
        detector.decode(bytes(5))


def test_a_message_of_the_other_kind_is_refused(folder):
    plain = open_detector(folder, "uncoded", threads=1)
    coded = open_detector(folder, "fp32", threads=1)
    feature = plain.decode(plain.broadcast(POINTS).payload)
    indices = coded.decode(coded.broadcast(POINTS).payload)
    with pytest.raises(MessageError, match="not sent in tiles"):
        coded.pyramid(feature)
    with pytest.raises(MessageError, match="not sent in tiles"):
        indices_of(feature)
    assert indices_of(indices) is indices


def test_lost_cells_are_background_without_a_score(folder):
    detector = open_detector(folder, "fp32", threads=1)
    indices = detector.decode(detector.broadcast(POINTS).payload)
    received = np.ones(indices.shape[1:], np.bool_)
    received[16:48, 16:48] = False
    found = detector.pyramid(indices, received)
    background = np.array(detector.bundle.manifest.codebook.background, np.uint8)
    filled = np.where(received, indices, background[:, None, None])
    expected = detector.pyramid(filled)
    for level, wanted in zip(found.features, expected.features, strict=True):
        np.testing.assert_array_equal(level, wanted)
    assert not found.scores[0][~received].any()
    np.testing.assert_array_equal(found.scores[0][received], expected.scores[0][received])


@pytest.mark.parametrize("messages", [IndexMessages, FeatureMessages])
def test_networks_and_messages_are_chosen_apart(folder, network, messages):
    """Graphs in full precision make of a message what the network does that they come from."""
    precision = "fp32" if messages is IndexMessages else "uncoded"
    expected = open_detector(folder, precision, threads=1)
    graphs = SimulatedNetwork(NetworkGraphs.fold(network))
    detector = TorchDetector(expected.bundle, graphs, messages(expected.bundle))
    assert detector.precision == expected.precision
    payload = expected.broadcast(POINTS).payload
    found = pyramid_of(detector, detector.decode(payload))
    wanted = pyramid_of(expected, expected.decode(payload))
    for level, other in zip(found.features, wanted.features, strict=True):
        np.testing.assert_allclose(level, other, rtol=1e-3, atol=1e-3)
    for score, other in zip(found.scores, wanted.scores, strict=True):
        np.testing.assert_allclose(score, other, rtol=1e-3, atol=1e-3)
    if messages is FeatureMessages:
        sent = detector.decode(detector.broadcast(POINTS).payload)
        feature = expected.decode(payload)
        np.testing.assert_allclose(sent.values, feature.values, rtol=1e-3, atol=1e-3)
    else:
        sent = detector.decode(detector.broadcast(POINTS).payload)
        # a feature between two codewords may turn to the other one
        assert (sent == expected.decode(payload)).mean() > 0.99


def test_evaluate_tells_the_bytes_of_plain_features(folder, network, tmp_path):
    write_scenario(tmp_path / "test" / "scene", seed=3, frames=1, agents=2)
    out = tmp_path / "ap.json"
    call = ["evaluate", "--data", str(tmp_path), "--bundle", str(folder), "--json", str(out)]
    ended = CliRunner().invoke(app, [*call, "--precision", "uncoded", "--threads", "1"])
    assert ended.exit_code == 0, ended.output
    result = json.loads(out.read_text())
    size = network.encode_points([POINTS]).numel() * 4
    packets = -(-size // (GEONETWORKING_UNIT - FIELD_BYTES))
    assert result["bytes_per_frame"] == size + packets * FIELD_BYTES
    assert result["precision"] == "fp32, uncoded"
    lossy = CliRunner().invoke(app, [*call, "--precision", "uncoded", "--set", "link.loss=0.5"])
    assert lossy.exit_code == 1
    assert "not sent in tiles" in lossy.output
