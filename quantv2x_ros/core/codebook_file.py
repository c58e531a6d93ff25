# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A codebook's arrays: their shapes, and an .npz file of them, without pickled code."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from quantv2x_ros.core.folding import CodebookError
from quantv2x_ros.core.normalisation import GroupNormalisation

_PREFIX = "bottleneck_"
_NAMES = tuple(item.name for item in fields(GroupNormalisation))


def check(arrays: Mapping[str, Any], sizes: tuple[int, int, int, int], width: int) -> None:
    """Check the arrays of a codebook.

    Args:
        arrays: those of core.codebook.ResidualCodebook by name.
        sizes: levels, segments, codes and channels.
        width: channels that the codes are chosen by.

    Raises:
        CodebookError: an array has another shape or dtype, or a value that is not finite.
    """
    levels, segments, size, channels = sizes
    codes = levels * segments * size
    pairs = segments**2 * levels * (levels - 1) // 2
    expected = {
        "tables": sizes,
        "bias": (channels,),
        "encode_weight": (width, codes),
        "encode_bias": (codes,),
        "encode_lookups": (pairs, size, size),
    }
    for name, shape in expected.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.float32:
            raise CodebookError(
                f"{name} must be float32 of shape {shape}, got {array.dtype} of {array.shape}"
            )
        if not np.isfinite(array).all():
            raise CodebookError(f"{name} has values that are not finite")


def write(
    path: str | Path, arrays: Mapping[str, Any], bottleneck: GroupNormalisation | None
) -> None:
    """Write arrays by name, and those of a bottleneck if there is one."""
    extra = {}
    if bottleneck is not None:
        extra = {_PREFIX + name: np.asarray(getattr(bottleneck, name)) for name in _NAMES}
    with open(path, "wb") as file:
        np.savez(file, **{**arrays, **extra})


def read(
    path: str | Path, names: Sequence[str]
) -> tuple[dict[str, Any], GroupNormalisation | None]:
    """Read the arrays named, and the bottleneck if the file has one.

    Raises:
        CodebookError: not such a file, or an array is missing, superfluous or wrong.
        OSError: the file cannot be read.
    """
    extra = [_PREFIX + name for name in _NAMES]
    try:
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as archive:
            found = sorted(archive.files)
            if found not in (sorted(names), sorted([*names, *extra])):
                raise CodebookError(
                    f"it holds {found}, expected {sorted(names)}, and with a bottleneck {extra}"
                )
            arrays = {name: np.ascontiguousarray(archive[name]) for name in names}
            bottleneck = _bottleneck(archive) if extra[0] in found else None
    except (zipfile.BadZipFile, EOFError, ValueError, TypeError) as error:
        raise CodebookError(f"{path} is not a codebook: {error}") from error
    return arrays, bottleneck


def _bottleneck(archive: Mapping[str, Any]) -> GroupNormalisation:
    arrays = {
        name: np.ascontiguousarray(archive[_PREFIX + name])
        for name in ("weight", "bias", "gain", "shift")
    }
    groups, epsilon = int(archive[_PREFIX + "groups"]), float(archive[_PREFIX + "epsilon"])
    return GroupNormalisation(**arrays, groups=groups, epsilon=epsilon)
