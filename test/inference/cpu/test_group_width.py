# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Groups of convolutions are narrowed where nothing lies between them, to the same bits."""

from __future__ import annotations

import numpy as np
import openvino
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.inference.cpu.engine import OpenVinoEngine
from quantv2x_ros.inference.cpu.graph_passes import narrow_groups, narrow_weight
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.shapes import pyramid_shapes
from quantv2x_ros.training.graphs.graph import widen_weight


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.data())
def test_narrowing_inverts_widening(
    wide_groups: int, merged: int, width: int, outputs: int, data: st.DataObject
) -> None:
    groups = wide_groups * merged
    seed = data.draw(st.integers(0, 100))
    shape = (groups * outputs, width, 3, 3)
    weight = np.random.default_rng(seed).integers(1, 100, shape).astype(np.int8)
    wide = widen_weight(weight, groups, wide_groups)
    narrow = narrow_weight(wide, wide_groups, width)
    if merged == 1:
        assert narrow is None
    else:
        assert narrow is not None
        np.testing.assert_array_equal(narrow, weight)


def test_groups_that_share_a_weight_stay_as_they_are() -> None:
    wide = widen_weight(np.ones((8, 2, 1, 1), np.int8), 4, 2)
    assert narrow_weight(wide, 2, 2) is not None
    wide[0, 3] = 1
    assert narrow_weight(wide, 2, 2) is None


@pytest.mark.parametrize(("outputs", "width"), [(8, 3), (6, 2), (8, 4), (8, 8)])
def test_groups_that_the_width_does_not_fit_stay_as_they_are(outputs: int, width: int) -> None:
    assert narrow_weight(np.zeros((outputs, 4, 1, 1), np.int8), 2, width) is None


def groups_of(bundle: ModelBundle, width: int) -> set[int]:
    """Input channels a group of the pyramid's grouped convolutions."""
    model = openvino.Core().read_model(bundle.engine_path("pyramid"))
    narrow_groups(model, width)
    return {
        int(op.input_value(1).get_shape()[2])
        for op in model.get_ops()
        if op.get_type_name() == "GroupConvolution"
    }


def test_a_bundles_groups_of_64_become_16(int8_bundle: ModelBundle) -> None:
    assert groups_of(int8_bundle, 64) == {64}
    assert groups_of(int8_bundle, 16) == {16}


def test_the_engine_gives_the_same_bits_in_either_width(
    int8_bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = pyramid_shapes(int8_bundle)
    indices = np.random.default_rng(2).integers(0, 128, shapes["indices"]).astype(np.uint8)
    found = []
    for width in (64, 16):
        monkeypatch.setattr("quantv2x_ros.inference.cpu.engine.group_width", lambda w=width: w)
        engine = OpenVinoEngine(int8_bundle.engine_path("pyramid"), shapes, 1)
        found.append({k: v.copy() for k, v in engine.run({"indices": indices}).items()})
    for name, values in found[0].items():
        np.testing.assert_array_equal(found[1][name], values)
