# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The workflow for GitHub, as far as it can be checked without GitHub."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOW = ".github/workflows/ci.yaml"


def lint(workflow: Path) -> subprocess.CompletedProcess[str]:
    beside = Path(sys.executable).with_name("jactionlint")
    linter = str(beside) if beside.exists() else shutil.which("jactionlint")
    if linter is None:
        pytest.skip("jactionlint is not installed")
    # what is installed beside it must not decide the result
    command = [linter, "--profile", "correctness", "--shellcheck=", str(workflow)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def jobs(repository: Path) -> dict[str, Any]:
    document = yaml.safe_load((repository / WORKFLOW).read_text(encoding="utf-8"))
    found: dict[str, Any] = document["jobs"]
    return found


def scripts(jobs: dict[str, Any]) -> list[str]:
    return [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]


def test_linter_finds_nothing(repository: Path) -> None:
    result = lint(repository / WORKFLOW)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("matrix.runner }}", "matrix.runer }}"),
        ("timeout-minutes:", "timeout-minute:"),
        ("runs-on:", "run-on:"),
    ],
)
def test_linter_finds_faults(tmp_path: Path, repository: Path, right: str, wrong: str) -> None:
    text = (repository / WORKFLOW).read_text(encoding="utf-8")
    assert right in text
    broken = tmp_path / "ci.yaml"
    broken.write_text(text.replace(right, wrong), encoding="utf-8")
    assert lint(broken).returncode == 1


def test_what_the_documents_state_is_built_and_tested(
    repository: Path, jobs: dict[str, Any]
) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8")
    stated = re.search(r"A ROS 2 package \(([\w, ]+)\)", readme)
    assert stated is not None
    distributions = stated[1].lower().split(", ")
    page = (repository / "docs/install.md").read_text(encoding="utf-8")
    assert f"## With ROS 2 ({stated[1]})" in page
    assert jobs["ros"]["strategy"]["matrix"]["distribution"] == distributions
    assert jobs["images"]["strategy"]["matrix"]["distribution"] == distributions


def test_the_oldest_and_the_newest_python_that_is_taken_are_tested(
    repository: Path, jobs: dict[str, Any]
) -> None:
    script = (repository / "scripts/prepare.sh").read_text(encoding="utf-8")
    bounds = re.findall(r"sys\.version_info\[:2\] [<>] \((\d+), (\d+)\)", script)
    bounds.sort(key=lambda bound: int(bound[1]))
    versions = jobs["wheels"]["strategy"]["matrix"]["python"]
    assert [versions[0], versions[-1]] == [".".join(bound) for bound in bounds]


def test_images_are_made_for_both_platforms_on_processors_of_their_own(
    jobs: dict[str, Any],
) -> None:
    matrix = jobs["images"]["strategy"]["matrix"]
    assert matrix["platform"] == ["amd64", "arm64"]
    runners = {entry["platform"]: entry["runner"] for entry in matrix["include"]}
    assert runners.keys() == set(matrix["platform"])
    assert [name for name, runner in runners.items() if runner.endswith("-arm")] == ["arm64"]


def test_scripts_are_valid_and_what_they_name_is_there(
    repository: Path, jobs: dict[str, Any]
) -> None:
    for script in scripts(jobs):
        result = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
    named = set(re.findall(r"(?:scripts|docker)/[\w.]+", "\n".join(scripts(jobs))))
    assert "docker/Dockerfile" in named
    assert [name for name in named if not (repository / name).is_file()] == []
