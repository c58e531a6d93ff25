# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Engines: choice of backend, inputs, cache."""

from __future__ import annotations

import ctypes
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from quantv2x_ros.core import cache_folder
from quantv2x_ros.inference.backends import choose_backend, create_engine
from quantv2x_ros.inference.engine.cache import UNUSED, EngineCache, cache_root
from quantv2x_ros.inference.engine.engine import Engine, EngineError
from quantv2x_ros.inference.model.bundle import ModelBundle

SHAPES = {"indices": (1, 3, 64, 64)}


@pytest.fixture(scope="module")
def engine(int8_bundle: ModelBundle) -> Engine:
    return create_engine(int8_bundle.engine_path("pyramid"), SHAPES, "openvino", threads=1)


def test_auto_takes_openvino_where_nothing_faster_can_run() -> None:
    assert choose_backend("auto") == "openvino"


def test_a_backend_that_cannot_run_says_what_is_missing() -> None:
    with pytest.raises(EngineError, match=r"tensorrt cannot run.*needs"):
        choose_backend("tensorrt")
    with pytest.raises(EngineError, match="got 'cuda', allowed are auto, openvino, tensorrt"):
        choose_backend("cuda")


def test_a_vehicle_with_tensorrt_needs_no_openvino() -> None:
    program = (
        "import sys; sys.modules['openvino'] = None; import quantv2x_ros.inference.pipeline;"
        " import quantv2x_ros.inference.engine_set"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


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


def test_a_first_compilation_is_announced_and_kept(
    int8_bundle: ModelBundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        create_engine(int8_bundle.engine_path("pyramid"), SHAPES, threads=1)
        assert "compiling" in caplog.text
        assert list(cache_root().glob("*/*.blob"))
        caplog.clear()
        create_engine(int8_bundle.engine_path("pyramid"), SHAPES, threads=1)
        assert "compiling" not in caplog.text
        create_engine(int8_bundle.engine_path("pyramid"), {"indices": (1, 3, 32, 64)}, threads=1)
        assert "compiling" in caplog.text


def test_a_cache_that_cannot_be_written_is_reported_and_done_without(
    int8_bundle: ModelBundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    monkeypatch.setattr(cache_folder, "_said", set())
    with caplog.at_level(logging.WARNING):
        made = create_engine(int8_bundle.engine_path("pyramid"), SHAPES, threads=1)
    assert "nothing that is compiled is kept" in caplog.text
    assert made.run({"indices": np.zeros((1, 3, 64, 64), np.uint8)})


def test_an_engine_is_kept_in_a_private_folder_where_the_cache_cannot_be_written(
    int8_bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    create_engine(int8_bundle.engine_path("pyramid"), SHAPES, threads=1)
    assert list((tmp_path / f"quantv2x_ros-{os.getuid()}").glob("engines/*/*.blob"))


def test_an_engine_that_a_cache_to_be_read_only_holds_is_loaded_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with EngineCache("engine", "key").open() as folder:
        assert folder is not None
        (folder / "plan").write_text("whole")
    monkeypatch.setattr(cache_folder, "_hindrance", lambda folder: "Read-only file system")
    cache = EngineCache("engine", "key")
    assert cache.is_filled()
    with cache.open() as folder:
        assert folder == tmp_path / "quantv2x_ros" / "engines" / cache.folder.name
    assert EngineCache("other", "key").folder is None


def test_a_damaged_cache_entry_is_built_again(
    int8_bundle: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    create_engine(int8_bundle.engine_path("pyramid"), SHAPES, threads=1)
    (blob,) = cache_root().glob("*/*.blob")
    blob.write_bytes(b"damaged" * 100)
    made = create_engine(int8_bundle.engine_path("pyramid"), SHAPES, threads=1)
    assert made.run({"indices": np.zeros((1, 3, 64, 64), np.uint8)})


def test_a_file_that_is_no_model_and_wrong_shapes_are_refused(
    int8_bundle: ModelBundle, tmp_path: Path
) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(EngineError, match=r"broken\.onnx"):
        create_engine(tmp_path / "broken.onnx", SHAPES)
    with pytest.raises(EngineError, match="its inputs are \\['indices'\\]"):
        create_engine(int8_bundle.engine_path("pyramid"), {"image": (1, 3)})
    with pytest.raises(EngineError, match=r"pyramid\.onnx"):
        create_engine(int8_bundle.engine_path("pyramid"), {"indices": (1, 7, 64, 64)})


def test_an_engine_appears_complete_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = EngineCache("engine", "key")
    with cache.open() as slower:
        assert slower is not None
        (slower / "plan").write_text("half")
        assert not cache.is_filled()
        with cache.open() as faster:  # a second process that starts at the same moment
            assert faster is not None
            assert faster != slower
            (faster / "plan").write_text("whole")
        (slower / "plan").write_text("whole too")
    assert (cache.folder / "plan").read_text() == "whole"
    assert list(cache_root().iterdir()) == [cache.folder]


def test_a_process_waits_for_another_one_that_builds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program = (
        "from quantv2x_ros.inference.engine.cache import EngineCache\n"
        "with EngineCache('engine', 'key').open() as folder:\n"
        "    print((folder / 'plan').exists(), flush=True)\n"
    )
    with EngineCache("engine", "key").open() as folder:
        other = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(3.0)
        assert folder is not None
        (folder / "plan").write_text("whole")
    said, errors = other.communicate(timeout=60.0)
    assert said.strip() == "True", errors


def test_a_build_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def build() -> None:
        with EngineCache("engine", "key").open() as folder:
            assert folder is not None
            (folder / "plan").write_text("half")
            raise EngineError("the builder gave up")

    with pytest.raises(EngineError, match="gave up"):
        build()
    assert not list(cache_root().iterdir())


def test_engines_that_nobody_loads_are_removed_at_the_next_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("old", "used"):
        with EngineCache(name, "key").open() as folder:
            assert folder is not None
            (folder / "plan").write_text(name)
        long_ago = time.time() - 2 * UNUSED
        os.utime(EngineCache(name, "key").folder, (long_ago, long_ago))
    with EngineCache("used", "key").open():  # loading is use
        pass
    with EngineCache("new", "key").open() as folder:
        assert folder is not None
        (folder / "plan").write_text("new")
    assert {path.name.split("-")[0] for path in cache_root().iterdir()} == {"used", "new"}


def test_an_engine_leaves_the_signal_stack_alone(int8_bundle: ModelBundle) -> None:
    """On a stack that OpenVINO frees with its last engine, the next signal ends the process."""
    libc = ctypes.CDLL(None)
    before, after = (ctypes.create_string_buffer(64) for _ in range(2))
    libc.sigaltstack(None, before)
    made = create_engine(int8_bundle.engine_path("pyramid"), SHAPES, "openvino", threads=1)
    made.run({"indices": np.zeros((1, 3, 64, 64), np.uint8)})
    libc.sigaltstack(None, after)
    assert after.raw == before.raw
