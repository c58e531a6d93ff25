# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Weights wider than a processor multiplies exactly are computed in FP32 there, and only there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from onnx import numpy_helper

from quantv2x_ros.inference.cpu.wide_weights import compute_wide_weights_in_fp32, weights_by_layer
from quantv2x_ros.inference.model.bundle import ModelBundle

#: Runs the whole encoder and a part of the head of a folder, and writes what they give.
PROGRAM = """
import logging, sys
import numpy as np
from pathlib import Path
from quantv2x_ros.inference.cpu.engine import OpenVinoEngine
from quantv2x_ros.inference.cpu.row_parts import DEBLOCKS, RESULT, ROWS

logging.basicConfig(format="%(message)s")
folder, out = map(Path, sys.argv[1:])
random = np.random.default_rng(0)
pillars = random.integers(0, 256, (1, 128, 128, 64)).astype(np.uint8)
rows = random.integers(0, 256, (1, 1, 64, 256)).astype(np.uint8)
encoder = OpenVinoEngine(folder / "encoder.onnx", {"pillars_nhwc": pillars.shape}, 1)
deblock = OpenVinoEngine(folder / "head.onnx", {ROWS: rows.shape}, 1, 1, DEBLOCKS[2])
pyramid = OpenVinoEngine(folder / "pyramid.onnx", {"indices": (1, 3, 64, 64)}, 1)
np.savez(
    out,
    feature=encoder.run({"pillars_nhwc": pillars})["feature_nhwc"],
    deblock=deblock.run({ROWS: rows})[RESULT],
    kinds=sorted({*encoder.layer_precisions().values(), *deblock.layer_precisions().values()}),
    grouped=sorted(set(pyramid.layer_precisions().values())),
)
"""


@pytest.fixture(scope="module")
def wide(int8_bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same functions with weights twice as wide, of half the scale: to ±126."""
    folder = tmp_path_factory.mktemp("wide")
    for name in ("encoder", "pyramid", "head"):
        model = onnx.load(int8_bundle.engine_path(name))
        for item in model.graph.initializer:
            array = numpy_helper.to_array(item)
            if item.name.endswith(".weight.q"):
                item.CopyFrom(numpy_helper.from_array((2 * array).astype(np.int8), item.name))
            elif item.name.endswith(".weight.scale"):
                item.CopyFrom(numpy_helper.from_array((array / 2).astype(np.float32), item.name))
        onnx.save(model, folder / f"{name}.onnx")
    return folder


def computed(folder: Path, out: Path, repository: Path, isa: str) -> tuple[dict[str, object], str]:
    """Run the program with oneDNN held to an instruction set: its arrays, and what it logged."""
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(out)],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    with np.load(out) as arrays:
        return dict(arrays), result.stderr


def test_without_vnni_they_give_what_narrow_ones_give_and_it_is_said(
    int8_bundle: ModelBundle, wide: Path, tmp_path: Path, repository: Path
) -> None:
    narrow, quiet = computed(int8_bundle.folder, tmp_path / "narrow.npz", repository, "AVX2")
    found, said = computed(wide, tmp_path / "wide.npz", repository, "AVX2")
    assert list(narrow["kinds"]) == list(narrow["grouped"]) == ["I8"]
    assert list(found["kinds"]) == list(found["grouped"]) == ["f32"]
    assert "FP32" not in quiet
    for name, layers in (("encoder", 7), ("head", 8)):
        line = next(line for line in said.splitlines() if f"{name}.onnx: {layers} of" in line)
        assert f"{layers} of {layers} INT8 layers run in FP32" in line
        assert "beyond ±64" in line
        assert "AVX2 without VNNI" in line
        assert "export the bundle anew" in line
    # float32 sums decide at the border between two steps: rarely in one layer, and seven layers of
    # random weights carry such a step on to their neighbours
    for name, most in (("deblock", 1e-3), ("feature", 0.05)):
        difference = np.abs(found[name].astype(int) - narrow[name].astype(int))
        assert len(np.unique(narrow[name])) > 10
        assert (difference > 0).mean() < most, name
        assert (difference > 1).mean() < 1e-3, name
        assert difference.max() <= 3, name


def test_with_vnni_they_give_the_same_bits_in_int8(
    int8_bundle: ModelBundle, wide: Path, tmp_path: Path, repository: Path
) -> None:
    if openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES").count("INT8") == 0:
        pytest.skip("the processor has no INT8")
    isa = os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL")
    found, said = computed(wide, tmp_path / "wide.npz", repository, isa)
    if "without VNNI" in said:
        pytest.skip("the processor has no VNNI")
    narrow, _ = computed(int8_bundle.folder, tmp_path / "narrow.npz", repository, isa)
    assert list(found["kinds"]) == list(found["grouped"]) == ["I8"]
    for name in ("feature", "deblock"):
        np.testing.assert_array_equal(found[name], narrow[name])


def test_only_layers_beyond_the_limit_change(wide: Path) -> None:
    model = openvino.Core().read_model(wide / "pyramid.onnx")
    widest = weights_by_layer(model)
    assert len(widest) == 53
    assert set(widest.values()) <= set(range(100, 127))
    limit = sorted(widest.values())[26]
    changed = compute_wide_weights_in_fp32(model, limit)
    assert set(changed) == {name for name, value in widest.items() if value > limit}
    assert weights_by_layer(model) == {n: v for n, v in widest.items() if v <= limit}
