# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameter file of the node `channel`, read for an evaluation: one file for both."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from quantv2x_ros.core.channel.channel_model import ChannelError, ChannelSettings
from quantv2x_ros.evaluation.settings import EvaluationSettingError


def read_channel(path: Path) -> ChannelSettings:
    """Read the settings of a channel.

    Args:
        path: YAML file with the ROS parameters of one node, such as `config/channel.yaml`, or
            with the settings alone.

    Raises:
        EvaluationSettingError: For a file that holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise EvaluationSettingError(f"{path} is not YAML: {error}") from error
    settings, of_node = _parameters(content)
    names = {item.name: item.type for item in fields(ChannelSettings)}
    if not isinstance(settings, dict):
        raise EvaluationSettingError(
            f"{path}: expected settings of a channel as `name: value`, such as config/channel.yaml"
        )
    unknown = sorted(map(str, settings.keys() - names.keys()))
    if of_node:  # which has further parameters; but a slip of the pen must not go unseen
        unknown = [name for name in unknown if get_close_matches(name, names, cutoff=0.8)]
    if unknown:
        raise EvaluationSettingError(
            f"{path}: a channel has no {', '.join(unknown)}; it has {', '.join(names)}"
        )
    values = {name: value for name, value in settings.items() if name in names}
    for name, value in values.items():
        if not _fits(value, str(names[name])):
            raise EvaluationSettingError(f"{path}: {name} is {value!r}, expected {names[name]}")
    try:
        return ChannelSettings(**values)
    except ChannelError as error:
        raise EvaluationSettingError(f"{path}: {error}") from error


def _parameters(content: Any) -> tuple[Any, bool]:
    """Return what is below `ros__parameters` where there is that, and whether there is."""
    if isinstance(content, dict) and len(content) == 1:
        (node,) = content.values()
        if isinstance(node, dict) and "ros__parameters" in node:
            return node["ros__parameters"], True
    return content, False


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return False
    allowed: dict[str, tuple[type, ...]] = {"float": (int, float), "int": (int,), "str": (str,)}
    return isinstance(value, allowed[kind])
