# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bundle's ONNX files as TensorRT takes them: int8 activations, borders as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from quantv2x_ros.inference.cpu.engine import OpenVinoEngine
from quantv2x_ros.inference.engine.engine import EngineError
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.bundle_files import ENGINE_FILES
from quantv2x_ros.inference.trt.graph import is_quantized, tensorrt_model


def types_by_tensor(model: onnx.ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    values = [*inferred.value_info, *inferred.input, *inferred.output]
    return {value.name: value.type.tensor_type.elem_type for value in values}


@pytest.mark.parametrize("engine", sorted(ENGINE_FILES))
def test_no_uint8_is_left_but_at_the_borders(int8_bundle: ModelBundle, engine: str) -> None:
    before = onnx.load(str(int8_bundle.engine_path(engine)))
    model = tensorrt_model(int8_bundle.engine_path(engine))
    borders = {value.name for value in [*model.graph.input, *model.graph.output]}
    types = types_by_tensor(model)
    inside = {name for name, kind in types.items() if kind == TensorProto.UINT8} - borders
    assert inside == set()
    assert [i.data_type for i in model.graph.initializer].count(TensorProto.UINT8) == 0
    assert list(model.graph.input) == list(before.graph.input)
    assert list(model.graph.output) == list(before.graph.output)


@pytest.mark.parametrize("engine", sorted(ENGINE_FILES))
def test_every_convolution_reads_int8_on_twice_the_step(
    int8_bundle: ModelBundle, engine: str
) -> None:
    before = onnx.load(str(int8_bundle.engine_path(engine)))
    model = tensorrt_model(int8_bundle.engine_path(engine))
    scales = {item.name: numpy_helper.to_array(item) for item in before.graph.initializer}
    doubled = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert convolutions
    for node in convolutions:
        source = makers[node.input[0]]
        while source.op_type == "Transpose":
            source = makers[source.input[0]]
        assert source.op_type == "DequantizeLinear"
        assert doubled[source.input[2]].dtype == np.int8
        name = source.input[1].removesuffix(".signed")
        factor = 2.0 if source.input[1] != name else 1.0  # signed tensors stay as they are
        assert doubled[source.input[1]] == factor * scales[name]
        weight = makers[node.input[1]]
        np.testing.assert_array_equal(doubled[weight.input[0]], scales[weight.input[0]])


def test_the_numbers_stay_within_a_few_steps(int8_bundle: ModelBundle, tmp_path: Path) -> None:
    path = int8_bundle.engine_path("pyramid")
    (tmp_path / "signed.onnx").write_bytes(tensorrt_model(path).SerializeToString())
    indices = np.random.default_rng(1).integers(0, 128, (1, 3, 64, 64)).astype(np.uint8)
    shapes = {"indices": indices.shape}
    unsigned = OpenVinoEngine(path, shapes, 1).run({"indices": indices})
    engine = OpenVinoEngine(tmp_path / "signed.onnx", shapes, 1)
    # signed inputs are i8 to OpenVINO, unsigned ones I8, and so are all of its older kernels
    assert {kind.lower() for kind in engine.layer_precisions().values()} == {"i8"}
    signed = engine.run({"indices": indices})
    for name in ("level0_nhwc", "level1_nhwc", "level2_nhwc"):
        difference = np.abs(signed[name].astype(int) - unsigned[name].astype(int))
        assert signed[name].dtype == np.uint8
        assert unsigned[name].max() > 50
        assert difference.mean() < 2.0
        assert not np.any(signed[name] % 2)  # every second point of the same grid


def test_halves_stay_away_from_positions_scores_and_boxes(int8_bundle: ModelBundle) -> None:
    model = tensorrt_model(int8_bundle.engine_path("fuse"))
    types = types_by_tensor(model)
    halves = {name for name, kind in types.items() if kind == TensorProto.FLOAT16}
    assert {"fusion0.part", "fusion1.part", "fusion2.part"} <= halves
    for node in model.graph.node:
        if node.op_type in ("GridSample", "Conv", "Exp", "MatMul"):
            assert not halves.intersection([*node.input, *node.output]), node.name
    assert not halves.intersection(value.name for value in model.graph.output)
    whole = types_by_tensor(tensorrt_model(int8_bundle.engine_path("fuse"), half=False))
    assert TensorProto.FLOAT16 not in whole.values()


def test_a_model_that_is_not_quantized_is_left_alone(fp32_bundle: ModelBundle) -> None:
    path = fp32_bundle.engine_path("head")
    model = tensorrt_model(path)
    assert not is_quantized(model)
    assert model == onnx.load(str(path))


def test_what_is_no_onnx_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(EngineError, match=r"broken\.onnx cannot be read as ONNX"):
        tensorrt_model(tmp_path / "broken.onnx")
    with pytest.raises(EngineError, match=r"absent\.onnx cannot be read"):
        tensorrt_model(tmp_path / "absent.onnx")


def rounding_model(scale: float, zero: int = 0) -> onnx.ModelProto:
    """x, through uint8, to y."""
    constants = [
        numpy_helper.from_array(np.array(scale, np.float32), "scale"),
        numpy_helper.from_array(np.array(zero, np.uint8), "zero"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], name="y"),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = helper.make_graph(nodes, "rounding", values[:1], values[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    model.ir_version = 9
    return model


@settings(deadline=None, max_examples=50)
@given(
    scale=st.floats(0.0078125, 4.0, width=32),
    values=st.lists(st.floats(-100, 2000, width=32), min_size=1, max_size=20),
)
def test_a_signed_value_is_an_even_unsigned_one(
    tmp_path_factory: pytest.TempPathFactory, scale: float, values: list[float]
) -> None:
    path = tmp_path_factory.mktemp("model") / "rounding.onnx"
    onnx.save(rounding_model(scale), str(path))
    x = np.array(values, np.float32)
    signed: npt.NDArray[np.float32] = ReferenceEvaluator(tensorrt_model(path)).run(None, {"x": x})[
        0
    ]
    steps = signed / np.float32(scale)
    np.testing.assert_allclose(steps, 2 * np.rint(steps / 2), rtol=1e-6)
    assert steps.min() >= 0
    assert steps.max() <= 254 * (1 + 1e-6)
    inside = (x >= 0) & (x <= 254 * scale)
    assert np.all(np.abs(signed - x)[inside] <= scale * (1 + 1e-5))


def test_a_zero_point_that_tensorrt_cannot_compute_is_refused(tmp_path: Path) -> None:
    onnx.save(rounding_model(0.5, zero=7), str(tmp_path / "shifted.onnx"))
    with pytest.raises(EngineError, match="zero point of 7"):
        tensorrt_model(tmp_path / "shifted.onnx")
