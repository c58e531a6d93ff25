# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Engines of OpenVINO: compiled once, kept where something can be written, refused in words."""

from __future__ import annotations

import ctypes
import logging
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from quantv2x_ros.core import cache_folder
from quantv2x_ros.inference.backends import create_engine
from quantv2x_ros.inference.engine.cache import cache_root
from quantv2x_ros.inference.engine.engine import EngineError
from quantv2x_ros.inference.model.bundle import ModelBundle

SHAPES = {"indices": (1, 3, 64, 64)}


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


def test_an_engine_leaves_the_signal_stack_alone(int8_bundle: ModelBundle) -> None:
    """On a stack that OpenVINO frees with its last engine, the next signal ends the process."""
    libc = ctypes.CDLL(None)
    before, after = (ctypes.create_string_buffer(64) for _ in range(2))
    libc.sigaltstack(None, before)
    made = create_engine(int8_bundle.engine_path("pyramid"), SHAPES, "openvino", threads=1)
    made.run({"indices": np.zeros((1, 3, 64, 64), np.uint8)})
    libc.sigaltstack(None, after)
    assert after.raw == before.raw
