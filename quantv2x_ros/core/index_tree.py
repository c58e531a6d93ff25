# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Binary trees of codes: from branch 0 each bit leads to a later branch or, as ~code, a code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Tree = npt.NDArray[np.int16]


class IndexTreeError(ValueError):
    """Branches that are no tree of codes."""


def ways(tree: Tree) -> dict[int, list[int]]:
    """Bits on the way to each code of a checked tree (k - 1, 2)."""
    ways: dict[int, list[int]] = {}
    prefixes: dict[int, list[int]] = {0: []}
    for branch, children in enumerate(tree):  # later branches come from earlier ones
        for bit, child in enumerate(children):
            way = [*prefixes[branch], bit]
            if child < 0:
                ways[~int(child)] = way
            else:
                prefixes[int(child)] = way
    return ways


def check_tree(tree: Tree, plane: int) -> None:
    """Check a tree (k - 1, 2) of a plane.

    Raises:
        IndexTreeError: unless each code and each branch but the root is led to once.
    """
    branches = len(tree)
    parents = np.repeat(np.arange(branches), 2)
    ends = tree.reshape(-1).astype(np.int64)
    inner = ends >= 0
    if not (
        np.array_equal(np.sort(ends[inner]), np.arange(1, branches))
        and np.array_equal(np.sort(~ends[~inner]), np.arange(branches + 1))
        and (ends[inner] > parents[inner]).all()
    ):
        raise IndexTreeError(
            f"children of plane {plane} are no tree: each code and each later branch must be led "
            "to exactly once, from an earlier branch"
        )
