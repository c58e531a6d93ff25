# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Residual codebook: BEV feature vectors to indices and back (docs/network.md, "Codebook").

What a vehicle transmits is, for every BEV cell, the index of the nearest code in each residual
level and segment (arXiv 2509.03704, section on codebook learning). Both directions run on folded
tables, see core.codebook.folding.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.codebook import codebook_kernels
from quantv2x_ros.core.codebook.codebook_kernels import commonest_row, differing_rows
from quantv2x_ros.core.codebook.folding import CodebookError, fold_layers
from quantv2x_ros.core.codebook.normalisation import GroupNormalisation
from quantv2x_ros.core.coding.index_model import IndexModel

Float32Array = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class RowEncoder:
    """Chooses the codes of one map's cells.

    Attributes:
        features: (cells, C) uint8 or float32.
        scale: what they are multiplied with.
        weight: (C, planes * k) float32, and
        bias: (planes * k,) float32: ``scale * features @ weight + bias`` scores the codes, before
            the earlier levels' choices are known.
        lookups: what these add, see `ResidualCodebook.encode_lookups`.
        planes: indices of a cell.
        segments: segments of a level.
    """

    features: npt.NDArray[Any]
    scale: float
    weight: Float32Array
    bias: Float32Array
    lookups: Float32Array
    planes: int
    segments: int

    def rows(
        self, rows: npt.NDArray[np.int64], pool: Executor | None = None, parts: int = 1
    ) -> IndexArray:
        """Return the indices (planes, rows) of some cells.

        Args:
            rows: numbers of the cells, int64.
            pool: threads that share the work; None for the caller's alone.
            parts: number of parts that the work is cut into.

        Raises:
            CodebookError: features that are not finite.
        """
        if pool is None or parts < 2:
            return self._rows(rows)
        jobs = [pool.submit(self._rows, part) for part in np.array_split(rows, parts)]
        return np.concatenate([job.result() for job in jobs], axis=1)

    def one(self, feature: npt.NDArray[Any]) -> IndexArray:
        """Return the indices (planes, 1) of a feature (C,) as if it were one of the map's."""
        return replace(self, features=feature[None])._rows(np.zeros(1, np.int64))

    def _rows(self, rows: npt.NDArray[np.int64]) -> IndexArray:
        indices = np.empty((self.planes, len(rows)), np.uint8)
        failed = codebook_kernels.encode_rows(
            np.ascontiguousarray(self.features),
            np.float32(self.scale),
            rows,
            self.weight,
            self.bias,
            self.lookups,
            self.segments,
            indices,
        )
        if failed:
            raise CodebookError(f"{failed} of {len(rows)} cells have features that are not finite")
        return indices


_PREFIX = "bottleneck_"
_NAMES = tuple(item.name for item in fields(GroupNormalisation))


def check(arrays: Mapping[str, Any], sizes: tuple[int, int, int, int], width: int) -> None:
    """Check the arrays of a codebook.

    Args:
        arrays: the arrays of a `ResidualCodebook`, by name.
        sizes: numbers of levels, segments, codes and channels.
        width: number of channels that the codes are chosen by.

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


MAX_DICT_SIZE = 256

_ARRAYS = ("tables", "bias", "encode_weight", "encode_bias", "encode_lookups")


@dataclass(frozen=True, eq=False)
class ResidualCodebook:
    """Folded residual codebook of L levels with m segments of k codes, for C channels.

    Planes count level-major: plane = level * m + segment.

    Attributes:
        tables: (L, m, k, C) float32; a decoded feature is bias plus one row of each plane.
        bias: (C,) float32.
        encode_weight: (C, planes * k) float32; (d, planes * k) after a bottleneck to d channels.
        encode_bias: (planes * k,) float32. ``x @ encode_weight + encode_bias`` is, up to a constant
            of each plane, half the squared distance of x's residual to each code, before the
            earlier levels' choices are known.
        encode_lookups: (pairs, k, k) float32, what a choice in an earlier level adds to the scores
            of a plane: pairs run over planes, then over all planes of earlier levels.
        bottleneck: reduction and normalisation before the codes are chosen (ReVQom); None
            chooses them by the features as they are.

    Raises:
        CodebookError: shapes or dtypes do not fit each other, or a value is not finite.
    """

    tables: Float32Array
    bias: Float32Array
    encode_weight: Float32Array
    encode_bias: Float32Array
    encode_lookups: Float32Array
    bottleneck: GroupNormalisation | None = None

    def __post_init__(self) -> None:
        if self.tables.ndim != 4 or 0 in self.tables.shape:
            raise CodebookError(f"tables must be (levels, segments, k, C), got {self.tables.shape}")
        levels, segments, size, channels = self.tables.shape
        if not 2 <= size <= MAX_DICT_SIZE:
            raise CodebookError(f"a segment must have 2 to {MAX_DICT_SIZE} codes, got {size}")
        width = channels if self.bottleneck is None else self.bottleneck.width
        if self.bottleneck is not None and len(self.bottleneck.weight) != channels:
            raise CodebookError(
                f"the bottleneck takes {len(self.bottleneck.weight)} channels, the tables give"
                f" {channels}"
            )
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        check(arrays, (levels, segments, size, channels), width)

    @classmethod
    def from_layers(cls, arrays: Mapping[str, Any], prefix: str = "codebook.") -> ResidualCodebook:
        """Fold a codebook from its layers in the published naming; see `fold_layers`."""
        folded: dict[str, Any] = dict(fold_layers(arrays, prefix))
        return cls(**folded)

    @property
    def levels(self) -> int:
        """Residual levels L."""
        return self.tables.shape[0]

    @property
    def segments(self) -> int:
        """Segments m of a level."""
        return self.tables.shape[1]

    @property
    def planes(self) -> int:
        """Indices of a cell: levels * segments."""
        return self.levels * self.segments

    @property
    def dict_size(self) -> int:
        """Codes k of a segment."""
        return self.tables.shape[2]

    @property
    def channels(self) -> int:
        """Channels C of a feature."""
        return self.tables.shape[3]

    @property
    def fingerprint(self) -> int:
        """Hash of the decoding tables: the first 64 bits, big endian, of a SHA-256.

        Hashed are the four sizes of tables as little-endian int32, then tables and bias as
        little-endian float32 in C order. Two codebooks decode alike exactly where it agrees; what
        only encodes is not in it. Messages carry `codebook_id`, which is this number only where
        indices are bit-packed; else the entropy coder's model counts, too.
        """
        digest = hashlib.sha256(np.array(self.tables.shape, "<i4").tobytes())
        digest.update(self.tables.astype("<f4").tobytes())
        digest.update(self.bias.astype("<f4").tobytes())
        return int.from_bytes(digest.digest()[:8], "big")

    def encode(self, features: Float32Array) -> IndexArray:
        """Return the indices of features.

        Args:
            features: (cells, C) float32.

        Returns:
            (planes, cells) uint8; the lowest index on a tie.

        Raises:
            CodebookError: wrong shape or dtype, or features that are not finite.
        """
        if features.shape != (len(features), self.channels) or features.dtype != np.float32:
            raise CodebookError(
                f"features must be float32 of shape (cells, {self.channels}), "
                f"got {features.dtype} of {features.shape}"
            )
        return self._encoder(features, 1.0).rows(np.arange(len(features)))

    def _encoder(self, features: npt.NDArray[Any], scale: float) -> RowEncoder:
        """Return the encoder of a map's cells (cells, C); a bottleneck normalises over all."""
        weight, bias = self.encode_weight, self.encode_bias
        if self.bottleneck is not None:
            matrix, offset = self.bottleneck.affine(features, scale)
            bias = (offset @ weight + bias).astype(np.float32)
            weight = np.ascontiguousarray(matrix @ weight, np.float32)
        lookups = self.encode_lookups
        return RowEncoder(features, scale, weight, bias, lookups, self.planes, self.segments)

    def encode_map(
        self,
        features: npt.NDArray[np.uint8] | Float32Array,
        scale: float = 1.0,
        background: npt.NDArray[np.uint8] | Float32Array | None = None,
        *,
        pool: Executor | None = None,
        parts: int = 1,
    ) -> IndexArray:
        """Return the index map of a feature map; cells that equal the background are coded once.

        Args:
            features: (H, W, C) uint8 or float32.
            scale: factor that features are multiplied with.
            background: (C,) in features' dtype; by default the map's commonest vector. It changes
                the time taken only.
            pool: threads that share the work; None for the caller's alone.
            parts: number of parts that the work is cut into.

        Returns:
            (planes, H, W) uint8.
        """
        if features.shape[2:] != (self.channels,) or features.dtype not in (np.uint8, np.float32):
            raise CodebookError(
                f"a map must be uint8 or float32 of shape (H, W, {self.channels}), "
                f"got {features.dtype} of {features.shape}"
            )
        if not 0.0 < scale < np.inf:
            raise CodebookError(f"scale must be positive and finite, got {scale}")
        rows = np.ascontiguousarray(features).reshape(-1, self.channels)
        if background is None:
            background = commonest_row(rows)
        elif background.shape != (self.channels,) or background.dtype != rows.dtype:
            raise CodebookError(
                f"background must be {rows.dtype} of shape ({self.channels},), "
                f"got {background.dtype} of {background.shape}"
            )
        differing = differing_rows(rows, background)
        encoder = self._encoder(rows, scale)
        indices = np.empty((self.planes, len(rows)), np.uint8)
        indices[:] = encoder.one(background)
        indices[:, differing] = encoder.rows(differing, pool, parts)
        return indices.reshape(self.planes, *features.shape[:2])

    def decode(self, indices: IndexArray) -> Float32Array:
        """Return the features (cells, C) float32 of indices (planes, cells) uint8.

        Raises:
            CodebookError: wrong shape or dtype, or an index of k or more.
        """
        if indices.shape != (self.planes, *indices.shape[1:2]) or indices.dtype != np.uint8:
            raise CodebookError(
                f"indices must be uint8 of shape ({self.planes}, cells), "
                f"got {indices.dtype} of {indices.shape}"
            )
        if indices.size and int(indices.max()) >= self.dict_size:
            raise CodebookError(f"index {int(indices.max())} is outside of {self.dict_size} codes")
        tables = self.tables.reshape(self.planes, self.dict_size, self.channels)
        features: Float32Array = codebook_kernels.sum_tables(
            tables, self.bias, np.ascontiguousarray(indices)
        )
        return features

    def decode_map(self, indices: IndexArray) -> Float32Array:
        """Return the feature map (H, W, C) float32 of an index map (planes, H, W) uint8.

        Raises:
            CodebookError: as `decode`, or an index map without three axes.
        """
        if indices.ndim != 3:
            raise CodebookError(f"an index map has three axes, got the shape {indices.shape}")
        features = self.decode(indices.reshape(indices.shape[0], -1))
        return features.reshape(*indices.shape[1:], self.channels)

    def save(self, path: str | Path) -> None:
        """Write the arrays to an .npz file."""
        write(path, {name: getattr(self, name) for name in _ARRAYS}, self.bottleneck)

    @classmethod
    def load(cls, path: str | Path) -> ResidualCodebook:
        """Read a codebook that save() wrote.

        Raises:
            CodebookError: not such a file, an array is missing or wrong.
            OSError: the file cannot be read.
        """
        arrays, bottleneck = read(path, _ARRAYS)
        return cls(**arrays, bottleneck=bottleneck)


def codebook_id(codebook: ResidualCodebook, model: IndexModel | None) -> int:
    """Return the id of what sender and receiver must share to read indices.

    Args:
        codebook: the codebook, of which the decoding tables count.
        model: the entropy coder's model; None where indices are bit-packed.

    Returns:
        The codebook's fingerprint where there is no model; else the first 64 bits, big endian, of
        the SHA-256 of both fingerprints, 8 bytes each, big endian.
    """
    if model is None:
        return codebook.fingerprint
    both = (codebook.fingerprint, model.fingerprint)
    digest = hashlib.sha256(b"".join(number.to_bytes(8, "big") for number in both))
    return int.from_bytes(digest.digest()[:8], "big")
