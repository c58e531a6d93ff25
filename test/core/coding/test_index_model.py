# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Models of the entropy coder: what is damaged is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantv2x_ros.core.codebook.codebook import ResidualCodebook, codebook_id
from quantv2x_ros.core.coding.index_model import IndexModel, IndexModelError

Models = Callable[[int, int, int], IndexModel]


def test_a_saved_model_is_the_same_model(index_model: Models, tmp_path: Path) -> None:
    model = index_model(3, 128, 0)
    model.save(tmp_path / "prior.npz")
    loaded = IndexModel.load(tmp_path / "prior.npz")
    assert loaded.fingerprint == model.fingerprint
    np.testing.assert_array_equal(loaded.path_bits, model.path_bits)


def changed(model: IndexModel, name: str, index: Any, value: int) -> IndexModel:
    array = getattr(model, name).copy()
    array[index] = value
    return replace(model, **{name: array})


def test_whatever_changes_the_coding_changes_the_fingerprint(index_model: Models) -> None:
    model = index_model(2, 7, 0)
    row = (0, (int(model.background[0]) + 1) % 7, 3)
    others = [
        changed(model, "tables", row, 9),
        changed(model, "weights", (0, 0, 0), 5),
        changed(model, "weight_bias", (0, 0), 5),
        changed(model, "hidden_bias", (0, 0), 5),
    ]
    assert len({model.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_the_codebook_id_is_that_of_both(index_model: Models) -> None:
    book = ResidualCodebook(
        tables=np.ones((1, 1, 2, 4), np.float32),
        bias=np.zeros(4, np.float32),
        encode_weight=np.zeros((4, 2), np.float32),
        encode_bias=np.zeros(2, np.float32),
        encode_lookups=np.zeros((0, 2, 2), np.float32),
    )
    one, two = index_model(3, 128, 0), index_model(3, 128, 1)
    ids = {codebook_id(book, model) for model in (None, one, two)}
    assert len(ids) == 3
    assert codebook_id(book, None) == book.fingerprint
    assert all(0 <= number < 2**64 for number in ids)


@pytest.mark.parametrize(
    ("name", "index", "value", "complaint"),
    [
        ("weights", (0, 0, 0), 9000, "weights must be within"),
        ("weight_bias", (0, 0), 1 << 30, "weight_bias must be within"),
        ("background", 0, 7, "outside of 7"),
        ("children", (0, 0), 0, "no tree"),
        ("occupancy", (0, 0), np.inf, "not finite"),
    ],
)
def test_values_out_of_range_are_refused(
    index_model: Models, name: str, index: Any, value: int, complaint: str
) -> None:
    with pytest.raises(IndexModelError, match=complaint):
        changed(index_model(2, 7, 0), name, index, value)


def test_the_background_must_add_nothing(index_model: Models) -> None:
    model = index_model(2, 7, 0)
    with pytest.raises(IndexModelError, match="zero for the background"):
        changed(model, "tables", (0, int(model.background[0]), 0), 1)


def test_shapes_and_types_are_checked(index_model: Models) -> None:
    model = index_model(2, 7, 0)
    with pytest.raises(IndexModelError, match="hidden_bias must be int16"):
        replace(model, hidden_bias=model.hidden_bias.astype(np.int32))
    with pytest.raises(IndexModelError, match="tables must be"):
        replace(model, tables=model.tables[1:])
    with pytest.raises(IndexModelError, match="hidden values"):
        replace(model, weights=model.weights[:, :, :-1])


def test_other_files_are_refused(index_model: Models, tmp_path: Path) -> None:
    path = tmp_path / "prior.npz"
    path.write_bytes(b"PK nonsense")
    with pytest.raises(IndexModelError, match="not an index model"):
        IndexModel.load(path)
    np.savez(path, tables=np.zeros(3))
    with pytest.raises(IndexModelError, match="it holds"):
        IndexModel.load(path)
