# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The pipeline on good input, on partial input, and on input that it must refuse or survive."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantv2x_ros.core.geometry.pose import PoseError
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.results import AgentPyramid, PipelineError
from quantv2x_ros.training.export.random_bundle import random_frames
from quantv2x_ros.training.quantization.simulation import CalibrationFrame


@pytest.fixture(scope="module")
def frame(int8_bundle: ModelBundle) -> CalibrationFrame:
    return random_frames(21, int8_bundle.grid, (3,))[0]


@pytest.fixture(scope="module")
def encoder(int8_bundle: ModelBundle) -> AgentEncoder:
    return AgentEncoder(int8_bundle, threads=2)


@pytest.fixture(scope="module")
def detector(int8_bundle: ModelBundle) -> CooperativeDetector:
    return CooperativeDetector(int8_bundle, threads=2)


@pytest.fixture(scope="module")
def pyramids(
    frame: CalibrationFrame, encoder: AgentEncoder, detector: CooperativeDetector
) -> list[AgentPyramid]:
    return [detector.pyramid(encoder.encode(cloud).indices) for cloud in frame.clouds]


def test_a_frame_gives_boxes_and_says_how_long_and_from_whom(
    frame: CalibrationFrame, detector: CooperativeDetector, pyramids: list[AgentPyramid]
) -> None:
    result = detector.fuse(pyramids, frame.ego_to_agent)
    assert len(result.detections) > 0
    assert (np.diff(result.detections.scores) <= 0).all()
    assert set(result.stage_ms) == {"warp", "head", "detection", "contributions"}
    assert result.contributions.shape == (len(result.detections), 3)
    assert ((result.contributions >= 0) & (result.contributions <= 1)).all()
    np.testing.assert_allclose(result.contributions.sum(axis=1), 1, atol=1e-5)
    assert (result.contributions[:, 1:] > 0.01).any()


def test_another_threshold_counts_from_the_next_frame_on(
    frame: CalibrationFrame, detector: CooperativeDetector, pyramids: list[AgentPyramid]
) -> None:
    before = detector.detection
    scores = detector.fuse(pyramids, frame.ego_to_agent).detections.scores
    detector.detection = replace(before, max_candidates=1)
    fewer = detector.fuse(pyramids, frame.ego_to_agent).detections.scores
    detector.detection = before
    assert len(fewer) == 1 < len(scores)
    again = detector.fuse(pyramids, frame.ego_to_agent).detections.scores
    np.testing.assert_array_equal(again, scores)


def test_an_ego_alone_contributes_everything(
    detector: CooperativeDetector, pyramids: list[AgentPyramid]
) -> None:
    result = detector.fuse(pyramids[:1], np.eye(4)[None])
    np.testing.assert_array_equal(result.contributions, 1)


def test_a_pyramid_outlives_the_next_one(
    frame: CalibrationFrame, encoder: AgentEncoder, detector: CooperativeDetector
) -> None:
    first = detector.pyramid(encoder.encode(frame.clouds[0]).indices)
    kept = [level.copy() for level in first.features]
    detector.pyramid(encoder.encode(frame.clouds[1]).indices)
    for level, copy in zip(first.features, kept, strict=True):
        np.testing.assert_array_equal(level, copy)


def test_encoding_repeats_exactly(frame: CalibrationFrame, encoder: AgentEncoder) -> None:
    first = encoder.encode(frame.clouds[0])
    encoder.encode(frame.clouds[1])
    np.testing.assert_array_equal(encoder.encode(frame.clouds[0]).indices, first.indices)
    assert first.indices.shape == (3, 64, 64)
    assert first.points <= len(frame.clouds[0])
    assert set(first.stage_ms) == {"pillars", "encoder", "codebook"}


@pytest.mark.parametrize(
    "cloud",
    [
        np.zeros((0, 4), np.float32),
        np.full((50, 4), np.nan, np.float32),
        np.full((50, 4), 1e9, np.float32),
    ],
    ids=["empty", "NaN", "far away"],
)
def test_a_sweep_without_a_usable_point_is_background(
    cloud: np.ndarray, encoder: AgentEncoder, int8_bundle: ModelBundle
) -> None:
    sweep = encoder.encode(cloud)
    assert (sweep.pillars, sweep.points) == (0, 0)
    background = np.array(int8_bundle.manifest.codebook.background)
    inner = sweep.indices[:, 10:-10, 10:-10]
    assert (inner == background[:, None, None]).all()


def test_a_cloud_of_another_shape_is_refused(encoder: AgentEncoder) -> None:
    with pytest.raises(ValueError, match=r"expected \(P, 4\)"):
        encoder.encode(np.zeros((5, 3), np.float32))


def test_lost_cells_take_no_part_and_the_others_stay(
    frame: CalibrationFrame,
    encoder: AgentEncoder,
    detector: CooperativeDetector,
    pyramids: list[AgentPyramid],
) -> None:
    indices = encoder.encode(frame.clouds[1]).indices
    received = np.ones((64, 64), np.bool_)
    received[17:23, 8:] = False
    partial = detector.pyramid(np.where(received, indices, 0), received)
    for level, rows in enumerate((slice(17, 23), slice(8, 12), slice(4, 6))):
        columns = slice(8 >> level, None)
        assert (partial.scores[level][rows, columns] == 0).all()
        lost = np.zeros(partial.scores[level].shape, np.bool_)
        lost[rows, columns] = True
        assert (partial.scores[level][~lost] > 0).all()
    far = slice(50, 64)
    np.testing.assert_array_equal(partial.features[0][far], pyramids[1].features[0][far])
    garbage = np.where(received, indices, 127).astype(np.uint8)
    same = detector.pyramid(garbage, received)
    np.testing.assert_array_equal(same.features[0], partial.features[0])


def test_nothing_received_leaves_the_ego_as_it_is(
    frame: CalibrationFrame, detector: CooperativeDetector, pyramids: list[AgentPyramid]
) -> None:
    silent = detector.pyramid(np.zeros((3, 64, 64), np.uint8), np.zeros((64, 64), np.bool_))
    alone = detector.fuse(pyramids[:1], frame.ego_to_agent[:1])
    both = detector.fuse([pyramids[0], silent], frame.ego_to_agent[:2])
    np.testing.assert_array_equal(both.detections.boxes, alone.detections.boxes)
    assert (both.contributions[:, 1] == 0).all()


def test_an_agent_beyond_the_map_changes_nothing(
    detector: CooperativeDetector, pyramids: list[AgentPyramid]
) -> None:
    far = np.eye(4)
    far[0, 3] = 1e4
    alone = detector.fuse(pyramids[:1], np.eye(4)[None])
    both = detector.fuse(pyramids[:2], np.stack([np.eye(4), far]))
    np.testing.assert_array_equal(both.detections.boxes, alone.detections.boxes)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        (np.zeros((3, 64, 32), np.uint8), "shape \\(3, 64, 32\\)"),
        (np.zeros((2, 64, 64), np.uint8), "shape \\(2, 64, 64\\)"),
        (np.zeros((3, 64, 64), np.int64), "int64"),
        (np.full((3, 64, 64), 128, np.uint8), "128 is outside the codebook of 128 codes"),
    ],
)
def test_indices_that_do_not_fit_are_refused(
    detector: CooperativeDetector, indices: np.ndarray, message: str
) -> None:
    with pytest.raises(PipelineError, match=message):
        detector.pyramid(indices)


def test_received_cells_that_do_not_fit_are_refused(detector: CooperativeDetector) -> None:
    with pytest.raises(PipelineError, match="received"):
        detector.pyramid(np.zeros((3, 64, 64), np.uint8), np.ones((64, 63), np.bool_))
    with pytest.raises(PipelineError, match="received"):
        detector.pyramid(np.zeros((3, 64, 64), np.uint8), np.ones((64, 64), np.uint8))  # type: ignore[arg-type]


def test_fusion_of_no_agent_too_many_or_wrong_transforms_is_refused(
    detector: CooperativeDetector, pyramids: list[AgentPyramid]
) -> None:
    with pytest.raises(PipelineError, match="fusion of 0 agents"):
        detector.fuse([], np.zeros((0, 4, 4)))
    with pytest.raises(PipelineError, match="fusion of 9 agents: this bundle fuses 1 to 8"):
        detector.fuse(pyramids[:1] * 9, np.tile(np.eye(4), (9, 1, 1)))
    with pytest.raises(PipelineError, match=r"shape \(1, 4, 4\), expected \(2, 4, 4\)"):
        detector.fuse(pyramids[:2], np.eye(4)[None])
    broken = np.tile(np.eye(4), (2, 1, 1))
    broken[1, 0, 3] = np.nan
    with pytest.raises(PoseError, match=r"ego_to_agent\[1\]"):
        detector.fuse(pyramids[:2], broken)
