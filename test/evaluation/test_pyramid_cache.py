# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pyramids that settings share are computed once, and are those of the detector."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.commands._detectors import open_detector
from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.evaluation.pyramid_cache import PyramidCache


@pytest.fixture(scope="module")
def detector(bundles):
    return open_detector(bundles["int8"], threads=1)


def maps(detector, seed):
    shape = (detector.bundle.codebook.planes, *detector.bundle.grid.shape)
    return np.random.default_rng(seed).integers(0, 128, shape, np.uint8)


def same(one, other):
    pairs = zip((*one.features, *one.scores), (*other.features, *other.scores), strict=True)
    return all(np.array_equal(first, second) for first, second in pairs)


def test_what_differs_in_cells_or_columns_is_computed_apart(detector):
    cache = PyramidCache(detector)
    indices = maps(detector, 0)
    received = np.ones(indices.shape[1:], np.bool_)
    received[:8] = False
    far = matrix_from_v2x([12.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert detector.columns(far) != detector.columns(np.eye(4))
    cases = [(indices, None, None), (indices, received, None), (indices, None, far)]
    cases.append((maps(detector, 1), None, None))
    found = [cache.pyramid(*case) for case in cases]
    for case, pyramid in zip(cases, found, strict=True):
        assert same(pyramid, detector.pyramid(*case))
        copies = [value.copy() if value is not None else None for value in case]
        assert cache.pyramid(*copies) is pyramid


def test_old_ones_make_room(detector):
    cache = PyramidCache(detector)
    first = cache.pyramid(maps(detector, 0))
    for seed in range(1, 66):
        cache.pyramid(maps(detector, seed))
    assert cache.pyramid(maps(detector, 65)) is cache.pyramid(maps(detector, 65))
    assert cache.pyramid(maps(detector, 0)) is not first
