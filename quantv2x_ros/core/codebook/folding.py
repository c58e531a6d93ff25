# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Folds the linear layers of a residual codebook into tables (docs/network.md, "Codebook").

Every layer of the codebook is affine and every code is a choice among k vectors, so the whole
decoder is a sum of table rows, and every distance that the encoder compares is affine in the input
plus table look-ups of the codes already chosen. Sums run in float64 and are rounded once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
Affine = tuple[Float64Array, Float64Array]


class CodebookError(ValueError):
    """A codebook whose parts are missing, do not fit each other or are not finite."""


class _Layers:
    """Reads layers by published name, in float64, with checks."""

    def __init__(self, arrays: Mapping[str, Any], prefix: str) -> None:
        self._arrays = arrays
        self._prefix = prefix
        self.levels = 0
        while f"{prefix}_encoders.{self.levels}._quantizer._codebook" in arrays:
            self.levels += 1
        if self.levels == 0:
            raise CodebookError(
                f"no tensor named {prefix}_encoders.0._quantizer._codebook: not a "
                f"checkpoint with a codebook, or its prefix is not '{prefix}'"
            )

    def array(self, name: str) -> Float64Array:
        key = self._prefix + name
        if key not in self._arrays:
            raise CodebookError(f"tensor {key} is missing: the checkpoint is not complete")
        value = np.asarray(self._arrays[key], dtype=np.float64)
        if not np.isfinite(value).all():
            raise CodebookError(f"tensor {key} has values that are not finite")
        return value

    def linear(self, name: str, channels: int) -> Affine:
        """Return the weight (C, C) and bias (C,) of a linear layer."""
        weight, bias = self.array(name + ".weight"), self.array(name + ".bias")
        if weight.shape != (channels, channels) or bias.shape != (channels,):
            raise CodebookError(
                f"{self._prefix}{name} has shapes {weight.shape} and {bias.shape}, expected "
                f"({channels}, {channels}) and ({channels},)"
            )
        return weight, bias

    def price(self, level: int, segments: int, size: int) -> Float64Array:
        """Return the price of each code (segments, k), added to its squared distance; else 0."""
        name = f"_encoders.{level}._quantizer._price"
        if self._prefix + name not in self._arrays:
            return np.zeros((segments, size))
        price = self.array(name)
        if price.shape != (segments, size):
            raise CodebookError(
                f"{self._prefix}{name} has the shape {price.shape}, expected {(segments, size)}"
            )
        return price

    def codebook(self, level: int, shape: tuple[int, ...] | None) -> Float64Array:
        """Codes (segments, k, C / segments) of a level; its other names must hold the same."""
        name = f"_encoders.{level}._quantizer._codebook"
        codes = self.array(name)
        if codes.ndim != 3 or (shape is not None and codes.shape != shape):
            raise CodebookError(
                f"{self._prefix}{name} has the shape {codes.shape}, expected "
                f"{shape if shape else '(segments, k, channels / segments)'}"
            )
        for alias in (f"_encoders.{level}._dequantizer", f"_decoders.{level}._dequantizer"):
            key = f"{alias}._codebook"
            if self._prefix + key in self._arrays and (self.array(key) != codes).any():
                raise CodebookError(
                    f"{self._prefix}{key} differs from {self._prefix}{name}: both are one tensor"
                )
        return codes


def _embed(codes: Float64Array) -> Float64Array:
    """Codes (segments, k, d) as full vectors (segments, k, segments * d), zero elsewhere."""
    segments, size, width = codes.shape
    vectors = np.zeros((segments, size, segments * width))
    for segment in range(segments):
        vectors[segment, :, segment * width : (segment + 1) * width] = codes[segment]
    return vectors


def _fold_decoder(
    layers: _Layers, vectors: list[Float64Array], channels: int
) -> tuple[Float64Array, Float64Array]:
    """Tables (levels, segments, k, C) and bias (C,) such that decoding is their sum."""
    segments, size, _ = vectors[0].shape
    tables = np.zeros((layers.levels, segments, size, channels))
    bias = np.zeros(channels)
    for level in reversed(range(layers.levels)):
        name = f"_decoders.{level}."
        deq_weight, deq_bias = layers.linear(name + "_dequantizationHead", channels)
        if level < layers.levels - 1:
            side_weight, side_bias = layers.linear(name + "_sideHead", channels)
            tables = tables @ side_weight.T
            bias = side_weight @ bias + side_bias
        tables[level] = vectors[level] @ deq_weight.T
        bias = bias + deq_bias
        restore_weight, restore_bias = layers.linear(name + "_restoreHead", channels)
        tables = tables @ restore_weight.T
        bias = restore_weight @ bias + restore_bias
    return tables, bias


def _fold_encoder(
    layers: _Layers, vectors: list[Float64Array], channels: int
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Weight (C, planes * k), bias (planes * k,) and lookups (pairs, k, k) of the distances.

    The distance compared is |c|^2 / 2 - c·h, which differs from |h - c|^2 / 2 by a term that is
    the same for all codes of a segment; to it comes half the code's price.
    """
    weights: list[Float64Array] = []
    biases: list[Float64Array] = []
    lookups: list[Float64Array] = []
    matrix, offset = np.eye(channels), np.zeros(channels)
    chosen: list[Float64Array] = []  # per earlier plane (k, C): what its code adds to the residual
    for level in range(layers.levels):
        name = f"_encoders.{level}."
        stage_weight, stage_bias = layers.linear(name + "_latentStageEncoder", channels)
        matrix, offset = stage_weight @ matrix, stage_weight @ offset + stage_bias
        chosen = [rows @ stage_weight.T for rows in chosen]
        head_weight, head_bias = layers.linear(name + "_quantizationHead", channels)
        prices = layers.price(level, *vectors[level].shape[:2])
        for codes, price in zip(vectors[level], prices, strict=True):
            project = codes @ head_weight
            weights.append(-project @ matrix)
            norms = (codes**2).sum(axis=1) + price
            biases.append(0.5 * norms - project @ offset - codes @ head_bias)
            lookups.extend(-rows @ project.T for rows in chosen)
        if level < layers.levels - 1:
            latent_weight, latent_bias = layers.linear(name + "_latentHead", channels)
            matrix, offset = latent_weight @ matrix, latent_weight @ offset + latent_bias
            chosen = [rows @ latent_weight.T for rows in chosen] + [-v for v in vectors[level]]
    size = vectors[0].shape[1]
    stacked = np.stack(lookups) if lookups else np.zeros((0, size, size))
    return np.concatenate(weights).T, np.concatenate(biases), stacked


def fold_layers(
    arrays: Mapping[str, Any], prefix: str = "codebook."
) -> dict[str, npt.NDArray[np.float32]]:
    """Fold the layers of a codebook in the published naming.

    Args:
        arrays: name → array (anything that NumPy can convert), at least the codebook's part of a
            state dict.
        prefix: what the codebook's names begin with.

    Returns:
        The fields of core.codebook.ResidualCodebook by name, see there.

    Raises:
        CodebookError: a tensor is missing, has a wrong shape or is not finite.
    """
    layers = _Layers(arrays, prefix)
    first = layers.codebook(0, None)
    channels = first.shape[0] * first.shape[2]
    vectors = [_embed(layers.codebook(level, first.shape)) for level in range(layers.levels)]
    tables, bias = _fold_decoder(layers, vectors, channels)
    weight, encode_bias, lookups = _fold_encoder(layers, vectors, channels)
    folded = {
        "tables": tables,
        "bias": bias,
        "encode_weight": weight,
        "encode_bias": encode_bias,
        "encode_lookups": lookups,
    }
    return {name: np.ascontiguousarray(array, np.float32) for name, array in folded.items()}


def fold_stages(
    codewords: Sequence[npt.ArrayLike], weight: npt.ArrayLike, bias: npt.ArrayLike
) -> dict[str, npt.NDArray[np.float32]]:
    """Fold ReVQom's stages and their affine way back (arXiv 2509.21464).

    Args:
        codewords: (k, d) of each stage, coarsest first.
        weight: (C, d) of the way back.
        bias: (C,) of the way back.

    Returns:
        The fields of core.codebook.ResidualCodebook by name: a stage is a level of one segment,
        and the encoder's arrays take features that are reduced to d channels already.

    Raises:
        CodebookError: shapes do not fit each other, or a value is not finite.
    """
    words = [np.asarray(item, dtype=np.float64) for item in codewords]
    matrix, offset = np.asarray(weight, np.float64), np.asarray(bias, np.float64)
    shapes = {item.shape for item in words}
    if len(shapes) != 1 or matrix.ndim != 2 or words[0].shape[1:] != matrix.shape[1:]:
        raise CodebookError(
            f"codewords of shapes {sorted(shapes)} do not fit a way back of {matrix.shape}"
        )
    if not all(np.isfinite(item).all() for item in (*words, matrix, offset)):
        raise CodebookError("codewords or the way back have values that are not finite")
    size = words[0].shape[0]
    lookups = [
        words[earlier] @ words[stage].T for stage in range(len(words)) for earlier in range(stage)
    ]
    folded = {
        "tables": np.stack([item @ matrix.T for item in words])[:, None],
        "bias": offset,
        "encode_weight": -np.concatenate(words).T,
        "encode_bias": 0.5 * np.concatenate([(item**2).sum(axis=1) for item in words]),
        "encode_lookups": np.stack(lookups) if lookups else np.zeros((0, size, size)),
    }
    return {name: np.ascontiguousarray(array, np.float32) for name, array in folded.items()}
