# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is refused when a checkpoint's codebook is folded."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.core.codebook.folding import CodebookError, fold_layers


def _layers() -> dict[str, np.ndarray]:
    """One level of 4 codes for 2 channels."""
    layers = {}
    for name in (
        "_encoders.0._latentStageEncoder",
        "_encoders.0._quantizationHead",
        "_decoders.0._dequantizationHead",
        "_decoders.0._restoreHead",
    ):
        layers[f"codebook.{name}.weight"] = np.eye(2)
        layers[f"codebook.{name}.bias"] = np.zeros(2)
    codes = np.array([[(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]])
    layers["codebook._encoders.0._quantizer._codebook"] = codes
    layers["codebook._decoders.0._dequantizer._codebook"] = codes.copy()
    return layers


def test_identity_layers_leave_the_codes_as_tables() -> None:
    folded = fold_layers(_layers())
    np.testing.assert_array_equal(folded["tables"][0, 0], [(0, 0), (1, 0), (0, 1), (1, 1)])
    np.testing.assert_array_equal(folded["bias"], 0)
    np.testing.assert_array_equal(folded["encode_bias"], [0, 0.5, 0.5, 1])
    assert folded["encode_lookups"].shape == (0, 4, 4)
    assert {array.dtype for array in folded.values()} == {np.dtype(np.float32)}


def test_the_prefix_can_be_any() -> None:
    renamed = {name.replace("codebook.", "net.vq.", 1): a for name, a in _layers().items()}
    np.testing.assert_array_equal(
        fold_layers(renamed, "net.vq.")["tables"], fold_layers(_layers())["tables"]
    )
    with pytest.raises(CodebookError, match=r"prefix is not 'codebook\.'"):
        fold_layers(renamed)


def test_a_missing_tensor_is_named() -> None:
    layers = _layers()
    del layers["codebook._decoders.0._restoreHead.bias"]
    with pytest.raises(CodebookError, match=r"codebook\._decoders\.0\._restoreHead\.bias is miss"):
        fold_layers(layers)


def test_a_wrong_shape_is_named() -> None:
    layers = _layers()
    layers["codebook._encoders.0._quantizationHead.weight"] = np.eye(3)
    with pytest.raises(CodebookError, match=r"_quantizationHead has shapes \(3, 3\)"):
        fold_layers(layers)
    layers = _layers()
    layers["codebook._encoders.0._quantizer._codebook"] = np.zeros((4, 2))
    with pytest.raises(CodebookError, match=r"expected \(segments, k, channels / segments\)"):
        fold_layers(layers)


def test_values_that_are_not_finite_are_refused() -> None:
    layers = _layers()
    layers["codebook._encoders.0._latentStageEncoder.bias"] = np.array([np.nan, 0])
    with pytest.raises(CodebookError, match="not finite"):
        fold_layers(layers)


def test_the_names_of_one_codebook_must_hold_the_same() -> None:
    layers = _layers()
    layers["codebook._decoders.0._dequantizer._codebook"][0, 1, 1] = 7
    with pytest.raises(CodebookError, match="both are one tensor"):
        fold_layers(layers)
