# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`njit` for all compiled loops of this package, set up once for the processor.

LLVM holds its loops to 256-bit vectors on processors with AVX-512, because early ones lowered their
clock for more. Those with AMX do not, and there the whole width makes the codebook's search about a
quarter faster. Only kernels with ``fastmath`` may sum in another order for that.
"""

from __future__ import annotations

from numba import njit
from numba.core import config
from numba.core.codegen import get_host_cpu_features

__all__ = ["njit", "wide_vectors"]

#: What processors that keep their clock have, and what holds LLVM back.
_KEEPS_CLOCK, _NARROW = "amx-tile", "prefer-256-bit"


def wide_vectors(features: str) -> str:
    """Return processor features that let LLVM use the whole width of vectors where that pays.

    Args:
        features: as LLVM writes them, such as ``+avx2,-amx-tile``.
    """
    known = features.split(",")
    if f"+{_KEEPS_CLOCK}" not in known:
        return features
    kept = [feature for feature in known if feature[1:] != _NARROW]
    return ",".join([*kept, f"-{_NARROW}"])


if config.CPU_FEATURES is None:  # else the user has chosen (NUMBA_CPU_FEATURES)
    config.CPU_FEATURES = wide_vectors(get_host_cpu_features())
