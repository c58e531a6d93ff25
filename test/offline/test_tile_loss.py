# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is left of an index map after its tiles were lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.offline.tile_loss import lose_tiles

BACKGROUND = np.array([7, 9], np.uint8)


@given(
    height=st.integers(1, 30),
    tiles=st.integers(1, 40),
    loss=st.floats(0.0, 1.0),
    seed=st.integers(0, 2**31),
)
def test_rows_arrive_as_they_were_or_are_background(height, tiles, loss, seed):
    rng = np.random.default_rng(seed)
    indices = rng.integers(0, 128, (2, height, 4)).astype(np.uint8)
    arrived = lose_tiles(indices, BACKGROUND, tiles=tiles, loss=loss, rng=rng)
    if arrived is None:
        return
    np.testing.assert_array_equal(
        arrived.indices[:, arrived.received], indices[:, arrived.received]
    )
    holes = arrived.indices[:, ~arrived.received]
    np.testing.assert_array_equal(holes, np.broadcast_to(BACKGROUND[:, None, None], holes.shape))


@pytest.mark.parametrize(("loss", "whole"), [(0.0, True), (1.0, False)])
def test_all_or_nothing(loss, whole):
    indices = np.ones((2, 12, 4), np.uint8)
    arrived = lose_tiles(indices, BACKGROUND, tiles=5, loss=loss, rng=np.random.default_rng(0))
    assert (arrived is not None and arrived.complete) is whole


def test_the_share_that_is_lost_is_the_probability():
    indices = np.ones((2, 100, 1), np.uint8)
    rng = np.random.default_rng(0)
    shares = [
        arrived.received.mean()
        for _ in range(200)
        if (arrived := lose_tiles(indices, BACKGROUND, tiles=10, loss=0.3, rng=rng)) is not None
    ]
    assert np.mean(shares) == pytest.approx(0.7, abs=0.03)
