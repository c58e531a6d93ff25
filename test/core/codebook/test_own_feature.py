# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The own feature, raised to where decoded features are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from quantv2x_ros.core.codebook.own_feature import OwnFeature

SCALES = st.floats(2.0**-10, 8.0, width=32)


@given(
    arrays(np.uint8, array_shapes(min_dims=3, max_dims=3, max_side=6)),
    SCALES,
    SCALES,
    st.floats(0.0, 20.0, width=32),
)
def test_a_value_keeps_its_size_within_half_a_step_unless_it_is_cut_off(
    feature: np.ndarray, feature_scale: float, decoded_scale: float, raise_by: float
) -> None:
    offset = np.linspace(0.0, raise_by, feature.shape[2], dtype=np.float32)
    raised = OwnFeature(offset, feature_scale, decoded_scale)(feature)
    assert (raised.dtype, raised.shape) == (np.uint8, feature.shape)
    wanted = feature * np.float64(feature_scale) + offset
    limited = np.minimum(wanted, 255.0 * decoded_scale)
    found = raised * np.float64(decoded_scale)
    assert np.abs(found - limited).max() <= (0.5 + 1e-3) * decoded_scale


def test_the_map_is_a_new_one_and_in_full_precision_only_raised() -> None:
    feature = np.random.default_rng(0).random((4, 5, 3), dtype=np.float32)
    offset = np.array([0.0, 1.0, 2.0], np.float32)
    raised = OwnFeature(offset)(feature)
    np.testing.assert_array_equal(raised, feature + offset)
    assert not np.shares_memory(raised, feature)


def test_maps_that_are_not_contiguous_are_read_as_they_look() -> None:
    feature = np.random.default_rng(1).integers(0, 255, (3, 6, 8), dtype=np.uint8)
    own = OwnFeature(np.zeros(3, np.float32), 0.1, 0.2)
    turned = feature.transpose(1, 2, 0)
    np.testing.assert_array_equal(own(turned), own(np.ascontiguousarray(turned)))


@pytest.mark.parametrize(
    ("offset", "scales", "word"),
    [
        (np.zeros((2, 2), np.float32), (None, None), "float32 \\(C,\\)"),
        (np.zeros(2), (None, None), "got float64"),
        (np.array([-1.0], np.float32), (None, None), "below 0"),
        (np.array([np.nan], np.float32), (None, None), "not finite"),
        (np.zeros(2, np.float32), (0.1, None), "two, or none"),
        (np.zeros(2, np.float32), (0.1, 0.0), "positive"),
    ],
)
def test_what_cannot_be_is_refused(offset: np.ndarray, scales: tuple, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        OwnFeature(offset, *scales)


def test_a_feature_of_another_kind_is_refused() -> None:
    own = OwnFeature(np.zeros(2, np.float32), 0.1, 0.2)
    for wrong in (np.zeros((3, 3, 2), np.float32), np.zeros((3, 3, 1), np.uint8)):
        with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 2\)"):
            own(wrong)
