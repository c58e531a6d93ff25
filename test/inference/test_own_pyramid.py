# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ego's pyramid from its own feature, which was never sent and so needs no codebook."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml

from quantv2x_ros.inference.backends import create_engine
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.engine.engine import DECODED, EngineError
from quantv2x_ros.inference.engine_set import OWN_PYRAMID, tensorrt_profiles
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.bundle_files import OWN_FILE, file_sha256
from quantv2x_ros.inference.model.manifest import BundleError
from quantv2x_ros.inference.results import PipelineError
from quantv2x_ros.inference.shapes import pyramid_shapes
from quantv2x_ros.inference.trt.graph import behind_lookup, tensorrt_model
from quantv2x_ros.training.checkpoint import load_checkpoint
from quantv2x_ros.training.export.random_bundle import random_frames


@pytest.fixture(scope="module", params=["int8", "fp32"])
def bundle(request: pytest.FixtureRequest, random_bundle: Callable[..., Path]) -> ModelBundle:
    return ModelBundle.load(random_bundle(seed=5, precision=request.param, coded_ego=False))


def test_it_is_the_pyramid_of_the_feature_that_the_codebook_has_not_touched(
    bundle: ModelBundle,
) -> None:
    cloud = random_frames(31, bundle.grid, (1,))[0].clouds[0]
    encoder = AgentEncoder(bundle, threads=2, keep_own=True)
    detector = CooperativeDetector(bundle, threads=2)
    sweep = encoder.encode(cloud)
    assert sweep.own is not None
    pyramid = detector.own_pyramid(sweep.own)
    network = load_checkpoint(bundle.folder / "checkpoint.safetensors")
    with torch.no_grad():
        levels, _ = network.pyramid.extract(network.encode_points([cloud]))
    for number, (level, expected) in enumerate(zip(pyramid.features, levels, strict=True)):
        scale = bundle.scale(f"level{number}") or 1.0
        found = level.astype(np.float32) * scale
        wanted = expected[0].permute(1, 2, 0).numpy()
        error = float(np.sqrt(((found - wanted) ** 2).mean()))
        allowed = 1e-4 if bundle.precision == "fp32" else 0.15
        assert error < allowed * float(np.sqrt((wanted**2).mean()))
        coded = detector.pyramid(sweep.indices).features[number].astype(np.float32) * scale
        assert error < 0.5 * float(np.sqrt(((coded - wanted) ** 2).mean()))


def test_a_sweep_keeps_its_feature_only_where_it_is_wanted(bundle: ModelBundle) -> None:
    cloud = random_frames(32, bundle.grid, (1,))[0].clouds[0]
    keeping, other = AgentEncoder(bundle, keep_own=True), AgentEncoder(bundle)
    first = keeping.encode(cloud)
    second = keeping.encode(cloud[:100])
    assert first.own is not None
    assert second.own is not None
    assert not np.shares_memory(first.own, second.own)
    assert not np.array_equal(first.own, second.own)
    assert other.encode(cloud).own is None


def test_maps_of_another_kind_are_refused(bundle: ModelBundle, int8_bundle: ModelBundle) -> None:
    detector = CooperativeDetector(bundle)
    with pytest.raises(PipelineError, match=r"own: got float64 of shape \(64, 64, 64\)"):
        detector.own_pyramid(np.zeros((64, 64, 64)))  # type: ignore[arg-type]
    with pytest.raises(PipelineError, match="codes the ego's own feature as its peers do"):
        CooperativeDetector(int8_bundle).own_pyramid(np.zeros((64, 64, 64), np.uint8))


def test_an_engine_takes_either_the_indices_or_the_map_behind_them(bundle: ModelBundle) -> None:
    engine = create_engine(bundle.engine_path("pyramid"), pyramid_shapes(bundle), "openvino")
    info = engine.decoded
    assert info is not None
    assert info.shape == (1, 64, 64, 64)
    with pytest.raises(EngineError, match=f"engine input {DECODED}: got bool"):
        engine.run({DECODED: np.zeros(info.shape, np.bool_)})
    encoder = create_engine(
        bundle.engine_path("encoder"), {"pillars_nhwc": (1, 128, 128, 64)}, "openvino"
    )
    assert encoder.decoded is None


def test_what_is_behind_the_lookup_computes_the_same_in_a_file_of_its_own(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    model = onnx.load(str(bundle.engine_path("pyramid")))
    cut = behind_lookup(model)
    onnx.checker.check_model(cut, full_check=True)
    engine = create_engine(bundle.engine_path("pyramid"), pyramid_shapes(bundle), "openvino")
    info = engine.decoded
    assert info is not None
    values = np.random.default_rng(3).integers(0, 40, info.shape).astype(info.dtype)
    path = tmp_path / "cut.onnx"
    onnx.save(cut, path)
    alone = create_engine(path, {DECODED: info.shape}, "openvino").run({DECODED: values})
    for name, expected in engine.run({DECODED: values}).items():
        np.testing.assert_array_equal(alone[name], expected, err_msg=name)


def test_tensorrt_has_a_plan_of_its_own_for_it(bundle: ModelBundle) -> None:
    profiles = tensorrt_profiles(bundle)
    assert dict(profiles[OWN_PYRAMID].shapes) == {DECODED: (1, 64, 64, 64)}
    model = tensorrt_model(bundle.engine_path("pyramid"), without_lookup=True)
    assert [value.name for value in model.graph.input] == [DECODED]
    assert not [node for node in model.graph.node if node.op_type == "Gather"]
    with pytest.raises(EngineError, match="only a pyramid"):
        tensorrt_model(bundle.engine_path("encoder"), without_lookup=True)


def test_bundles_that_code_the_ego_have_no_such_plan(int8_bundle: ModelBundle) -> None:
    assert OWN_PYRAMID not in tensorrt_profiles(int8_bundle)
    assert int8_bundle.own_feature is None


def test_a_file_of_another_codebook_is_named(bundle: ModelBundle, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(bundle.folder, folder)
    np.savez(folder / OWN_FILE, offset=np.zeros(3, np.float32))
    manifest = yaml.safe_load((folder / "manifest.yaml").read_text())
    manifest["files"][OWN_FILE] = file_sha256(folder / OWN_FILE)
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    with pytest.raises(BundleError, match=r"own\.npz is of shape \(3,\), the codebook has 64"):
        ModelBundle.load(folder)
