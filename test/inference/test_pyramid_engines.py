# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pyramids of some columns: inside the same as of all, outside nothing that takes part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quantv2x_ros.core.geometry.pose import matrix_from_v2x, transform_between
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.pyramid_engines import PyramidEngines, engine_widths
from quantv2x_ros.training.export.random_bundle import random_cloud

RANGE = (-51.2, -12.8, -5.0, 51.2, 12.8, 1.0)


@pytest.fixture(scope="module")
def bundle(random_bundle: Callable[..., Path]) -> ModelBundle:
    """On 32 x 128 cells, with an ego that keeps its feature."""
    return ModelBundle.load(random_bundle(seed=9, lidar_range=RANGE, coded_ego=False))


@pytest.fixture(scope="module")
def engines(bundle: ModelBundle) -> PyramidEngines:
    return PyramidEngines(bundle, "openvino", 1, 1)


def indices_of(bundle: ModelBundle) -> np.ndarray:
    return AgentEncoder(bundle, threads=1).encode(random_cloud(4, bundle.grid)).indices


def test_there_are_engines_for_the_map_the_egos_range_and_parts_of_it(
    bundle: ModelBundle, engines: PyramidEngines
) -> None:
    assert engines.widths == tuple(sorted(engine_widths(bundle)))
    assert engines.widths == (64, 96, 128)  # the range of 100 m is all of this grid
    assert engines.channels == (64, 128, 256)


@pytest.mark.parametrize("needed", [slice(0, 40), slice(50, 90), slice(32, 125), slice(0, 0)])
def test_what_is_needed_is_computed_by_the_narrowest_engine_that_can(
    bundle: ModelBundle, engines: PyramidEngines, needed: slice
) -> None:
    levels, scores = engines.of_indices(indices_of(bundle), needed)
    for level, (features, score) in enumerate(zip(levels, scores, strict=True)):
        computed = np.flatnonzero((score != 0).any(axis=0)) << level
        width = computed[-1] + (1 << level) - computed[0]
        assert width == min(w for w in engines.widths if w >= needed.stop - needed.start)
        assert computed[0] % 4 == 0
        if needed.stop:
            assert computed[0] <= needed.start
            assert needed.stop <= computed[-1] + (1 << level)
        assert not features[:, score[0] == 0].any()


def test_away_from_the_edges_they_are_what_the_whole_map_gives(
    bundle: ModelBundle, engines: PyramidEngines
) -> None:
    indices = indices_of(bundle)
    whole = engines.of_indices(indices, None)
    part = engines.of_indices(indices, slice(0, 90))
    assert (part[1][0][:, :96] != 0).all()
    # the first level's three blocks see three columns to either side
    np.testing.assert_array_equal(part[0][0][:, :93], whole[0][0][:, :93])
    np.testing.assert_array_equal(part[1][0][:, :93], whole[1][0][:, :93])


def test_a_peer_far_ahead_takes_part_only_in_the_egos_range(bundle: ModelBundle) -> None:
    detector = CooperativeDetector(bundle, threads=1)
    ahead = matrix_from_v2x([45.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    pose = transform_between(np.eye(4), ahead)
    pyramid = detector.pyramid(indices_of(bundle), None, pose)
    assert pyramid.scores[0][:, :64].all()
    assert not pyramid.scores[0][:, 96:].any()
    assert detector.pyramid(indices_of(bundle)).scores[0].all()


def test_lost_cells_have_no_part_either(bundle: ModelBundle) -> None:
    detector = CooperativeDetector(bundle, threads=1)
    received = np.ones(bundle.grid.shape, np.bool_)
    received[:, :20] = False
    pyramid = detector.pyramid(indices_of(bundle), received, np.eye(4))
    assert not pyramid.scores[0][:, :20].any()
    assert pyramid.scores[0][:, 20:].all()


def test_a_bundle_with_parity_computes_all(bundle: ModelBundle) -> None:
    from dataclasses import replace

    exact = replace(bundle, manifest=replace(bundle.manifest, reproduces_published=True))
    assert PyramidEngines(exact, "openvino", 1, 1).widths == (128,)
    ahead = transform_between(np.eye(4), matrix_from_v2x([45.0, 0.0, 0.0, 0.0, 0.0, 0.0]))
    pyramid = CooperativeDetector(exact, threads=1).pyramid(indices_of(bundle), None, ahead)
    assert pyramid.scores[0].all()
