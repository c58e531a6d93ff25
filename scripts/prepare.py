# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Prepares the checkout: virtual environment, pinned dependencies, colcon build of both packages.

Everything lies in the checkout, ignored by git: `.venv/`, `build/`, `install/`, `log/`. Each step
leaves a stamp with a hash of what it was made from, and runs again only when that has changed.

Without ROS 2, the environment gets ROS 2 Kilted as wheels. Where a ROS 2 installation is sourced
(ROS_DISTRO is set and rclpy can be found), the environment builds on that one instead.

Environment variables:
    PYTHON: The interpreter asked for; another version of it than the environment's rebuilds that.
    INSTALLER: "pip" to install with pip; else uv does, and pip only where uv cannot.
    PIP_EXTRA: Further arguments of `pip install`, which then installs in uv's place.
    TORCH_INDEX: Address of a further package index for torch, one of CPU builds for example.
"""

from __future__ import annotations

import argparse
import fcntl
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from installer import REQUIREMENTS, install
from packages import ensure_build, ensure_setup_files
from steps import (
    ROOT,
    STAMPS,
    VENV,
    VENV_PYTHON,
    PrepareError,
    announced,
    content_hash,
    is_stamped,
    run,
    say,
    write_stamp,
)


def ros_installation() -> str:
    """Names the sourced ROS 2 distribution, or "" where there is none."""
    distribution = os.environ.get("ROS_DISTRO", "")
    return distribution if distribution and importlib.util.find_spec("rclpy") else ""


def venv_version() -> str:
    """Returns the environment's Python version (such as "3.11"), or "" where it does not run."""
    if not VENV_PYTHON.exists():
        return ""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    result = subprocess.run([VENV_PYTHON, "-c", code], capture_output=True, text=True)
    return result.stdout.strip() if result.returncode == 0 else ""


def ensure_environment(ros: str) -> str:
    """Creates the virtual environment, anew where the present one does not fit.

    Args:
        ros: The sourced ROS 2 distribution, or "".

    Returns:
        The facts about the environment that everything in it depends on.
    """
    own_version = "{}.{}".format(*sys.version_info[:2])
    version = venv_version()
    if "PYTHON" in os.environ and version != own_version:
        version = ""
    facts = f"Python {version or own_version} in {VENV}, ROS {ros or 'wheels'}"
    if version and is_stamped("environment", facts):
        return facts
    facts = f"Python {own_version} in {VENV}, ROS {ros or 'wheels'}"
    if VENV.exists():
        say("The virtual environment was made for something else: starting afresh")
        for folder in (VENV, ROOT / "build", ROOT / "install"):
            shutil.rmtree(folder, ignore_errors=True)
    options = ["--system-site-packages"] if ros else []
    run([sys.executable, "-m", "venv", *options, VENV], "Python's venv failed, see above.")
    write_stamp("environment", facts)
    return facts


def system_constraints() -> str:
    """Words the limits that a ROS 2 installation's own Python packages set."""
    limits = ["empy<4", "setuptools<80"]  # The message generators of Humble and Jazzy need them.
    try:
        major = int(importlib.metadata.version("numpy").split(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return "\n".join(limits)
    # The messages' extension modules are compiled against this major version.
    return "\n".join([*limits, f"numpy<{major + 1}"])


def ensure_requirements(name: str, files: Sequence[str], what: str, environment: str) -> None:
    """Installs one set of requirement files, where it has changed."""
    ros = ros_installation()
    paths = [REQUIREMENTS / file for file in files]
    constraints = REQUIREMENTS / "constraints.txt"
    stamp = content_hash([*paths, constraints, ROOT / "scripts/patch_wheels.py"], environment)
    if is_stamped(name, stamp):
        return
    if ros:
        constraints = STAMPS / "constraints.txt"
        constraints.write_text(system_constraints() + "\n", encoding="utf-8")
    with announced(f"Installing {what}"):
        install(files, constraints, ros)
        if not ros:
            run([VENV_PYTHON, ROOT / "scripts/patch_wheels.py"], "The ROS 2 wheels do not fit.")
    write_stamp(name, stamp)


def main() -> None:
    """Prepares for running ("runtime") or for testing and training ("test")."""
    parser = argparse.ArgumentParser(description="Prepare the checkout.")
    parser.add_argument("purpose", choices=("runtime", "test"))
    purpose = parser.parse_args().purpose
    (ROOT / ".cache").mkdir(exist_ok=True)
    with (ROOT / ".cache/prepare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Two runs of make at once take turns.
        ros = ros_installation()
        environment = ensure_environment(ros)
        base = [] if ros else ["ros-kilted.txt"]
        files = [*base, "build.txt", "runtime.txt"]
        what = "what the package needs" if ros else "ROS 2 Kilted and what the package needs"
        ensure_requirements("runtime", files, what, environment)
        if purpose == "test":
            files = ["training.txt", "test.txt"]
            what = "what training and tests need"
            ensure_requirements("test", files, what, environment)
        ensure_setup_files(ros)
        ensure_build(environment, ros)


if __name__ == "__main__":
    try:
        main()
    except PrepareError as error:
        sys.exit(f"error: {error}")
