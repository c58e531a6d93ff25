# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cells reach rows, and rows cells, unchanged and in the right place."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.core.fusion.active_cells import gather_patches, scatter_blocks


def test_patches_are_what_a_padded_convolution_sees() -> None:
    generator = np.random.default_rng(1)
    bordered = np.zeros((7, 9, 5), np.uint8)
    bordered[1:-1, 1:-1] = generator.integers(1, 256, (5, 7, 5))
    cells = np.array([0, 6, 17, 28, 34], np.int64)
    rows = np.full((6, 45), 77, np.uint8)
    gather_patches(bordered, cells, rows)
    for row, cell in zip(rows, cells, strict=False):
        r, c = divmod(int(cell), 7)
        np.testing.assert_array_equal(row, bordered[r : r + 3, c : c + 3].reshape(-1))
    assert (rows[5] == 77).all()


@pytest.mark.parametrize("upscale", [1, 2, 4])
def test_blocks_land_on_the_cells_that_they_stand_for(upscale: int) -> None:
    generator = np.random.default_rng(upscale)
    height, width, channels = 8, 12, 3
    coarse = (height // upscale, width // upscale)
    cells = np.sort(generator.permutation(coarse[0] * coarse[1])[:4]).astype(np.int64)
    rows = generator.integers(1, 256, (5, upscale**2 * channels)).astype(np.uint8)
    bordered = np.zeros((height + 2, width + 2, 10), np.uint8)
    scatter_blocks(rows, cells, upscale, 4, bordered)
    expected = np.zeros_like(bordered)
    for row, cell in zip(rows, cells, strict=False):
        r, c = (upscale * int(n) + 1 for n in divmod(int(cell), coarse[1]))
        block = row.reshape(upscale, upscale, channels)
        expected[r : r + upscale, c : c + upscale, 4:7] = block
    np.testing.assert_array_equal(bordered, expected)
