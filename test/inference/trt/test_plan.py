# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT plans in the cache: built once, never used elsewhere."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from quantv2x_ros.inference.engine.cache import EngineCache, cache_root
from quantv2x_ros.inference.engine_set import tensorrt_profiles
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.trt.api import TensorRt, load_tensorrt
from quantv2x_ros.inference.trt.plan import (
    ORIGIN_FILE,
    PLAN_FILE,
    BuiltPlan,
    ForeignPlanError,
    PlanOrigin,
    cached_plan,
    ensure_plan,
    read_plan,
    save_plan,
)

ORIGIN = PlanOrigin("tensorrt-10.3.0", "Orin sm_87", "aarch64", "ab" * 32, 1, "x (1, 3)")
PLAN = BuiltPlan(b"plan" * 100, (), {"a.conv": "int8"}, 1.5)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    save_plan(tmp_path, PLAN, ORIGIN)
    return tmp_path


@pytest.fixture(scope="module")
def library() -> TensorRt:
    pytest.importorskip("tensorrt_rtx", reason="its wheels exist for x86-64 Linux only")
    library = load_tensorrt()
    if not library.builds_without_gpu:
        pytest.skip(f"{library.label} builds on a GPU only")
    return library


def test_a_plan_of_this_machine_is_read(kept: Path) -> None:
    assert read_plan(kept, ORIGIN) == PLAN.content


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("tensorrt", "tensorrt-8.6.1", "built for tensorrt-10.3.0, here is tensorrt-8.6.1"),
        ("gpu", "Xavier sm_72", "built for Orin sm_87, here is Xavier sm_72"),
        ("machine", "x86_64", "built for aarch64, here is x86_64"),
        ("onnx", "cd" * 32, "onnx: built for abab"),
        ("rewriting", 2, "rewriting: built for 1, here is 2"),
        ("profile", "x (1, 4)", r"here is x \(1, 4\)"),
    ],
)
def test_a_plan_built_elsewhere_is_refused_with_the_reason(
    kept: Path, field: str, value: object, words: str
) -> None:
    with pytest.raises(ForeignPlanError, match=rf"built elsewhere: .*{words}.*build-engine"):
        read_plan(kept, replace(ORIGIN, **{field: value}))


def test_a_plan_that_was_altered_is_refused(kept: Path) -> None:
    (kept / PLAN_FILE).write_bytes(b"plan" * 99 + b"flan")
    with pytest.raises(ForeignPlanError, match="altered since it was built"):
        read_plan(kept, ORIGIN)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"tensorrt": "10"}'])
def test_a_plan_of_unknown_origin_is_refused(kept: Path, content: str) -> None:
    (kept / ORIGIN_FILE).write_text(content)
    with pytest.raises(ForeignPlanError, match="incomplete"):
        read_plan(kept, ORIGIN)


def test_a_plan_is_built_once_and_announced(
    library: TensorRt,
    int8_bundle: ModelBundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path, profile = int8_bundle.engine_path("encoder"), tensorrt_profiles(int8_bundle)["encoder"]
    with caplog.at_level(logging.WARNING):
        first = cached_plan(library, "some", path, profile)
        assert "building a plan of" in caplog.text
        assert "no plan in" in caplog.text
        caplog.clear()
        assert cached_plan(library, "some", path, profile) == first
        assert "building" not in caplog.text
        # a cache that was copied from another machine and renamed
        (folder,) = cache_root().iterdir()
        description = json.loads((folder / ORIGIN_FILE).read_text())
        description["tensorrt"] = "tensorrt-10.3.0"
        (folder / ORIGIN_FILE).write_text(json.dumps(description))
        cached_plan(library, "some", path, profile)
        assert "built for tensorrt-10.3.0, here is tensorrt_rtx" in caplog.text
    assert json.loads((folder / ORIGIN_FILE).read_text())["tensorrt"] == library.label


def test_the_cache_key_holds_all_that_a_plan_depends_on(tmp_path: Path) -> None:
    others = [
        replace(ORIGIN, **{field: value})
        for field, value in [
            ("tensorrt", "tensorrt-10.4.0"),
            ("gpu", "Thor sm_101"),
            ("machine", "x86_64"),
            ("onnx", "cd" * 32),
            ("rewriting", 2),
            ("profile", "x (1, 4)"),
        ]
    ]
    folders = {EngineCache("encoder", origin).folder for origin in [ORIGIN, *others]}
    assert len(folders) == 1 + len(others)


def test_a_plan_in_a_folder_is_described(
    library: TensorRt, int8_bundle: ModelBundle, tmp_path: Path
) -> None:
    path, profile = int8_bundle.engine_path("encoder"), tensorrt_profiles(int8_bundle)["encoder"]
    facts = ensure_plan(library, "any", path, profile, folder=tmp_path / "encoder")
    assert facts["bytes"] == (tmp_path / "encoder" / PLAN_FILE).stat().st_size
    assert set(facts["precisions"].values()) == {"int8"}
    assert "7 convolutions in int8, for any GPU" in facts["text"]
