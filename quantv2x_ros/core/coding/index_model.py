# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is known of codebook indices before they come: the trained model of the entropy coder."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.coding import index_kernels as context
from quantv2x_ros.core.coding import index_kernels as kernels

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


IndexArray = npt.NDArray[np.uint8]

MAX_PLANES = 64
MAX_DICT_SIZE = 256
_BIAS_LIMIT = 1 << 29


class IndexModelError(ValueError):
    """An index model that is damaged, or does not fit its codebook."""


@dataclass(frozen=True, eq=False)
class IndexModel:
    """The context model of a codebook's indices, in integers; see core.coding.index_kernels.

    P planes of k codes, D = HIDDEN hidden values. A plane's network looks at OWN neighbours in its
    own plane and EARLIER ones in each plane before it: plane p has OWN + EARLIER p tables.

    Attributes:
        tables: (all planes' tables, k + 1, D) int16: what a neighbour's code adds to the hidden
            values beyond the background's, which adds 0; entry k is for a cell that is not known.
        hidden_bias: (P, D) int16.
        weights: (P, k - 1, D) int16, of each branch of the tree of codes.
        weight_bias: (P, k - 1) int32.
        children: (P, k - 1, 2) int16: where a branch's bit leads, to a later branch or, as ~code,
            to a code. Branch 0 is the root.
        background: (P,) uint8, the code of cells where nothing is.
        occupancy: (P, k) float32: what a code adds to the evidence, in logits, that an object is
            near its cell.

    Raises:
        IndexModelError: shapes, dtypes or values that do not fit each other.
    """

    tables: npt.NDArray[np.int16]
    hidden_bias: npt.NDArray[np.int16]
    weights: npt.NDArray[np.int16]
    weight_bias: npt.NDArray[np.int32]
    children: npt.NDArray[np.int16]
    background: IndexArray
    occupancy: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.weights.ndim != 3:
            raise IndexModelError(f"weights must be (P, k - 1, D), got {self.weights.shape}")
        planes, branches, hidden = self.weights.shape
        size = branches + 1
        if not (1 <= planes <= MAX_PLANES and 2 <= size <= MAX_DICT_SIZE):
            raise IndexModelError(
                f"{planes} planes of {size} codes; allowed are 1 to {MAX_PLANES} of 2 to "
                f"{MAX_DICT_SIZE}"
            )
        if hidden != context.HIDDEN:
            raise IndexModelError(f"{hidden} hidden values, expected {context.HIDDEN}")
        expected: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
            "tables": (np.int16, (first_table(planes), size + 1, hidden)),
            "hidden_bias": (np.int16, (planes, hidden)),
            "weights": (np.int16, (planes, branches, hidden)),
            "weight_bias": (np.int32, (planes, branches)),
            "children": (np.int16, (planes, branches, 2)),
            "background": (np.uint8, (planes,)),
            "occupancy": (np.float32, (planes, size)),
        }
        for name, (dtype, shape) in expected.items():
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != shape:
                raise IndexModelError(
                    f"{name} must be {np.dtype(dtype)} of shape {shape}, got {array.dtype} of "
                    f"{array.shape}"
                )
        self._check_values(size)

    def _check_values(self, size: int) -> None:
        if self.background.max() >= size:
            raise IndexModelError(f"background has codes outside of {size}")
        if not np.isfinite(self.occupancy).all():
            raise IndexModelError("occupancy has values that are not finite")
        if np.abs(self.weights.astype(np.int32)).max() > kernels.WEIGHT_MAX:
            raise IndexModelError(f"weights must be within ±{kernels.WEIGHT_MAX}")
        if np.abs(self.weight_bias.astype(np.int64)).max() > _BIAS_LIMIT:
            raise IndexModelError(f"weight_bias must be within ±{_BIAS_LIMIT}")
        if self.tables[np.arange(len(self.tables)), self._backgrounds].any():
            raise IndexModelError("tables must be zero for the background's code")
        try:
            for plane, tree in enumerate(self.children):
                check_tree(tree, plane)
        except IndexTreeError as error:
            raise IndexModelError(str(error)) from error

    @property
    def planes(self) -> int:
        """Index planes."""
        return self.weights.shape[0]

    @property
    def dict_size(self) -> int:
        """Codes of a plane."""
        return self.weights.shape[1] + 1

    @cached_property
    def fingerprint(self) -> int:
        """First 64 bits, big endian, of the SHA-256 of all arrays, little endian, in order."""
        digest = hashlib.sha256()
        for field in fields(self):
            array = getattr(self, field.name)
            digest.update(np.array([array.ndim, *array.shape], "<i4").tobytes())
            digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
        return int.from_bytes(digest.digest()[:8], "big")

    @property
    def _backgrounds(self) -> npt.NDArray[np.int64]:
        """The background's code of the plane that each table looks at."""
        seen = [
            plane if i < context.OWN else (i - context.OWN) // context.EARLIER
            for plane in range(self.planes)
            for i in range(context.OWN + context.EARLIER * plane)
        ]
        return self.background[seen].astype(np.int64)

    @cached_property
    def path_bits(self) -> IndexArray:
        """Bits on the way to each code, (P, k, longest way)."""
        planes = [ways(tree) for tree in self.children]
        longest = max(len(way) for codes in planes for way in codes.values())
        bits = np.zeros((self.planes, self.dict_size, longest), np.uint8)
        for plane, codes in enumerate(planes):
            for code, way in codes.items():
                bits[plane, code, : len(way)] = way
        return bits

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """Number of the first table of each plane."""
        return np.array([first_table(plane) for plane in range(self.planes)])

    def save(self, path: str | Path) -> None:
        """Write the arrays to an .npz file."""
        with open(path, "wb") as file:
            np.savez_compressed(
                file, **{field.name: getattr(self, field.name) for field in fields(self)}
            )

    @classmethod
    def load(cls, path: str | Path) -> IndexModel:
        """Read a model that save() wrote.

        Raises:
            IndexModelError: not such a file, an array is missing or wrong.
            OSError: the file cannot be read.
        """
        names = sorted(field.name for field in fields(cls))
        try:
            with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as archive:
                if sorted(archive.files) != names:
                    raise IndexModelError(f"it holds {sorted(archive.files)}, expected {names}")
                arrays = {name: np.ascontiguousarray(archive[name]) for name in names}
        except (zipfile.BadZipFile, EOFError, ValueError) as error:
            raise IndexModelError(f"{path} is not an index model: {error}") from error
        return cls(**arrays)


def first_table(plane: int) -> int:
    """Number of the first table of a plane; for the number of planes, that of all tables."""
    return context.OWN * plane + context.EARLIER * (plane * (plane - 1) // 2)
