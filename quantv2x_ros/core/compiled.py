# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`njit` for all compiled loops of this package, set up once for the processor.

LLVM holds its loops to 256-bit vectors on processors with AVX-512, because early ones lowered their
clock for more. Those with AMX do not, and there the whole width makes the codebook's search about a
quarter faster. Only kernels with ``fastmath`` may sum in another order for that.

Numba keeps compiled loops beside their sources, or else in the user's cache folder, and raises an
error where it can write neither. Here they are then kept where `cache_folder` says, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core import config
from numba.core.codegen import get_host_cpu_features

from quantv2x_ros.core.cache_folder import cache_folder

#: What processors that keep their clock have, and what holds LLVM back.
_KEEPS_CLOCK, _NARROW = "amx-tile", "prefer-256-bit"


#: Folder of compiled loops in the cache folder, and Numba's words where it can write nowhere.
_FOLDER, _NOWHERE = "loops", "no locator available"


def njit(*, cache: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function as `numba.njit` does, also where Numba finds no folder for its cache.

    Args:
        cache: whether what is compiled is kept for later processes, where it can be.
        options: passed on to `numba.njit`.
    """

    def compiled(function: Callable[..., Any]) -> Any:
        if cache:
            try:
                return numba.njit(cache=True, **options)(function)
            except RuntimeError as error:
                if _NOWHERE not in str(error):
                    raise
            if (folder := cache_folder(_FOLDER)) is not None:
                config.CACHE_DIR = str(folder)  # from now on the first that Numba tries
                return numba.njit(cache=True, **options)(function)
        return numba.njit(**options)(function)

    return compiled


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
