# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The check of a GPU, as far as it goes without one: plans by TensorRT-RTX, the rest on the CPU."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.benchmark.frames import load_frame
from quantv2x_ros.benchmark.gpu_check import plan_steps, run_step
from quantv2x_ros.benchmark.gpu_engine import (
    GpuCheckError,
    beside_cpu,
    describe_layers,
    random_inputs,
    run_repeatedly,
)
from quantv2x_ros.benchmark.gpu_steps import (
    GpuCheckSettings,
    check_scenes,
    compare_pipelines,
    engine_names,
    time_stages,
)
from quantv2x_ros.benchmark.ours import OurPipeline
from quantv2x_ros.inference.cpu.engine import OpenVinoEngine
from quantv2x_ros.inference.engine.engine import Array
from quantv2x_ros.inference.engine_set import tensorrt_profiles
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.bundle_files import file_sha256
from quantv2x_ros.inference.trt.cuda import what_is_missing
from quantv2x_ros.inference.trt.layers import EngineLayer

INT8 = EngineLayer("block1.conv1.conv", "CaskConvolution", ("int8",))
FLOAT = EngineLayer("block1.conv2.conv", "CaskConvolution", ("float",))
SUM = EngineLayer("sum", "PointWise", ("half", "half"))


@pytest.fixture(scope="module")
def bundle(bundle_folder: Path) -> ModelBundle:
    return ModelBundle.load(bundle_folder)


@pytest.fixture(scope="module")
def pipeline(bundle: ModelBundle) -> OurPipeline:
    return OurPipeline(bundle, "openvino", 1)


def check(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(repository / "scripts/gpu_check.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.skipif(not what_is_missing(), reason="there is a GPU")
def test_without_a_gpu_one_sentence_says_what_is_missing(repository: Path, tmp_path: Path) -> None:
    done = check(repository, "--json", str(tmp_path / "gpu.json"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"error: the check of a GPU needs {what_is_missing()}.\n"


@pytest.mark.skipif(importlib.util.find_spec("tensorrt_rtx") is None, reason="x86-64 Linux only")
def test_a_step_that_fails_is_an_entry_and_hides_no_other(
    repository: Path, bundle_folder: Path, bundle: ModelBundle, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "bundle"))
    (folder / "encoder.onnx").write_bytes(b"no model")
    document = yaml.safe_load((folder / "manifest.yaml").read_text())
    document["files"]["encoder.onnx"] = file_sha256(folder / "encoder.onnx")
    (folder / "manifest.yaml").write_text(yaml.safe_dump(document))
    out = tmp_path / "gpu.json"
    done = check(repository, "--json", str(out), "--bundle", str(folder), "--without-device")
    found = json.loads(out.read_text())
    assert done.returncode == 1, done.stderr
    assert found["ok"] is False
    assert found["failed"] == ["build:encoder"]
    assert "cannot be read as ONNX" in found["steps"]["build:encoder"]["error"]
    others = [name for name in engine_names(bundle) if name != "encoder"]
    assert list(found["steps"]) == ["machine", "build:encoder", *(f"build:{n}" for n in others)]
    for name in others:
        result = found["steps"][f"build:{name}"]["result"]
        assert set(result["convolutions"]) == {"int8"}
        assert result["seconds"] > 0
    assert found["steps"]["machine"]["result"]["tensorrt"].startswith("tensorrt_rtx")


def test_a_step_that_does_not_end_in_time_is_ended(bundle_folder: Path) -> None:
    row = run_step("machine", GpuCheckSettings(str(bundle_folder)), 0.05)
    assert row["ok"] is False
    assert row["error"] == "not done within 0 s"


def test_a_process_that_ends_without_a_result_is_an_entry(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    row = run_step("machine", GpuCheckSettings(str(bundle_folder)), 100)
    assert row["ok"] is False
    assert row["error"] == "the process ended with 1 and no result; see its log"


@given(st.booleans(), st.floats(60, 480))
def test_every_step_has_time_whatever_those_before_it_take(device: bool, total: float) -> None:
    steps = plan_steps(["encoder", "pyramid", "fuse"], device, total)
    leaves = [step.leaves for step in steps]
    assert leaves[-1] == pytest.approx(0)
    shares = -np.diff([total, *leaves])
    assert (shares > 1).all()
    assert shares.sum() == pytest.approx(total)
    assert [step.name for step in steps][:2] == ["machine", "build:encoder"]
    assert ("boxes" in [step.name for step in steps]) == device


def test_a_convolution_that_is_not_int8_is_named() -> None:
    found = describe_layers([INT8, SUM], quantized=True)
    assert found["kinds"] == {"int8": 1, "half": 1}
    assert found["layers"][1] == ["sum", "PointWise", ["half", "half"]]
    with pytest.raises(GpuCheckError, match=r"1 of 2 convolutions.*block1\.conv2\.conv"):
        describe_layers([INT8, FLOAT], quantized=True)
    assert describe_layers([FLOAT], quantized=False)["kinds"] == {"float": 1}
    with pytest.raises(GpuCheckError, match="none of 1 layers"):
        describe_layers([SUM], quantized=True)


def test_the_numbers_of_an_engine_are_compared_with_the_rewritten_files(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    from quantv2x_ros.inference.trt.graph import tensorrt_model

    profile = tensorrt_profiles(bundle)["fuse"]
    path = bundle.engine_path("fuse")
    (tmp_path / "fuse.onnx").write_bytes(tensorrt_model(path).SerializeToString())
    shapes = {name: profile.of(name, 2) for name in profile.shapes}
    engine = OpenVinoEngine(tmp_path / "fuse.onnx", shapes, 1)
    inputs = random_inputs(engine, profile, 2)
    outputs = run_repeatedly(engine, inputs)
    rows = beside_cpu(path, profile, inputs, outputs)
    assert set(rows) == set(outputs)
    assert all(row["equal"] == 1.0 and row["greatest"] == 0.0 for row in rows.values())
    name = next(iter(outputs))
    changed = {**outputs, name: outputs[name] + np.ones(1, outputs[name].dtype)}
    assert beside_cpu(path, profile, inputs, changed)[name]["greatest"] == pytest.approx(1)


class Drifting(OpenVinoEngine):
    """An engine whose second run differs, as one would whose CUDA graph is wrong."""

    runs = 0

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self.runs += 1
        outputs = super().run(inputs)
        return {name: value + (self.runs == 2) for name, value in outputs.items()}


def test_runs_that_differ_are_an_error(bundle: ModelBundle) -> None:
    profile = tensorrt_profiles(bundle)["pyramid"]
    engine = Drifting(bundle.engine_path("pyramid"), profile.shapes, 1)
    with pytest.raises(GpuCheckError, match="of run 2 differs"):
        run_repeatedly(engine, random_inputs(engine, profile, 1))


def test_boxes_and_indices_of_two_pipelines_are_compared(
    pipeline: OurPipeline, bundle: ModelBundle, scenario_folder: Path
) -> None:
    frame = load_frame(str(scenario_folder), 2, 3000)
    other = OurPipeline(bundle, "openvino", 1)
    row = compare_pipelines(other, pipeline, frame)
    assert row["share"] == 1.0
    assert row["same_indices"] == [1.0, 1.0]
    assert row["found"] == row["expected"]
    check_scenes({"1": row})
    with pytest.raises(GpuCheckError, match="1 of 2 scenes"):
        check_scenes({"1": row, "2": {**row, "share": 0.5}})
    with pytest.raises(GpuCheckError, match="1 of 1 scenes"):
        check_scenes({"1": {**row, "same_indices": [1.0, 0.5]}})


def test_every_stage_is_timed_for_each_number_of_agents(
    pipeline: OurPipeline, scenario_folder: Path
) -> None:
    rows = time_stages(pipeline, load_frame(str(scenario_folder), 3, 2000), rounds=2)
    assert list(rows) == ["1", "2"]
    for row in rows.values():
        assert row["frame"]["runs"] == 2
        assert 0 < row["encoder.encoder"]["p50"] <= row["encoder.encoder"]["p95"]
        assert row["fusion.head"]["p50"] > 0
