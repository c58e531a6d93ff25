# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Warp and weighted sum: against the golden levels, and against a slow reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from quantv2x_ros.core.fusion.fusion import (
    FusionError,
    ScaleFusion,
    agent_shares,
    fuse_cells,
    fuse_scale,
    highest_scores,
    mask_scores,
)
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import matrix_from_v2x, transform_between, warp_theta

Golden = Mapping[str, npt.NDArray[Any]]
Array = npt.NDArray[np.float64]
IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
GRID = BevGrid((-19.2, -6.4, -3.0, 19.2, 6.4, 1.0), (0.4, 0.4, 4.0))  # 16 rows, 48 columns


def _theta(x: float, y: float, yaw: float, tilt: float = 0.0) -> Array:
    """Theta of an agent at a pose in the ego's frame."""
    agent = matrix_from_v2x([x, y, 0.5 * tilt, tilt, yaw, -tilt])
    return warp_theta(transform_between(np.eye(4), agent), GRID)


THETAS = np.stack([IDENTITY, _theta(6.3, -2.1, 25.0, 2.0), _theta(-9.0, 1.0, -170.0)])


def warp_slowly(features: Array, theta: Array) -> Array:
    """Bilinear sampling with zero padding, cell by cell, in metres of cells."""
    height, width = features.shape[:2]
    warped = np.zeros(features.shape)
    for row in range(height):
        for column in range(width):
            here = np.array([(2 * column + 1) / width - 1, (2 * row + 1) / height - 1, 1.0])
            x, y = theta @ here
            x, y = (x + 1) * width / 2 - 0.5, (y + 1) * height / 2 - 0.5
            for r in (int(np.floor(y)), int(np.floor(y)) + 1):
                for c in (int(np.floor(x)), int(np.floor(x)) + 1):
                    if 0 <= r < height and 0 <= c < width:
                        warped[row, column] += (1 - abs(y - r)) * (1 - abs(x - c)) * features[r, c]
    return warped


def fuse_slowly(features: list[Array], scores: list[Array], thetas: Array) -> Array:
    warped = np.stack([warp_slowly(f, t) for f, t in zip(features, thetas, strict=True)])
    weights = np.stack([warp_slowly(s, t) for s, t in zip(scores, thetas, strict=True)])
    with np.errstate(invalid="ignore"):
        exponentials = np.where(weights != 0, np.exp(weights), 0.0)
        shares = np.nan_to_num(exponentials / exponentials.sum(axis=0))
    return (shares[..., None] * warped).sum(axis=0)


@pytest.fixture
def maps() -> tuple[list[npt.NDArray[np.float32]], list[npt.NDArray[np.float32]]]:
    """Features and scores of three agents on GRID."""
    generator = np.random.default_rng(5)
    features = [generator.random((*GRID.shape, 6)).astype(np.float32) for _ in THETAS]
    scores = [generator.random(GRID.shape).astype(np.float32) + 1e-4 for _ in THETAS]
    return features, [score.astype(np.float32) for score in scores]


def _golden_level(golden: Golden, level: int) -> tuple[list[Any], list[Any], int]:
    stride = 2 if level == 0 else 1
    name = f"L{level}_feat_c{stride}"
    features = [np.ascontiguousarray(f.transpose(1, 2, 0)) for f in golden[name]]
    scores = [
        (1 / (1 + np.exp(-o[0].astype(np.float64))) + 1e-4).astype(np.float32)
        for o in golden[f"L{level}_occ"]
    ]
    return features, scores, stride


@pytest.mark.parametrize("level", [0, 1, 2])
def test_fused_levels_agree_with_the_published_ones(golden: Golden, level: int) -> None:
    features, scores, stride = _golden_level(golden, level)
    fused = fuse_scale(features, scores, golden["affine_row0"])
    expected = golden[f"L{level}_fused"][0].transpose(1, 2, 0)[:, :, ::stride]
    assert np.abs(fused - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("level", [0, 1, 2])
def test_warped_levels_agree_with_the_published_ones(golden: Golden, level: int) -> None:
    features, scores, stride = _golden_level(golden, level)
    warped = golden[f"L{level}_warp_c{stride}"]
    warped_scores = golden[f"L{level}_score_warp"]
    for agent, theta in enumerate(golden["affine_row0"]):
        alone = np.ones_like(scores[agent])
        result = fuse_scale([features[agent]], [alone], theta[None])
        expected = warped[agent].transpose(1, 2, 0)
        assert np.abs(result - expected).max() < 1e-5 * np.abs(expected).max()
        score = fuse_scale([scores[agent][..., None]], [alone], theta[None])[..., 0]
        np.testing.assert_allclose(score, warped_scores[agent, 0], atol=1e-6)
        # The exact 0 decides who takes part, so it must be at the same cells.
        np.testing.assert_array_equal(score == 0, warped_scores[agent, 0] == 0)


def test_theta_agrees_with_the_published_one(
    golden: Golden, golden_inputs: Golden, golden_grid: BevGrid
) -> None:
    for agent in range(3):
        matrix = golden_inputs["pairwise_t_matrix"][0, 0, agent]
        theta = warp_theta(matrix, golden_grid)
        np.testing.assert_allclose(theta, golden["affine_row0"][agent], atol=1e-12)


def test_a_grid_that_is_not_square_is_warped_in_metres(maps: Any) -> None:
    features, scores = maps
    fused = fuse_scale(features, scores, THETAS)
    expected = fuse_slowly(features, scores, THETAS)
    np.testing.assert_allclose(fused, expected, atol=2e-5)


def test_an_object_lands_where_the_poses_say() -> None:
    """A cell marked at a point in the agent's map appears at that point in the ego's."""
    agent = matrix_from_v2x([8.0, 2.4, 0.0, 0.0, 90.0, 0.0])
    theta = warp_theta(transform_between(np.eye(4), agent), GRID)
    y, x = GRID.cell_centres()
    row, column = 9, 20
    in_agent = np.array([x[column], y[row], 0.0, 1.0])
    in_ego = agent @ in_agent
    feature = np.zeros((*GRID.shape, 1), np.float32)
    feature[row, column] = 1.0
    warped = fuse_scale([feature], [np.ones(GRID.shape, np.float32)], theta[None])
    found = np.unravel_index(warped[..., 0].argmax(), GRID.shape)
    assert abs(x[found[1]] - in_ego[0]) <= 0.4001
    assert abs(y[found[0]] - in_ego[1]) <= 0.4001


def test_a_range_off_the_sensor_is_warped_about_the_sensor() -> None:
    """A roadside unit looks to one side; maps turn about its sensor, not their middle."""
    grid = BevGrid((0.0, -6.4, -3.0, 38.4, 6.4, 1.0), (0.4, 0.4, 4.0))
    agent = matrix_from_v2x([20.0, 0.0, 0.0, 0.0, 180.0, 0.0])  # faces the ego
    theta = warp_theta(transform_between(np.eye(4), agent), grid)
    feature = np.zeros((*grid.shape, 1), np.float32)
    feature[8, 5] = 1.0  # 4.4 m ahead of the agent, 0.4 m to its left
    warped = fuse_scale([feature], [np.ones(grid.shape, np.float32)], theta[None])[..., 0]
    y, x = grid.cell_centres()
    row, column = np.unravel_index(warped.argmax(), grid.shape)
    assert x[column] == pytest.approx(20.0 - 4.4, abs=0.41)
    assert y[row] == pytest.approx(-0.4, abs=0.01)


@pytest.mark.parametrize("parts", [2, 5, 100])
def test_parts_change_no_bit(maps: Any, parts: int) -> None:
    features, scores = maps
    needed = np.random.default_rng(3).random(GRID.shape) < 0.4
    scale = ScaleFusion(features, scores, THETAS, needed)
    for part in reversed(range(parts)):
        scale.fuse(part, parts)
    np.testing.assert_array_equal(scale.cells, fuse_cells(features, scores, THETAS, needed))


def test_shares_of_some_rows_are_those_of_all(maps: Any) -> None:
    _, scores = maps
    rows = np.array([9, 2, 9])
    whole, some = agent_shares(scores, THETAS), agent_shares(scores, THETAS, rows)
    np.testing.assert_array_equal(some[:, rows], whole[:, rows])
    assert not np.delete(some, rows, axis=1).any()


def test_cells_that_no_agent_reaches_are_zero_and_weigh_nothing(maps: Any) -> None:
    features, scores = maps
    far = _theta(15.0, 0.0, 0.0)[None]
    fused = fuse_scale(features[:1], scores[:1], far)
    shares = agent_shares(scores[:1], far)
    unreached = shares[0] == 0
    # The agent's map begins 15 m further to the front: 18.75 cells, the first a border cell.
    assert unreached.mean() == pytest.approx(18 / 48)
    assert (fused[unreached] == 0).all()
    np.testing.assert_allclose(shares[0][~unreached], 1.0)


def test_shares_sum_to_one_and_follow_the_score(maps: Any) -> None:
    _, scores = maps
    shares = agent_shares(scores, THETAS)
    assert shares.shape == (3, *GRID.shape)
    np.testing.assert_allclose(shares.sum(axis=0), 1.0, rtol=1e-6)
    raised = [scores[0], scores[1] + np.float32(0.5), scores[2]]
    assert (agent_shares(raised, THETAS)[1] >= shares[1] - 1e-6).all()


def test_the_ego_passes_unchanged_where_it_is_alone(maps: Any) -> None:
    features, scores = maps
    np.testing.assert_array_equal(fuse_scale(features[:1], scores[:1], IDENTITY[None]), features[0])


def test_the_identity_is_no_special_case_but_for_speed(maps: Any) -> None:
    features, scores = maps
    nearly = THETAS.copy()
    nearly[0, 0, 1] = 1e-300  # not the identity, and warps alike
    np.testing.assert_allclose(
        fuse_scale(features, scores, nearly), fuse_scale(features, scores, THETAS), atol=1e-5
    )


def test_uint8_is_the_rounded_float_result(maps: Any) -> None:
    features, scores = maps
    quantized = [np.round(f * 200).astype(np.uint8) for f in features]
    fused = fuse_scale(quantized, scores, THETAS, scale_in=0.02, scale_out=0.03)
    exact = fuse_scale([q * np.float32(0.02) for q in quantized], scores, THETAS)
    assert fused.dtype == np.uint8
    assert np.abs(fused * 0.03 - exact).max() <= 0.015 + 1e-5
    saturated = fuse_scale(quantized, scores, THETAS, scale_in=0.02, scale_out=0.001)
    assert saturated.max() == 255
    clipped = np.minimum(np.rint(exact / 0.001), 255)
    assert np.abs(saturated.astype(float) - clipped).max() <= 1


def test_float32_is_scaled_too(maps: Any) -> None:
    features, scores = maps
    np.testing.assert_allclose(
        fuse_scale(features, scores, THETAS, scale_in=3.0, scale_out=1.5),
        2 * fuse_scale(features, scores, THETAS),
        rtol=1e-5,
    )


def test_stacked_arrays_are_as_good_as_lists(maps: Any) -> None:
    features, scores = maps
    np.testing.assert_array_equal(
        fuse_scale(np.stack(features), np.stack(scores), THETAS),
        fuse_scale(features, scores, THETAS),
    )


def test_cells_that_were_not_received_take_no_part(maps: Any) -> None:
    features, scores = maps
    received = np.ones(scores[1].shape, np.bool_)
    received[5:9] = False
    masked = mask_scores(scores[1], received)
    assert (masked[5:9] == 0).all()
    np.testing.assert_array_equal(masked[~(masked == 0)], scores[1][received])
    poisoned = features[1].copy()
    poisoned[5:9] = 1e6
    both = np.stack([IDENTITY, IDENTITY])
    holed = fuse_scale([features[0], poisoned], [scores[0], masked], both)
    np.testing.assert_array_equal(holed[5:9], features[0][5:9])
    whole = fuse_scale(features[:2], scores[:2], both)
    np.testing.assert_array_equal(holed[received], whole[received])


def test_a_missing_cell_masks_the_coarse_cell_over_it() -> None:
    received = np.ones((16, 6), np.bool_)
    received[6, 3] = False
    scores = np.ones((4, 3), np.float32)
    masked = mask_scores(scores, received)
    assert np.argwhere(masked == 0).tolist() == [[1, 1]]
    assert mask_scores(scores, np.ones((16, 6), np.bool_)) is scores
    for shape in ((18, 6), (16, 7), (16,)):
        with pytest.raises(FusionError, match="multiples of 4 rows and 3 columns"):
            mask_scores(scores, np.ones(shape, np.bool_))


def test_what_does_not_fit_is_refused(maps: Any) -> None:
    features, scores = maps
    bad = THETAS.copy()
    bad[1, 0, 0] = np.nan
    with pytest.raises(FusionError, match="thetas must be finite"):
        fuse_scale(features, scores, bad)
    with pytest.raises(FusionError, match="thetas must be finite and of shape"):
        fuse_scale(features, scores, THETAS[:2])
    with pytest.raises(FusionError, match="no agent"):
        fuse_scale([], [], THETAS[:0])
    with pytest.raises(FusionError, match="features of agent 2 is"):
        fuse_scale([features[0], features[1], features[2][1:]], scores, THETAS)
    with pytest.raises(FusionError, match="do not fit scores"):
        fuse_scale(features[:2], scores, THETAS)
    with pytest.raises(FusionError, match="scores must be float32"):
        fuse_scale(features, [s.astype(np.float64) for s in scores], THETAS)
    with pytest.raises(FusionError, match="scores have values that are not finite"):
        fuse_scale(features, [s * np.float32(np.inf) for s in scores], THETAS)
    with pytest.raises(FusionError, match="uint8 or float32"):
        fuse_scale([f.astype(np.float64) for f in features], scores, THETAS)
    with pytest.raises(FusionError, match="scales"):
        fuse_scale(features, scores, THETAS, scale_in=0.0)


@pytest.mark.parametrize("factor", [1e12, -1e12, 1e300])
def test_an_agent_absurdly_far_away_adds_nothing(maps: Any, factor: float) -> None:
    features, scores = maps
    far = np.stack([IDENTITY, IDENTITY + np.array([0.0, 0.0, factor])])
    np.testing.assert_array_equal(fuse_scale(features[:2], scores[:2], far), features[0])


@pytest.mark.parametrize("quantized", [False, True])
def test_some_cells_are_fused_to_the_bits_of_the_whole_level(maps: Any, quantized: bool) -> None:
    features, scores = maps
    if quantized:
        features = [(255 * f).astype(np.uint8) for f in features]
    scales = {"scale_in": 0.02, "scale_out": 0.03}
    needed = np.random.default_rng(8).random(GRID.shape) < 0.2
    needed[3] = False
    far = np.concatenate([THETAS, _theta(500.0, 0.0, 30.0)[None]])
    features, scores = [*features, features[1]], [*scores, scores[1]]
    found = fuse_cells(features, scores, far, needed, **scales)
    whole = fuse_scale(features, scores, far, **scales)
    assert found.dtype == whole.dtype
    np.testing.assert_array_equal(found, whole[needed])


def test_no_cell_is_a_valid_selection_and_another_shape_is_not(maps: Any) -> None:
    features, scores = maps
    none = np.zeros(GRID.shape, np.bool_)
    assert fuse_cells(features, scores, THETAS, none).shape == (0, features[0].shape[2])
    for wrong in (none[1:], none.astype(np.uint8)):
        with pytest.raises(FusionError, match=r"needed must be bool of shape \(16, 48\)"):
            fuse_cells(features, scores, THETAS, wrong)


def test_the_highest_score_is_the_agents_highest_where_they_reach(maps: Any) -> None:
    _, scores = maps
    alone = [
        fuse_scale([s[..., None]], [np.ones_like(s)], t[None])[..., 0]
        for s, t in zip(scores, THETAS, strict=True)
    ]
    np.testing.assert_allclose(
        highest_scores(scores, THETAS), np.max(alone, axis=0), rtol=0, atol=1e-6
    )
    of_peers = highest_scores(scores[1:], THETAS[1:])
    reached = np.max(alone[1:], axis=0) != 0
    assert 0 < (~reached).sum() < reached.sum()
    np.testing.assert_array_equal(of_peers != 0, reached)
    far = _theta(500.0, 0.0, 0.0)[None]
    assert not highest_scores(scores[:1], far).any()
