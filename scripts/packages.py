# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The step of prepare.py that builds both packages with colcon."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

from steps import (
    ROOT,
    VENV,
    VENV_PYTHON,
    PrepareError,
    announced,
    beside,
    content_hash,
    is_stamped,
    run,
    write_stamp,
)

# What the two packages are built from.
PACKAGE_SOURCES = (
    "quantv2x_msgs",
    "quantv2x_ros",
    "launch",
    "config",
    "rviz",
    "engines",
    "resource",
    "package.xml",
    "setup.py",
    "setup.cfg",
    "LICENSE",
    "colcon_defaults.yaml",
)
PACKAGE_TYPES = {"quantv2x_msgs": "ros.ament_cmake", "quantv2x_ros": "ros.ament_python"}

# Runs colcon on the environment's Python, wherever colcon itself is installed.
COLCON = """
import sys
from colcon_core.command import main
sys.argv[0] = "colcon"
sys.exit(main())
"""


def ensure_setup_files(ros: str) -> None:
    """Writes the shell files that colcon chains to, and that a person sources."""
    lines = [f"export PATH={shlex.quote(str(VENV / 'bin'))}:$PATH"]
    if ros:
        # `ros2 launch` runs on the system's Python, and so does what a launch file imports.
        name, folder = "PYTHONPATH", next(VENV.glob("lib/python3.*/site-packages"))
    else:
        name, folder = "AMENT_PREFIX_PATH", VENV
    lines.append(f"export {name}={shlex.quote(str(folder))}${{{name}:+:${name}}}")
    text = "\n".join(lines) + "\n"
    for name in ("local_setup.sh", "local_setup.bash", "setup.sh", "setup.bash"):
        path = VENV / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    (VENV / "COLCON_IGNORE").touch()


def build_environment(ros: str) -> dict[str, str]:
    """Returns the environment variables of a build."""
    env = dict(os.environ)
    env["PATH"] = f"{VENV / 'bin'}:{env['PATH']}"
    env["VIRTUAL_ENV"] = str(VENV)
    # A dozen generators import the same modules one after the other; nodes start quicker, too.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    if ros:
        env["AMENT_PREFIX_PATH"] = f"{VENV}:{env.get('AMENT_PREFIX_PATH', '')}".rstrip(":")
    else:
        # Nothing that happens to be sourced, an earlier build of this checkout included.
        env["AMENT_PREFIX_PATH"] = str(VENV)
        for name in ("COLCON_PREFIX_PATH", "CMAKE_PREFIX_PATH", "PYTHONPATH"):
            env.pop(name, None)
    return env


def use_all_cores(env: dict[str, str]) -> None:
    """Lets the build use every core, whatever else runs.

    colcon would add `-l` and the number of cores: then a machine under load, be it from the
    installation that has just ended, compiles one file after the other.
    """
    if not env.get("MAKEFLAGS"):
        env["MAKEFLAGS"] = f"-j{len(os.sched_getaffinity(0))}"


def ensure_build(environment: str, ros: str) -> None:
    """Builds both packages, where something in them has changed."""
    stamp = content_hash([ROOT / source for source in PACKAGE_SOURCES], environment)
    if is_stamped("build", stamp) and (ROOT / "install/setup.bash").is_file():
        return
    env = build_environment(ros)
    colcon: list[str | Path] = [VENV_PYTHON, "-c", COLCON]
    listed = run([*colcon, "list"], "colcon cannot read the packages, see above.", env)
    for name, kind in PACKAGE_TYPES.items():
        if not any(line.split()[::2] == [name, f"({kind})"] for line in listed.splitlines()):
            raise PrepareError(
                f"colcon does not take {name} for a package of type {kind}: its package.xml is "
                f"invalid. colcon list says:\n{listed}"
            )
    # setuptools would install modules again that were removed from the source since.
    shutil.rmtree(ROOT / "build/quantv2x_ros/build", ignore_errors=True)
    use_all_cores(env)
    bytecode = [VENV_PYTHON, ROOT / "scripts/write_bytecode.py"]
    crash = "A library that was installed ends Python when it is imported, see above."
    with announced("Building quantv2x_msgs and quantv2x_ros"), beside(bytecode, crash):
        cmake = ["--cmake-args", "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={VENV_PYTHON}"]
        run([*colcon, "build", *cmake], "The build failed, see above.", env)
    write_stamp("build", stamp)
