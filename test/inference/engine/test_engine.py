# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an engine says of itself, and what inputs it takes."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.inference.backends import create_engine
from quantv2x_ros.inference.engine.engine import Engine, EngineError
from quantv2x_ros.inference.model.bundle import ModelBundle

SHAPES = {"indices": (1, 3, 64, 64)}


@pytest.fixture(scope="module")
def engine(int8_bundle: ModelBundle) -> Engine:
    return create_engine(int8_bundle.engine_path("pyramid"), SHAPES, "openvino", threads=1)


def test_an_engine_describes_its_tensors(engine: Engine) -> None:
    assert engine.inputs["indices"].shape == (1, 3, 64, 64)
    assert engine.inputs["indices"].dtype == np.uint8
    assert engine.outputs["level2_nhwc"].shape == (1, 16, 16, 256)
    assert engine.outputs["level2_nhwc"].dtype == np.uint8
    assert engine.outputs["score0_nhwc"].dtype == np.float32


def test_inputs_are_read_in_place_at_every_run(engine: Engine) -> None:
    indices = np.zeros((1, 3, 64, 64), np.uint8)
    first = engine.run({"indices": indices})["level0_nhwc"].copy()
    indices += 5
    changed = engine.run({"indices": indices})["level0_nhwc"].copy()
    indices -= 5
    again = engine.run({"indices": indices})["level0_nhwc"].copy()
    assert (first != changed).any()
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "expected \\['indices'\\]"),
        ({"indices": np.zeros((1, 3, 64, 32), np.uint8)}, "shape \\(1, 3, 64, 32\\)"),
        ({"indices": np.zeros((3, 64, 64), np.uint8)}, "shape \\(3, 64, 64\\)"),
        ({"indices": np.zeros((1, 3, 64, 64), np.int32)}, "int32"),
        ({"indices": np.zeros((1, 3, 64, 128), np.uint8)[..., ::2]}, "not contiguous"),
    ],
)
def test_inputs_that_do_not_fit_are_named(
    engine: Engine, inputs: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(EngineError, match=message):
        engine.run(inputs)


def test_threads_do_not_change_the_numbers(int8_bundle: ModelBundle, engine: Engine) -> None:
    other = create_engine(int8_bundle.engine_path("pyramid"), SHAPES, threads=2)
    indices = np.random.default_rng(0).integers(0, 128, (1, 3, 64, 64)).astype(np.uint8)
    expected = {name: value.copy() for name, value in engine.run({"indices": indices}).items()}
    for name, value in other.run({"indices": indices}).items():
        if value.dtype == np.uint8:
            np.testing.assert_array_equal(value, expected[name])
