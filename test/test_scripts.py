# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `make` runs: clear words for what is missing, wheels repaired, results counted."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    modules = {}
    for name in ("patch_wheels", "run_tests", "steps"):
        spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(modules[name])
    return modules


def tools_without(folder: Path, *absent: str) -> str:
    """Makes a PATH of what prepare.sh uses, except for some commands."""
    for name in ("bash", "cmake", "make", "c++", "dirname", "env", "grep", "paste", "tr"):
        found = shutil.which(name)
        if name not in absent and found:
            (folder / name).symlink_to(found)
    return str(folder)


def prepare(path: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": path, "HOME": os.environ.get("HOME", "/"), **variables}
    return subprocess.run(
        [shutil.which("bash") or "bash", SCRIPTS / "prepare.sh"],
        env=env,
        capture_output=True,
        text=True,
    )


def test_each_missing_prerequisite_gets_one_sentence(tmp_path: Path) -> None:
    result = prepare(tools_without(tmp_path, "cmake", "c++"))
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    assert "Python 3.10, 3.11 or 3.12 is missing" in lines[0]
    assert "CMake is missing" in lines[1]
    assert "C++ compiler (c++) is missing" in lines[2]
    assert all(line.endswith(".") and "apt-get install" in line for line in lines)


def test_unusable_interpreter_is_named(tmp_path: Path) -> None:
    path = tools_without(tmp_path)
    result = prepare(path, PYTHON=shutil.which("false") or "false")
    assert result.returncode == 1
    assert "false is not one" in result.stderr


def test_sourced_ros_without_rclpy_is_named(tmp_path: Path) -> None:
    base = Path(sys.base_prefix) / "bin" / "python{}.{}".format(*sys.version_info[:2])
    if subprocess.run([base, "-c", "import rclpy"], capture_output=True).returncode == 0:
        pytest.skip("the base interpreter knows rclpy: ROS 2 is installed here")
    result = prepare(tools_without(tmp_path), PYTHON=str(base), ROS_DISTRO="jazzy")
    assert result.returncode == 1
    assert "jazzy is sourced" in result.stderr
    assert "cannot import rclpy" in result.stderr


def test_wheels_get_the_include_folders_of_this_environment(
    tmp_path: Path, scripts: dict[str, ModuleType]
) -> None:
    export = tmp_path / "share/some_msgs/cmake/some_msgs__rosidl_generator_pyExport.cmake"
    export.parent.mkdir(parents=True)
    builder = "/opt/python/cp312-cp312"
    export.write_text(
        f'INCLUDES "${{PREFIX}}/include;{builder}/include/python3.12;'
        f'{builder}/lib/python3.12/site-packages/numpy/_core/include"\n'
    )
    assert scripts["patch_wheels"].patch_exports(tmp_path) == 1
    includes = f"{sysconfig.get_path('include')};{np.get_include()}"
    assert export.read_text() == f'INCLUDES "${{PREFIX}}/include;{includes}"\n'
    assert scripts["patch_wheels"].patch_exports(tmp_path) == 0


def test_unknown_builder_folder_in_the_wheels_is_an_error(
    tmp_path: Path, scripts: dict[str, ModuleType]
) -> None:
    export = tmp_path / "share/some_msgs/cmake/some_msgs_pyExport.cmake"
    export.parent.mkdir(parents=True)
    export.write_text('INCLUDES "/opt/python/elsewhere/include"\n')
    with pytest.raises(RuntimeError, match=r"some_msgs_pyExport\.cmake still names"):
        scripts["patch_wheels"].patch_exports(tmp_path)


def test_results_are_counted_by_outcome(tmp_path: Path, scripts: dict[str, ModuleType]) -> None:
    results = tmp_path / "pytest.xml"
    results.write_text(
        "<testsuites><testsuite><testcase/><testcase/><testcase><failure/></testcase>"
        "<testcase><error/></testcase><testcase><skipped/></testcase></testsuite></testsuites>"
    )
    assert scripts["run_tests"].count([results]) == {"passed": 2, "failed": 2, "skipped": 1}


def test_content_hash_sees_names_and_contents_but_no_bytecode(
    scripts: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    steps = scripts["steps"]
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    source = tmp_path / "package" / "module.py"
    source.parent.mkdir()
    source.write_text("a = 1\n")
    first = steps.content_hash([source.parent], "fact")
    (source.parent / "__pycache__").mkdir()
    (source.parent / "__pycache__" / "module.pyc").write_text("bytecode")
    assert steps.content_hash([source.parent], "fact") == first
    assert steps.content_hash([source.parent], "other fact") != first
    source.write_text("a = 2\n")
    changed = steps.content_hash([source.parent], "fact")
    assert changed != first
    source.rename(source.with_name("renamed.py"))
    assert steps.content_hash([source.parent], "fact") != changed
