# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The folded codebook against the golden codes and against the layers taken one by one."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from quantv2x_ros.core.codebook.codebook import ResidualCodebook
from quantv2x_ros.core.codebook.folding import CodebookError

Golden = Mapping[str, npt.NDArray[Any]]
Layers = dict[str, npt.NDArray[np.float64]]
Array = npt.NDArray[np.float64]


def make_layers(levels: int, segments: int, size: int, channels: int, seed: int = 0) -> Layers:
    """Random layers in the published naming."""
    generator = np.random.default_rng(seed)
    layers: Layers = {}

    def linear(name: str) -> None:
        layers[f"codebook.{name}.weight"] = generator.normal(
            0, channels**-0.5, (channels, channels)
        )
        layers[f"codebook.{name}.bias"] = generator.normal(0, 0.1, channels)

    for level in range(levels):
        for name in ("_latentStageEncoder", "_quantizationHead", "_latentHead"):
            if name != "_latentHead" or level < levels - 1:
                linear(f"_encoders.{level}.{name}")
        for name in ("_dequantizationHead", "_sideHead", "_restoreHead"):
            if name != "_sideHead" or level < levels - 1:
                linear(f"_decoders.{level}.{name}")
        codes = generator.normal(0, 0.7, (segments, size, channels // segments))
        layers[f"codebook._encoders.{level}._quantizer._codebook"] = codes
        layers[f"codebook._decoders.{level}._dequantizer._codebook"] = codes
    return layers


def _apply(layers: Layers, name: str, x: Array) -> Array:
    return x @ layers[f"codebook.{name}.weight"].T + layers[f"codebook.{name}.bias"]


def _levels(layers: Layers) -> int:
    return sum(name.endswith("_quantizer._codebook") for name in layers)


def encode_by_layers(layers: Layers, x: Array) -> tuple[npt.NDArray[np.int64], Array]:
    """Codes (planes, cells) and, for each cell, the least margin between best and second best."""
    codes = []
    margin = np.full(len(x), np.inf)
    for level in range(_levels(layers)):
        z = _apply(layers, f"_encoders.{level}._latentStageEncoder", x)
        h = _apply(layers, f"_encoders.{level}._quantizationHead", z)
        book = layers[f"codebook._encoders.{level}._quantizer._codebook"]
        parts = np.split(h, len(book), axis=1)
        picked = []
        for entries, part in zip(book, parts, strict=True):
            distance = ((part[:, None] - entries) ** 2).sum(axis=2)
            codes.append(distance.argmin(axis=1))
            picked.append(entries[codes[-1]])
            best = np.sort(distance, axis=1)
            margin = np.minimum(margin, best[:, 1] - best[:, 0])
        if level < _levels(layers) - 1:
            latent = _apply(layers, f"_encoders.{level}._latentHead", z)
            x = latent - np.concatenate(picked, axis=1)
    return np.stack(codes), margin


def decode_by_layers(layers: Layers, codes: npt.NDArray[np.integer]) -> Array:
    out: Array | None = None
    for level in reversed(range(_levels(layers))):
        book = layers[f"codebook._encoders.{level}._quantizer._codebook"]
        rows = codes[level * len(book) : (level + 1) * len(book)]
        picked = [entries[row] for entries, row in zip(book, rows, strict=True)]
        q = _apply(layers, f"_decoders.{level}._dequantizationHead", np.concatenate(picked, axis=1))
        if out is not None:
            q = q + _apply(layers, f"_decoders.{level}._sideHead", out)
        out = _apply(layers, f"_decoders.{level}._restoreHead", q)
    assert out is not None
    return out


# levels, segments, codes, channels; the last has channels that are no multiple of four
SHAPES = [(1, 1, 128, 64), (3, 1, 128, 64), (3, 2, 256, 64), (2, 2, 2, 8), (2, 3, 5, 9)]


@pytest.mark.parametrize("shape", SHAPES)
def test_folding_changes_nothing(shape: tuple[int, int, int, int]) -> None:
    layers = make_layers(*shape)
    codebook = ResidualCodebook.from_layers(layers)
    features = np.random.default_rng(1).normal(0, 1, (500, shape[3])).astype(np.float32)
    expected, margin = encode_by_layers(layers, features.astype(np.float64))
    codes = codebook.encode(features)
    clear = margin > 1e-4
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(codes[:, clear], expected[:, clear])
    decoded = decode_by_layers(layers, codes)
    np.testing.assert_allclose(
        codebook.decode(codes), decoded, rtol=1e-4, atol=1e-5 * np.abs(decoded).max()
    )
    assert (codebook.levels, codebook.segments, codebook.dict_size, codebook.channels) == shape
    assert codebook.planes == shape[0] * shape[1] == len(codes)


def test_codes_agree_with_the_published_ones(
    golden: Golden, golden_codebook: ResidualCodebook
) -> None:
    near_tie = np.zeros(golden["codes_0"].shape, bool)
    for agent, bev in enumerate(golden["bev"]):
        codes = golden_codebook.encode_map(np.ascontiguousarray(bev.transpose(1, 2, 0)))
        for level in range(3):
            near_tie[agent] |= golden[f"margin_{level}"][agent] < 1e-4
            differs = codes[level] != golden[f"codes_{level}"][agent]
            assert not (differs & ~near_tie[agent]).any()
    assert near_tie.sum() == 1


def test_at_the_one_near_tie_the_code_is_that_of_exact_arithmetic(
    golden: Golden, golden_codebook: ResidualCodebook
) -> None:
    cell = np.ascontiguousarray(golden["bev"][2, :, 1, 17][None])
    assert golden["codes_0"][2, 1, 17] == 126
    assert golden_codebook.encode(cell)[0, 0] == 21


def test_decoding_agrees_with_the_published_features(
    golden: Golden, golden_codebook: ResidualCodebook
) -> None:
    for agent in range(3):
        codes = np.stack([golden[f"codes_{level}"][agent] for level in range(3)])
        decoded = golden_codebook.decode_map(codes).transpose(2, 0, 1)
        expected = golden["deq"][agent]
        assert np.abs(decoded - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_map_is_coded_cell_by_cell_whatever_its_background(dtype: type) -> None:
    codebook = ResidualCodebook.from_layers(make_layers(2, 2, 16, 8))
    generator = np.random.default_rng(2)
    features = generator.integers(0, 256, (6, 11, 8)).astype(dtype)
    features[generator.random((6, 11)) < 0.7] = features[0, 0]
    scaled = (features.reshape(-1, 8).astype(np.float32)) * np.float32(0.02)
    expected = codebook.encode(scaled).reshape(4, 6, 11)
    for background in (None, features[0, 0], features[5, 10], np.full(8, 77, dtype)):
        codes = codebook.encode_map(features, 0.02, background)
        np.testing.assert_array_equal(codes, expected)
    assert codebook.encode_map(features[:0], 0.02).shape == (4, 0, 11)


@pytest.mark.parametrize("parts", [1, 2, 3, 200])
def test_threads_that_share_a_map_change_no_code(parts: int) -> None:
    codebook = ResidualCodebook.from_layers(make_layers(2, 2, 16, 8))
    features = np.random.default_rng(3).integers(0, 256, (6, 11, 8)).astype(np.uint8)
    with ThreadPoolExecutor(2) as pool:
        codes = codebook.encode_map(features, 0.02, pool=pool, parts=parts)
        nothing = codebook.encode_map(np.zeros_like(features), 0.02, pool=pool, parts=parts)
        broken = np.full((6, 11, 8), np.nan, np.float32)
        with pytest.raises(CodebookError, match="not finite"):
            codebook.encode_map(broken, 0.02, np.zeros(8, np.float32), pool=pool, parts=parts)
    np.testing.assert_array_equal(codes, codebook.encode_map(features, 0.02))
    assert (nothing == nothing[:, :1, :1]).all()


def test_the_lowest_index_wins_a_tie() -> None:
    layers = make_layers(1, 1, 8, 4)
    book = layers["codebook._encoders.0._quantizer._codebook"]
    book[0, 5] = book[0, 2]
    codebook = ResidualCodebook.from_layers(layers)
    codes = codebook.encode(np.random.default_rng(0).normal(0, 1, (400, 4)).astype(np.float32))
    assert (codes == 2).any()
    assert not (codes == 5).any()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused(
    golden_codebook: ResidualCodebook, value: float
) -> None:
    features = np.zeros((10, 64), np.float32)
    features[3, 7] = value
    with pytest.raises(CodebookError, match="1 of 10 cells"):
        golden_codebook.encode(features)


def test_wrong_arrays_are_refused() -> None:
    codebook = ResidualCodebook.from_layers(make_layers(2, 1, 16, 8))
    with pytest.raises(CodebookError, match=r"float32 of shape \(cells, 8\)"):
        codebook.encode(np.zeros((3, 9), np.float32))
    with pytest.raises(CodebookError, match="float32 of shape"):
        codebook.encode(np.zeros((3, 8)))  # type: ignore[arg-type]
    with pytest.raises(CodebookError, match="uint8 or float32"):
        codebook.encode_map(np.zeros((3, 3, 8)))  # type: ignore[arg-type]
    with pytest.raises(CodebookError, match="scale"):
        codebook.encode_map(np.zeros((3, 3, 8), np.uint8), 0.0)
    with pytest.raises(CodebookError, match="background"):
        codebook.encode_map(np.zeros((3, 3, 8), np.uint8), 1.0, np.zeros(8, np.float32))
    with pytest.raises(CodebookError, match="index 16 is outside of 16 codes"):
        codebook.decode(np.full((2, 4), 16, np.uint8))
    with pytest.raises(CodebookError, match=r"shape \(2, cells\)"):
        codebook.decode(np.zeros((3, 4), np.uint8))
    with pytest.raises(CodebookError, match="three axes"):
        codebook.decode_map(np.zeros((2, 4), np.uint8))


def test_a_saved_codebook_is_the_same(tmp_path: Path) -> None:
    codebook = ResidualCodebook.from_layers(make_layers(2, 2, 16, 8))
    codebook.save(tmp_path / "codebook.npz")
    loaded = ResidualCodebook.load(tmp_path / "codebook.npz")
    for field in fields(codebook):
        np.testing.assert_array_equal(getattr(loaded, field.name), getattr(codebook, field.name))
    assert loaded.fingerprint == codebook.fingerprint


def test_the_fingerprint_is_64_bits_of_what_decodes() -> None:
    codebook = ResidualCodebook.from_layers(make_layers(2, 1, 16, 8))
    assert 0 < codebook.fingerprint < 2**64
    table = codebook.tables.copy()
    table[1, 0, 3, 2] = np.nextafter(table[1, 0, 3, 2], np.float32(9), dtype=np.float32)
    assert replace(codebook, tables=table).fingerprint != codebook.fingerprint
    assert replace(codebook, bias=codebook.bias + 1).fingerprint != codebook.fingerprint
    # Senders may differ in how they choose codes; receivers decode alike.
    assert replace(codebook, encode_bias=codebook.encode_bias + 1).fingerprint == (
        codebook.fingerprint
    )
    again = ResidualCodebook.from_layers(make_layers(2, 1, 16, 8))
    assert again.fingerprint == codebook.fingerprint


def test_files_that_are_no_codebook_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "codebook.npz"
    codebook = ResidualCodebook.from_layers(make_layers(2, 1, 16, 8))
    codebook.save(path)
    whole = path.read_bytes()
    for content in (b"", b"no archive", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(CodebookError, match="is not a codebook"):
            ResidualCodebook.load(path)
    np.savez(path, tables=codebook.tables)
    with pytest.raises(CodebookError, match="expected"):
        ResidualCodebook.load(path)
    np.save(tmp_path / "one.npy", codebook.tables)
    with pytest.raises(CodebookError, match="is not a codebook"):
        ResidualCodebook.load(tmp_path / "one.npy")
    with pytest.raises(FileNotFoundError):
        ResidualCodebook.load(tmp_path / "absent.npz")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("bias", lambda a: a[:-1]),
        ("bias", lambda a: a.astype(np.float64)),
        ("encode_weight", lambda a: a * np.float32(np.nan)),
        ("encode_lookups", lambda a: a[:0]),
        ("tables", lambda a: a[:, :, :1]),
        ("tables", lambda a: a[0]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, change: Any) -> None:
    codebook = ResidualCodebook.from_layers(make_layers(2, 1, 16, 8))
    with pytest.raises(CodebookError):
        replace(codebook, **{name: change(getattr(codebook, name))})
