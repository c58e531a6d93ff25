# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT engines that run, where there is a GPU; a clear refusal where there is none."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from quantv2x_ros.inference.backends import create_engine
from quantv2x_ros.inference.cpu.engine import OpenVinoEngine
from quantv2x_ros.inference.engine.engine import EngineError
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.shapes import fuse_shapes, pyramid_shapes
from quantv2x_ros.inference.trt.cuda import what_is_missing
from quantv2x_ros.inference.trt.graph import tensorrt_model

if TYPE_CHECKING:
    from quantv2x_ros.inference.trt.engine import TensorRtEngine

MISSING = what_is_missing()
needs_gpu = pytest.mark.skipif(bool(MISSING), reason=f"TensorRT needs {MISSING}")


@pytest.fixture(scope="module")
def pyramid(int8_bundle: ModelBundle) -> TensorRtEngine:
    from quantv2x_ros.inference.trt.engine import TensorRtEngine

    return TensorRtEngine(int8_bundle.engine_path("pyramid"), pyramid_shapes(int8_bundle))


def maps(count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(2)
    return [generator.integers(0, 128, (1, 3, 64, 64)).astype(np.uint8) for _ in range(count)]


@pytest.mark.skipif(not MISSING, reason="TensorRT can run here")
def test_without_a_gpu_the_backend_says_what_it_lacks(int8_bundle: ModelBundle) -> None:
    with pytest.raises(EngineError, match="tensorrt cannot run in this installation: it needs"):
        create_engine(int8_bundle.engine_path("pyramid"), pyramid_shapes(int8_bundle), "tensorrt")


@needs_gpu
def test_the_numbers_are_those_of_the_rewritten_file(
    pyramid: TensorRtEngine, int8_bundle: ModelBundle, tmp_path: Path
) -> None:
    model = tensorrt_model(int8_bundle.engine_path("pyramid"))
    (tmp_path / "signed.onnx").write_bytes(model.SerializeToString())
    reference = OpenVinoEngine(tmp_path / "signed.onnx", pyramid_shapes(int8_bundle), 1)
    for indices in maps(4):  # queued, recorded, launched, launched
        expected = reference.run({"indices": indices})
        found = pyramid.run({"indices": indices})
        for name in ("level0_nhwc", "level1_nhwc", "level2_nhwc"):
            difference = np.abs(found[name].astype(int) - expected[name].astype(int))
            assert found[name].dtype == np.uint8
            assert (difference <= 2).mean() > 0.99
        np.testing.assert_allclose(found["score0_nhwc"], expected["score0_nhwc"], atol=0.2)


@needs_gpu
def test_the_inspector_finds_every_convolution_in_int8(pyramid: TensorRtEngine) -> None:
    precisions = pyramid.layer_precisions()
    assert len(precisions) >= 53
    assert all("int8" in kind for kind in precisions.values())


@needs_gpu
def test_several_threads_may_take_turns(pyramid: TensorRtEngine) -> None:
    inputs = maps(3)
    expected = [pyramid.run({"indices": i})["level0_nhwc"].copy() for i in inputs]
    lock, found = threading.Lock(), {}

    def work(number: int) -> None:
        for _ in range(5):
            with lock:
                output = pyramid.run({"indices": inputs[number]})["level0_nhwc"]
                found[number] = output.copy()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(3):
        np.testing.assert_array_equal(found[number], expected[number])


@needs_gpu
def test_the_number_of_agents_is_free_up_to_the_greatest(int8_bundle: ModelBundle) -> None:
    from quantv2x_ros.inference.trt.engine import TensorRtEngine

    shapes = fuse_shapes(int8_bundle)
    engine = TensorRtEngine(int8_bundle.engine_path("fuse"), shapes, max_agents=3)

    def inputs(agents: int) -> dict[str, np.ndarray]:
        made = {}
        for name, shape in shapes.items():
            size = tuple(agents if n == -1 else n for n in shape)
            kind = engine.inputs[name].dtype
            made[name] = np.ones(size, kind)
        made["theta"][:] = np.eye(2, 3)
        return made

    alone = engine.run(inputs(1))["cls_nhwc"].copy()
    for agents in (2, 3, 2, 2, 1):  # equal agents at one place are as one
        np.testing.assert_allclose(engine.run(inputs(agents))["cls_nhwc"], alone, atol=0.1)
    with pytest.raises(EngineError, match="1 to 3 agents"):
        engine.run(inputs(4))
