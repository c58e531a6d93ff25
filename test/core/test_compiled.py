# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How loops are compiled: whole vectors where that pays, and the user's choice first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quantv2x_ros.core.compiled import wide_vectors

_SHOW = "import quantv2x_ros.core.compiled, numba; print(numba.config.CPU_FEATURES)"


@pytest.mark.parametrize(
    ("features", "wanted"),
    [
        ("+avx2,+avx512f,+amx-tile", "+avx2,+avx512f,+amx-tile,-prefer-256-bit"),
        ("+avx2,+amx-tile,+prefer-256-bit", "+avx2,+amx-tile,-prefer-256-bit"),
        ("+avx2,+avx512f,-amx-tile", "+avx2,+avx512f,-amx-tile"),
        ("+neon", "+neon"),
        ("", ""),
    ],
)
def test_only_processors_that_keep_their_clock_get_whole_vectors(features, wanted):
    assert wide_vectors(features) == wanted


def test_features_that_the_user_chose_stay():
    chosen = {**os.environ, "NUMBA_CPU_FEATURES": "+avx2"}
    shown = subprocess.run(
        [sys.executable, "-c", _SHOW], env=chosen, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "+avx2"


_LOOP = """
from quantv2x_ros.core.compiled import njit

@njit(cache=True)
def twice(value):
    return 2 * value

@njit(cache=True)
def thrice(value):
    return 3 * value

print(twice(4), thrice(4), sum(twice.stats.cache_hits.values()))
"""


@pytest.fixture
def run_where_numba_can_write_nowhere(tmp_path: Path, repository: Path):
    """Runs two compiled loops whose folder and whose user's cache cannot be written, by nobody."""
    (tmp_path / "loop.py").write_text(_LOOP)
    (tmp_path / "__pycache__").touch()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": f"{repository}:{os.environ.get('PYTHONPATH', '')}",
        "XDG_CACHE_HOME": str(tmp_path / "loop.py"),
        "HOME": str(tmp_path / "loop.py"),
        "TMPDIR": str(temporary),
    }
    environment.pop("NUMBA_CACHE_DIR", None)

    def run() -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "loop.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip(), done.stderr.strip()

    return run, temporary / f"quantv2x_ros-{os.getuid()}"


def test_loops_are_kept_in_a_private_folder_where_numba_can_write_nowhere(
    run_where_numba_can_write_nowhere,
):
    run, private = run_where_numba_can_write_nowhere
    result, said = run()
    assert result == "8 12 0"
    assert said.count("cannot be written") == 1
    assert list(private.glob("loops/*/*.nbi"))
    assert run()[0] == "8 12 1", "the second process loads what the first has kept"


def test_loops_are_compiled_at_each_start_where_nothing_can_be_kept(
    run_where_numba_can_write_nowhere,
):
    run, private = run_where_numba_can_write_nowhere
    private.symlink_to("elsewhere")
    for _ in range(2):
        result, said = run()
        assert result == "8 12 0"
        assert said.count("every start is slow") == 1
