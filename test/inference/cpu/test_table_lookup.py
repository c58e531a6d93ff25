# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The table lookup beside OpenVINO: the same map as within it."""

from __future__ import annotations

import numpy as np
import openvino
import pytest

from quantv2x_ros.core.codebook.codebook_kernels import quantized_sums
from quantv2x_ros.inference.backends import create_engine
from quantv2x_ros.inference.cpu.graph_passes import TableLookup, cut_lookup
from quantv2x_ros.inference.engine.engine import EngineError
from quantv2x_ros.inference.model.bundle import ModelBundle

SHAPE = (1, 3, 64, 64)


def index_maps(seed: int) -> np.ndarray:
    """Runs of background with something between, over all codes."""
    generator = np.random.default_rng(seed)
    indices = generator.integers(0, 128, SHAPE).astype(np.uint8)
    indices[:, :, generator.random(SHAPE[2:]) < 0.6] = 7
    return indices


def test_the_map_is_what_the_tables_sum_to(int8_bundle: ModelBundle) -> None:
    model = openvino.Core().read_model(int8_bundle.engine_path("pyramid"))
    _, lookup = cut_lookup(model, SHAPE)
    assert lookup is not None
    indices = index_maps(0)
    rows = [table[codes] for table, codes in zip(lookup.tables, indices[0], strict=True)]
    steps = (np.sum(rows, axis=0, dtype=np.float64) + lookup.bias) / lookup.scale
    expected = np.clip(np.rint(steps) + lookup.zero_point, 0, 255)
    found = lookup(indices)[0]
    tied = np.abs(steps - np.floor(steps) - 0.5) < 1e-3
    assert tied.mean() < 0.01
    np.testing.assert_array_equal(found[~tied], expected[~tied])
    assert np.abs(found - expected).max() <= 1


def test_pairs_of_codes_are_looked_up_as_their_sum() -> None:
    """Two planes are quantized beforehand: the same map as when each cell is summed."""
    generator = np.random.default_rng(3)
    tables = generator.normal(0.0, 1.0, (2, 128, 64)).astype(np.float32)
    lookup = TableLookup(tables, np.ones(64, np.float32), np.float32(0.02), 100)
    indices = index_maps(4)[:, :2]
    found, expected = lookup(indices)[0], np.empty((64 * 64, 64), np.uint8)
    cells = indices.reshape(2, -1)
    quantized_sums(tables, lookup.bias, cells, lookup.scale, lookup.zero_point, expected)
    np.testing.assert_array_equal(found.reshape(-1, 64), expected)


def test_the_rest_gives_what_the_whole_file_gives_for_its_map(int8_bundle: ModelBundle) -> None:
    core, path = openvino.Core(), int8_bundle.engine_path("pyramid")
    model = core.read_model(path)
    (quantized,) = (op for op in model.get_ops() if op.get_friendly_name() == "decoded.q")
    model.add_outputs(quantized.output(0))
    model.reshape({"indices": list(SHAPE)})
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    expected = core.compile_model(model, "CPU", options)(index_maps(1))
    cut, _ = cut_lookup(core.read_model(path), SHAPE)
    found = core.compile_model(cut, "CPU", options)(expected["decoded.q"])
    assert len(found) == 6
    for output, values in found.items():
        np.testing.assert_array_equal(values, expected[output.any_name], err_msg=output.any_name)


def test_what_is_cut_off_is_the_lookup_alone(
    int8_bundle: ModelBundle, fp32_bundle: ModelBundle
) -> None:
    core = openvino.Core()
    rest, lookup = cut_lookup(core.read_model(int8_bundle.engine_path("pyramid")), SHAPE)
    assert lookup is not None
    assert lookup.tables.shape == (3, 128, 64)
    assert not [op for op in rest.get_ops() if op.get_type_name() == "Gather"]
    assert rest.inputs[0].shape == openvino.Shape([1, 64, 64, 64])
    exact, plain = cut_lookup(core.read_model(fp32_bundle.engine_path("pyramid")), SHAPE)
    assert plain is not None
    assert (plain.scale, plain.dtype) == (None, np.float32)
    assert exact.inputs[0].element_type == openvino.Type.f32
    head = core.read_model(int8_bundle.engine_path("head"))
    assert cut_lookup(head, SHAPE) == (head, None)


def test_in_full_precision_the_map_is_what_the_codebook_decodes(fp32_bundle: ModelBundle) -> None:
    model = openvino.Core().read_model(fp32_bundle.engine_path("pyramid"))
    _, lookup = cut_lookup(model, SHAPE)
    assert lookup is not None
    indices = index_maps(2)
    expected = fp32_bundle.codebook.decode_map(indices[0])
    np.testing.assert_array_equal(lookup(indices)[0], expected)


def test_codes_outside_of_the_tables_are_refused(int8_bundle: ModelBundle) -> None:
    engine = create_engine(int8_bundle.engine_path("pyramid"), {"indices": SHAPE}, "openvino")
    with pytest.raises(EngineError, match="200 is outside of 128 codes"):
        engine.run({"indices": np.full(SHAPE, 200, np.uint8)})
