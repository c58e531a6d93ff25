# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `make` runs: clear words for what is missing, wheels repaired, results counted."""

from __future__ import annotations

import importlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
#: The interpreter that the environment was made with; it does not see the environment's packages.
BASE_PYTHON = Path(sys.base_prefix) / "bin" / "python{}.{}".format(*sys.version_info[:2])


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    names = ("installer", "packages", "patch_wheels", "pip_settings", "run_tests", "steps")
    names += ("picture_clouds",)
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    modules = {name: importlib.import_module(name) for name in names}
    for name in names:
        monkeypatch.delitem(sys.modules, name)
    return modules


def tools_without(folder: Path, *absent: str) -> str:
    """Makes a PATH of what prepare.sh uses, except for some commands."""
    for name in ("bash", "cmake", "make", "c++", "dirname", "env", "grep", "paste", "tr"):
        found = shutil.which(name)
        if name not in absent and found:
            (folder / name).symlink_to(found)
    return str(folder)


def put_script(path: Path, lines: str) -> None:
    """Puts a shell script in a command's place."""
    path.write_text(f"#!{shutil.which('bash')}\n{lines}\n")
    path.chmod(0o755)


def put_python(path: Path, version: tuple[int, int]) -> None:
    """Puts an interpreter there that runs what it is given as if it had another version."""
    code = f"import sys, sysconfig; sys.version_info = {version}; exec(sys.stdin.read())"
    put_script(path, f"exec {BASE_PYTHON} -c {shlex.quote(code)}")


def prepare(
    path: str, machine: str = "x86_64", **variables: str
) -> subprocess.CompletedProcess[str]:
    put_script(Path(path) / "uname", f"echo {machine}")
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
    assert "Python 3.10 to 3.14 is missing" in lines[0]
    assert "CMake is missing" in lines[1]
    assert "C++ compiler (c++) is missing" in lines[2]
    assert all(line.endswith(".") and "apt-get install" in line for line in lines)


def test_unusable_interpreter_is_named(tmp_path: Path) -> None:
    path = tools_without(tmp_path)
    result = prepare(path, PYTHON=shutil.which("false") or "false")
    assert result.returncode == 1
    assert "false is not one" in result.stderr


def test_for_too_new_an_interpreter_a_sentence_says_how_to_fetch_one(tmp_path: Path) -> None:
    path = tools_without(tmp_path)
    put_python(tmp_path / "python3", (3, 15))
    result = prepare(path)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "Python 3.10 to 3.14 is missing, python3 is newer" in line
    assert "uv python install 3.14" in line
    assert 'PYTHON="$(uv python find 3.14)"' in line


def test_of_several_interpreters_one_that_only_lacks_something_is_named(tmp_path: Path) -> None:
    path = tools_without(tmp_path, "cmake")
    put_python(tmp_path / "python3", (3, 15))
    put_python(tmp_path / "python3.14", (3, 14))
    result = prepare(path, ROS_DISTRO="lyrical")
    if "cannot import rclpy" not in result.stderr:
        pytest.skip("this interpreter knows rclpy")
    assert "python3.14 cannot import rclpy" in result.stderr
    assert "newer" not in result.stderr


@pytest.mark.parametrize("version", [(3, 10), (3, 13), (3, 14)])
def test_each_supported_version_of_python_is_taken(
    tmp_path: Path, version: tuple[int, int]
) -> None:
    path = tools_without(tmp_path, "cmake")
    put_python(tmp_path / "python3", version)
    (line,) = prepare(path).stderr.splitlines()
    assert "CMake is missing" in line, "nothing is said of Python"


def test_without_ros_a_processor_that_has_no_wheels_is_named(tmp_path: Path) -> None:
    path = tools_without(tmp_path)
    put_python(tmp_path / "python3", (3, 12))
    result = prepare(path, machine="aarch64")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "wheels are for x86_64 alone, not for aarch64" in line
    assert "docs/install.md" in line


def test_sourced_ros_without_rclpy_is_named(tmp_path: Path) -> None:
    if subprocess.run([BASE_PYTHON, "-c", "import rclpy"], capture_output=True).returncode == 0:
        pytest.skip("the base interpreter knows rclpy: ROS 2 is installed here")
    result = prepare(tools_without(tmp_path), PYTHON=str(BASE_PYTHON), ROS_DISTRO="jazzy")
    assert result.returncode == 1
    assert "jazzy is sourced" in result.stderr
    assert "cannot import rclpy" in result.stderr


def test_packages_of_ros_are_installed_without_those_that_requirements_pin(tmp_path: Path) -> None:
    for name in ("bash", "dirname", "grep", "paste"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    keys = "rclpy python3-numpy nav_msgs python3-rosbags-pip".replace(" ", "\\n")
    noted = tmp_path / "noted"
    put_script(tmp_path / "rosdep", f'echo "$*" >> {noted}\n[ $1 != keys ] || printf "{keys}\\n"')
    command = [tmp_path / "bash", SCRIPTS / "install_ros_packages.sh", "--simulate"]
    env = {"PATH": str(tmp_path)}
    refused = subprocess.run(command, env=env, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "ROS_DISTRO is not set" in refused.stderr
    subprocess.run(command, env={**env, "ROS_DISTRO": "lyrical"}, check=True)
    update, _, install = noted.read_text().splitlines()
    assert update == "update --rosdistro lyrical"
    root = SCRIPTS.parent
    assert install.startswith(f"install --from-paths {root} {root}/quantv2x_msgs --ignore-src")
    assert install.endswith("--skip-keys python3-numpy python3-rosbags-pip --simulate")


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


def test_repaired_wheels_leave_the_installers_cache_as_it_is(
    tmp_path: Path, scripts: dict[str, ModuleType]
) -> None:
    export = tmp_path / "share/some_msgs/cmake/some_msgs_pyExport.cmake"
    export.parent.mkdir(parents=True)
    cached = tmp_path / "cached"
    cached.write_text('INCLUDES "/opt/python/cp312-cp312/include/python3.12"\n')
    export.hardlink_to(cached)
    assert scripts["patch_wheels"].patch_exports(tmp_path) == 1
    assert sysconfig.get_path("include") in export.read_text()
    assert "/opt/python/cp312" in cached.read_text()


def test_unknown_builder_folder_in_the_wheels_is_an_error(
    tmp_path: Path, scripts: dict[str, ModuleType]
) -> None:
    export = tmp_path / "share/some_msgs/cmake/some_msgs_pyExport.cmake"
    export.parent.mkdir(parents=True)
    export.write_text('INCLUDES "/opt/python/elsewhere/include"\n')
    with pytest.raises(RuntimeError, match=r"some_msgs_pyExport\.cmake still names"):
        scripts["patch_wheels"].patch_exports(tmp_path)


def test_pips_configuration_is_read_with_its_own_precedence(
    scripts: dict[str, ModuleType],
) -> None:
    listing = (
        "WARNING: some.thing='else'\n"
        ":env:.find-links='/links /more'\n"
        "global.find-links='/other'\n"
        "global.index-url='https://one.example/simple'\n"
        "global.extra-index-url='\\nhttps://a.example\\nhttps://b.example'\n"
        "install.index-url='https://two.example/simple'\n"
        "freeze.timeout='3'\n"
    )
    assert scripts["pip_settings"].read_config(listing) == {
        "find-links": "/links /more",
        "index-url": "https://two.example/simple",
        "extra-index-url": "https://a.example\nhttps://b.example",
    }


def test_uv_is_told_what_pip_is_configured_with(scripts: dict[str, ModuleType]) -> None:
    options = {
        "index-url": "https://one.example/simple",
        "extra-index-url": "https://a.example\nhttps://b.example",
        "find-links": "/links /more",
        "proxy": "proxy.example:3128",
        "no-index": "false",
        "no-cache-dir": "1",
        "progress-bar": "off",
    }
    settings = scripts["pip_settings"].uv_settings(options, {"UV_INDEX": "https://own.example"})
    assert settings.arguments == ["--no-cache"]
    assert settings.variables == {
        "UV_DEFAULT_INDEX": "https://one.example/simple",
        "UV_FIND_LINKS": "/links,/more",
        "ALL_PROXY": "http://proxy.example:3128",
    }


def test_option_without_a_word_in_uv_is_named(scripts: dict[str, ModuleType]) -> None:
    with pytest.raises(ValueError, match=r"^target$"):
        scripts["pip_settings"].uv_settings({"target": "/elsewhere"}, {})


def environment_with(
    folder: Path, scripts: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, python: str
) -> Path:
    """Puts a shell script in the interpreter's place; every command is noted in a file."""
    noted = folder / "noted"
    executable = folder / "python"
    executable.write_text(f'#!/bin/bash\necho "pip $*" >> {noted}\n{python}\n')
    executable.chmod(0o755)
    uv = folder / "uv"
    uv.write_text(f'#!/bin/bash\necho "uv $UV_INDEX $*" >> {noted}\n[ -z "$FAILING" ]\n')
    uv.chmod(0o755)
    monkeypatch.setattr(scripts["installer"], "PIP", (executable,))
    monkeypatch.setattr(scripts["installer"], "UV", uv)
    for name in ("PIP_EXTRA", "INSTALLER", "UV_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_INDEX", "https://torch.example")
    return noted


def test_uv_installs_with_the_constraints_and_the_further_index(
    tmp_path: Path, scripts: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    python = "[ $1 != config ] || echo \"global.extra-index-url='https://a.example'\""
    noted = environment_with(tmp_path, scripts, monkeypatch, python)
    scripts["installer"].install(["runtime.txt"], tmp_path / "limits.txt", "")
    calls = noted.read_text().splitlines()
    assert [call.split()[:2] for call in calls[:2]] == [["pip", "config"], ["pip", "install"]]
    assert calls[1].endswith("requirements/installer.txt")
    assert len(calls) == 3
    assert calls[2].startswith("uv https://a.example https://torch.example pip install")
    assert f"-c {tmp_path}/limits.txt -r " in calls[2]
    assert calls[2].endswith("requirements/runtime.txt")


@pytest.mark.parametrize(
    ("variables", "ros", "python", "said"),
    [
        ({}, "", '[[ "$*" != *installer.txt ]]', "uv cannot be installed here"),
        ({}, "", "[ $1 != config ] || echo \"global.target='/x'\"", "configured with target"),
        ({"FAILING": "1"}, "", "", "uv could not install them"),
        ({"PIP_EXTRA": "--no-index"}, "", "", "PIP_EXTRA"),
        ({"INSTALLER": "pip"}, "", "", "INSTALLER=pip"),
        ({}, "jazzy", "", "ROS 2 brings"),
    ],
)
def test_pip_installs_where_uv_cannot_and_a_line_says_why(
    tmp_path: Path,
    scripts: dict[str, ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    ros: str,
    python: str,
    said: str,
) -> None:
    noted = environment_with(tmp_path, scripts, monkeypatch, python)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    scripts["installer"].install(["runtime.txt"], tmp_path / "limits.txt", ros)
    last = noted.read_text().splitlines()[-1]
    assert last.startswith("pip install --quiet -c ")
    assert "runtime.txt --extra-index-url https://torch.example" in last
    assert last.endswith(variables.get("PIP_EXTRA", ""))
    assert said in capsys.readouterr().out


def test_unknown_installer_is_refused(
    scripts: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSTALLER", "conda")
    with pytest.raises(scripts["steps"].PrepareError, match="got 'conda', allowed are uv and pip"):
        scripts["installer"].reason_for_pip("")


def test_failing_pip_is_an_error(
    tmp_path: Path, scripts: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment_with(tmp_path, scripts, monkeypatch, "exit 1")
    with pytest.raises(scripts["steps"].PrepareError, match=r"requirements/runtime\.txt"):
        scripts["installer"].install(["runtime.txt"], tmp_path / "limits.txt", "kilted")


def test_command_beside_the_build_fails_with_its_own_sentence(
    scripts: dict[str, ModuleType], capfd: pytest.CaptureFixture[str]
) -> None:
    steps = scripts["steps"]
    command = [sys.executable, "-c", "import sys; print('no such library'); sys.exit(3)"]
    with pytest.raises(steps.PrepareError, match="libraries"), steps.beside(command, "libraries"):
        pass
    assert "no such library" in capfd.readouterr().err


def test_build_uses_all_cores_unless_told_otherwise(scripts: dict[str, ModuleType]) -> None:
    env: dict[str, str] = {}
    scripts["packages"].use_all_cores(env)
    assert env["MAKEFLAGS"] == f"-j{len(os.sched_getaffinity(0))}"
    env = {"MAKEFLAGS": "-j1"}
    scripts["packages"].use_all_cores(env)
    assert env == {"MAKEFLAGS": "-j1"}


def test_bytecode_is_written_for_what_the_nodes_import(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, SCRIPTS / "write_bytecode.py"]
    subprocess.run(command, env=env, check=True, capture_output=True)
    names = {path.parent.name for path in tmp_path.rglob("*.pyc")}
    assert {"numba", "openvino", "transforms3d", "optimize"} <= names
    assert "torch" not in names


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


def test_clouds_are_pictured_side_by_side(tmp_path: Path, scripts: dict[str, ModuleType]) -> None:
    from matplotlib.image import imread

    from quantv2x_ros.data.simulator import write_scenario

    write_scenario(tmp_path / "scene", seed=3, frames=1, agents=2)
    draw = scripts["picture_clouds"].draw
    for rows in (1, 2):
        names = [str(tmp_path / "scene"), f"{tmp_path / 'scene'}:-1"][:rows]
        draw(names).savefig(tmp_path / "clouds.png", dpi=40)
        picture = imread(tmp_path / "clouds.png")[..., :3]
        assert picture.shape[0] == pytest.approx(184 * rows, abs=2)
        for half in np.array_split(picture, 2, axis=1):
            assert (half.max(axis=2) > 0.3).mean() > 0.01, "points are drawn"


def test_height_is_over_the_lowest_returns_around(scripts: dict[str, ModuleType]) -> None:
    rng = np.random.default_rng(0)
    slope = rng.uniform(-20, 20, (8000, 3))
    slope[:, 2] = 0.05 * slope[:, 0]
    pole = np.array([[3.0, 3.0, 0.15 + z] for z in np.linspace(0, 3, 20)])
    height = scripts["picture_clouds"].height_over_ground(np.concatenate([slope, pole]))
    assert height[:8000].max() < 0.5
    assert height[-1] == pytest.approx(3.0, abs=0.3)
