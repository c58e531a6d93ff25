# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where compiled things are kept: in the user's cache, else in a private folder, else nowhere."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

import pytest

from quantv2x_ros.core import cache_folder as module
from quantv2x_ros.core.cache_folder import cache_folder, find_cache_folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files; nothing has been said yet."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(module, "_said", set())
    return folder


@pytest.fixture
def unwritable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that not even root can make: it lies below a file."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    return tmp_path / "file" / "quantv2x_ros"


def test_the_users_cache_folder_comes_first(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder("engines") == tmp_path / "cache" / "quantv2x_ros" / "engines"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder("engines") == tmp_path / "home/.cache/quantv2x_ros/engines"
    assert find_cache_folder().trouble == ""
    assert not any(temporary.iterdir())


def test_where_it_cannot_be_written_a_private_one_is_taken_and_that_is_said_once(
    temporary: Path, unwritable: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    private = temporary / f"quantv2x_ros-{os.getuid()}"
    assert [cache_folder("engines"), cache_folder("loops")] == [
        private / "engines",
        private / "loops",
    ]
    assert private.stat().st_mode & 0o777 == 0o700
    (said,) = caplog.messages
    for part in (str(unwritable), str(private), "set XDG_CACHE_HOME to a folder"):
        assert part in said


@pytest.mark.parametrize("trap", ["link", "open", "file"])
def test_a_folder_that_others_could_write_is_not_loaded_from(
    tmp_path: Path, temporary: Path, unwritable: Path, trap: str
) -> None:
    private = temporary / f"quantv2x_ros-{os.getuid()}"
    if trap == "link":
        private.symlink_to(tmp_path)
    elif trap == "file":
        private.touch()
    else:
        private.mkdir()
        private.chmod(0o777)
    found = find_cache_folder()
    assert found.folder is None
    assert "every start is slow" in found.trouble


def test_another_users_folder_is_not_loaded_from(
    temporary: Path, unwritable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = os.getuid() + 1
    (temporary / f"quantv2x_ros-{stranger}").mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: stranger)
    assert cache_folder("engines") is None


def test_a_user_without_a_home_has_a_cache_all_the_same(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", _no_home)
    found = find_cache_folder()
    assert found.folder == temporary / f"quantv2x_ros-{os.getuid()}"
    assert "there is no home folder" in found.trouble


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")  # as Path.home words it
