# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How loops are compiled: whole vectors where that pays, and the user's choice first."""

import os
import subprocess
import sys

import pytest

from quantv2x_ros.core.compiled import wide_vectors

_SHOW = "import quantv2x_ros.core.compiled, numba; print(numba.config.CPU_FEATURES)"


@pytest.mark.parametrize(
    ("features", "wanted"),
    [
        ("+avx2,+avx512f,+amx-tile", "+avx2,+avx512f,+amx-tile,-prefer-256-bit"),
        ("+avx2,+amx-tile,+prefer-256-bit", "+avx2,+amx-tile,-prefer-256-bit"),
        ("+avx2,+avx512f,-amx-tile", "+avx2,+avx512f,-amx-tile"),
        ("+neon", "+neon"),
        ("", ""),
    ],
)
def test_only_processors_that_keep_their_clock_get_whole_vectors(features, wanted):
    assert wide_vectors(features) == wanted


def test_features_that_the_user_chose_stay():
    chosen = {**os.environ, "NUMBA_CPU_FEATURES": "+avx2"}
    shown = subprocess.run(
        [sys.executable, "-c", _SHOW], env=chosen, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "+avx2"
