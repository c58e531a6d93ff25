# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The cache of compiled engines, also of processes that start at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quantv2x_ros.core import cache_folder
from quantv2x_ros.inference.engine.cache import UNUSED, EngineCache, cache_root
from quantv2x_ros.inference.engine.engine import EngineError


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
