# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Installs sets of requirements: with uv, which takes a fraction of pip's time, else with pip."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from pip_settings import UnknownSettingError, UvSettings, read_config, uv_settings
from steps import ROOT, VENV, VENV_PYTHON, PrepareError, run, say

REQUIREMENTS = ROOT / "requirements"
PIP: tuple[str | Path, ...] = (VENV_PYTHON, "-m", "pip", "--disable-pip-version-check")
UV = VENV / "bin" / "uv"


def reason_for_pip(ros: str) -> str:
    """Says why uv is not to be asked, or "".

    Args:
        ros: The sourced ROS 2 distribution, or "".

    Raises:
        PrepareError: INSTALLER names neither.
    """
    wanted = os.environ.get("INSTALLER") or "uv"
    if wanted not in ("uv", "pip"):
        raise PrepareError(f"INSTALLER: got '{wanted}', allowed are uv and pip")
    if wanted == "pip":
        return "INSTALLER=pip"
    if os.environ.get("PIP_EXTRA"):
        return "PIP_EXTRA holds pip's arguments"
    if ros:
        return "uv does not see the Python packages that ROS 2 brings"
    return ""


def pip_configuration() -> UvSettings:
    """Returns what pip is configured with, in uv's words.

    Raises:
        UnknownSettingError: uv has no word for an option.
    """
    listing = run([*PIP, "config", "list"], "pip cannot read its own configuration, see above.")
    return uv_settings(read_config(listing), os.environ)


def prepared_uv() -> UvSettings | None:
    """Puts uv into the environment and returns its settings; None, having said why, without it."""
    try:
        settings = pip_configuration()
    except UnknownSettingError as error:
        say(f"pip is configured with {error}, which uv does not know: pip installs, slower")
        return None
    requirements = REQUIREMENTS / "installer.txt"
    try:
        run([*PIP, "install", "--quiet", "--retries", "1", "-r", requirements], "")
    except PrepareError:
        say("uv cannot be installed here, see above: pip installs, slower")
        return None
    return settings


def install_with_uv(arguments: Sequence[str | Path], settings: UvSettings) -> bool:
    """Installs with uv, or tells that it could not."""
    env = {**os.environ, "UV_INDEX_STRATEGY": "unsafe-best-match", **settings.variables}
    if os.environ.get("TORCH_INDEX"):
        env["UV_INDEX"] = f"{env.get('UV_INDEX', '')} {os.environ['TORCH_INDEX']}".strip()
    command: list[str | Path] = [UV, "pip", "install", "--quiet", "--no-progress"]
    try:
        run([*command, "--python", VENV_PYTHON, *settings.arguments, *arguments], "", env)
    except PrepareError:
        say("uv could not install them, see above: pip tries")
        return False
    return True


def install(files: Sequence[str], constraints: Path, ros: str) -> None:
    """Installs requirement files into the environment.

    Args:
        files: Their names in requirements/.
        constraints: A file of versions for what they need in turn.
        ros: The sourced ROS 2 distribution, or "".

    Raises:
        PrepareError: pip, the last resort, could not.
    """
    arguments: list[str | Path] = ["-c", constraints]
    for file in files:
        arguments += ["-r", REQUIREMENTS / file]
    reason = reason_for_pip(ros)
    if reason:
        say(f"pip installs ({reason})")
    else:
        settings = prepared_uv()
        if settings is not None and install_with_uv(arguments, settings):
            return
    if os.environ.get("TORCH_INDEX"):
        arguments += ["--extra-index-url", os.environ["TORCH_INDEX"]]
    arguments += shlex.split(os.environ.get("PIP_EXTRA", ""))
    failure = f"pip could not install requirements/{', '.join(files)}, see above."
    run([*PIP, "install", "--quiet", *arguments], failure)
