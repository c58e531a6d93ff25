# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The code keeps to the rules that pyproject.toml sets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def run_tool(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip(arguments[0], reason=f"{arguments[0]} is not installed")
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=repository, capture_output=True, text=True
    )


def test_ruff_finds_no_violation(repository: Path) -> None:
    result = run_tool(repository, "ruff", "check", "--quiet", ".")
    assert result.returncode == 0, result.stdout + result.stderr


def test_code_is_in_the_common_format(repository: Path) -> None:
    result = run_tool(repository, "ruff", "format", "--check", "--quiet", ".")
    assert result.returncode == 0, f"`make format` mends these:\n{result.stdout}{result.stderr}"


def test_mypy_finds_no_type_error(repository: Path) -> None:
    result = run_tool(repository, "mypy")
    assert result.returncode == 0, result.stdout + result.stderr
