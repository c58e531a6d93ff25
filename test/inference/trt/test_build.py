# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT parses and builds the bundle's engines; built ahead of time, which needs no GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from quantv2x_ros.inference.engine.engine import EngineError
from quantv2x_ros.inference.engine_set import OWN_PYRAMID, build_engines, tensorrt_profiles
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.trt.api import TensorRt, load_tensorrt
from quantv2x_ros.inference.trt.plan import build_plan
from quantv2x_ros.inference.trt.profile import Profile

CONVOLUTIONS = {"encoder": 7, "pyramid": 53, "fuse": 8}


@pytest.fixture(scope="module")
def library() -> TensorRt:
    pytest.importorskip("tensorrt_rtx", reason="its wheels exist for x86-64 Linux only")
    library = load_tensorrt()
    if not library.builds_without_gpu:
        pytest.skip(f"{library.label} builds on a GPU only")
    return library


@pytest.mark.parametrize("engine", sorted(CONVOLUTIONS))
def test_every_convolution_of_the_bundle_runs_in_int8(
    library: TensorRt, int8_bundle: ModelBundle, engine: str
) -> None:
    profile = tensorrt_profiles(int8_bundle)[engine]
    plan = build_plan(library, int8_bundle.engine_path(engine), profile)
    assert len(plan.precisions) == CONVOLUTIONS[engine]
    assert set(plan.precisions.values()) == {"int8"}
    kernels = [layer for layer in plan.layers if layer.is_convolution]
    assert len(kernels) == CONVOLUTIONS[engine]
    assert all(layer.is_int8 for layer in kernels)
    assert len(plan.content) > 100_000


def test_the_default_bundle_builds_for_one_to_its_greatest_number_of_agents(
    library: TensorRt, repository: Path
) -> None:
    bundle = ModelBundle.load(repository / "engines/default")
    profile = tensorrt_profiles(bundle)["fuse"]
    assert profile.agents == (1, 2, bundle.max_agents)
    plan = build_plan(library, bundle.engine_path("fuse"), profile)
    assert set(plan.precisions.values()) == {"int8"}


def test_a_bundle_in_full_precision_stays_in_it(
    library: TensorRt, fp32_bundle: ModelBundle
) -> None:
    profile = tensorrt_profiles(fp32_bundle)["encoder"]
    plan = build_plan(library, fp32_bundle.engine_path("encoder"), profile)
    kernels = [layer for layer in plan.layers if layer.is_convolution]
    assert kernels
    assert {layer.input_types[0] for layer in kernels} == {"float"}


def test_a_convolution_that_would_not_run_in_int8_is_an_error(
    library: TensorRt, int8_bundle: ModelBundle, tmp_path: Path
) -> None:
    model = onnx.load(str(int8_bundle.engine_path("encoder")))
    node = next(node for node in model.graph.node if node.name == "block1.conv1.conv")
    margin = numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), "margin")
    value = numpy_helper.from_array(np.array(0.5, np.float32), "value")
    model.graph.initializer.extend([margin, value])
    padded = helper.make_node("Pad", [node.input[0], "margin", "value"], ["padded"], name="padded")
    for attribute in node.attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [0] * 4
    position = list(model.graph.node).index(node)
    node.input[0] = "padded"
    model.graph.node.insert(position, padded)
    onnx.save(model, str(tmp_path / "padded.onnx"))
    profile = tensorrt_profiles(int8_bundle)["encoder"]
    with pytest.raises(EngineError, match=r"1 of 7 convolutions not in INT8.*block1\.conv1\.conv"):
        build_plan(library, tmp_path / "padded.onnx", profile)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"points": (1, 3, 64, 64)}, r"got \['points'\], its inputs are \['indices'\]"),
        ({"indices": (1, 2, 64, 64)}, r"indices.*got \(1, 2, 64, 64\), it takes \(1, 3, -1, -1\)"),
        ({"indices": (3, 64, 64)}, r"got \(3, 64, 64\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(
    library: TensorRt,
    int8_bundle: ModelBundle,
    shapes: dict[str, tuple[int, ...]],
    message: str,
) -> None:
    with pytest.raises(EngineError, match=message):
        build_plan(library, int8_bundle.engine_path("pyramid"), Profile(shapes))


def test_a_model_that_tensorrt_does_not_know_is_refused_with_its_words(
    library: TensorRt, fp32_bundle: ModelBundle, tmp_path: Path
) -> None:
    model = onnx.load(str(fp32_bundle.engine_path("encoder")))
    node = next(node for node in model.graph.node if node.op_type == "Relu")
    node.op_type, node.domain = "Unheard", "nowhere"
    model.opset_import.append(helper.make_opsetid("nowhere", 1))
    onnx.save(model, str(tmp_path / "unheard.onnx"))
    profile = tensorrt_profiles(fp32_bundle)["encoder"]
    with pytest.raises(EngineError, match=r"refuses .*unheard\.onnx: .*Unheard"):
        build_plan(library, tmp_path / "unheard.onnx", profile)


def test_progress_grows_from_nothing_to_nearly_all(
    library: TensorRt, int8_bundle: ModelBundle
) -> None:
    fractions: list[float] = []
    build_plan(
        library,
        int8_bundle.engine_path("encoder"),
        tensorrt_profiles(int8_bundle)["encoder"],
        lambda fraction, phase: fractions.append(fraction),
    )
    assert len(fractions) > 20
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < 0.1
    assert 0.5 < fractions[-1] <= 1


def test_ctrl_c_ends_a_build(library: TensorRt, int8_bundle: ModelBundle) -> None:
    calls = 0

    def interrupt(fraction: float, phase: str) -> None:
        nonlocal calls
        calls += 1
        raise KeyboardInterrupt

    profile = tensorrt_profiles(int8_bundle)["encoder"]
    with pytest.raises(KeyboardInterrupt):
        build_plan(library, int8_bundle.engine_path("encoder"), profile, interrupt)
    assert calls < 20


@pytest.mark.parametrize(("shapes", "agents"), [({"a": (1, 0)}, 1), ({"a": (-2,)}, 1), ({}, 0)])
def test_a_profile_needs_positive_sizes(shapes: dict[str, tuple[int, ...]], agents: int) -> None:
    with pytest.raises(EngineError, match="sizes are positive"):
        Profile(shapes, agents)


def test_engines_are_built_for_known_backends_only(int8_bundle: ModelBundle) -> None:
    with pytest.raises(EngineError, match=r"'abacus'.*tensorrt or openvino"):
        build_engines(int8_bundle, "abacus")


@pytest.mark.parametrize("engine", ["encoder", "pyramid", OWN_PYRAMID, "fuse"])
def test_every_convolution_of_the_default_bundle_runs_in_int8(
    library: TensorRt, repository: Path, engine: str
) -> None:
    bundle = ModelBundle.load(repository / "engines/default")
    path = bundle.engine_path("pyramid" if engine == OWN_PYRAMID else engine)
    convolutions = [node for node in onnx.load(str(path)).graph.node if node.op_type == "Conv"]
    plan = build_plan(library, path, tensorrt_profiles(bundle)[engine])
    assert len(plan.precisions) == len(convolutions) > 5
    assert set(plan.precisions.values()) == {"int8"}
