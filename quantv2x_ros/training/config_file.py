# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads a training configuration from YAML, naming what is wrong with it."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from quantv2x_ros.training.config import TrainingConfig, TrainingConfigError


def load_config(path: Path, overrides: Mapping[str, Any] | None = None) -> TrainingConfig:
    """Read a stage's configuration from a YAML file; what it does not name keeps its default.

    Args:
        path: the file.
        overrides: values of the first level that replace the file's.

    Raises:
        TrainingConfigError: naming the file, the key and what is allowed.
        OSError: the file cannot be read.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TrainingConfigError(f"{path}: not readable as YAML: {error}") from error
    if not isinstance(values, dict):
        raise TrainingConfigError(f"{path}: expected keys and values, got {type(values).__name__}")
    try:
        config: TrainingConfig = _build(TrainingConfig, {**values, **(overrides or {})}, "")
    except ValueError as error:
        raise TrainingConfigError(f"{path}: {error}") from error
    return config


def _build(kind: Any, values: Any, where: str) -> Any:
    """Make a dataclass of a mapping, section by section, and check every value's type."""
    if not isinstance(values, dict):
        raise TrainingConfigError(f"{where} must be a section with keys, got {values!r}")
    hints = typing.get_type_hints(kind)
    known = {item.name: item for item in dataclasses.fields(kind)}
    for key in values:
        if key not in known:
            allowed = ", ".join(known)
            raise TrainingConfigError(f"unknown key {where + str(key)!r}; allowed are {allowed}")
    missing = dataclasses.MISSING
    for name, item in known.items():
        if name not in values and item.default is missing and item.default_factory is missing:
            raise TrainingConfigError(f"key {where + name!r} is missing")
    return kind(**{key: _value(hints[key], values[key], where + str(key)) for key in values})


def _value(hint: Any, value: Any, where: str) -> Any:
    """Return a value in its declared type; an integer is good where a float is declared."""
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, f"{where}.")
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        wanted = f"a list of {'any length' if ... in kinds else len(kinds)}"
        if not isinstance(value, list) or (... not in kinds and len(value) != len(kinds)):
            raise TrainingConfigError(f"{where} must be {wanted}, got {value!r}")
        return tuple(_value(kinds[0], item, where) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise TrainingConfigError(f"{where} must be a {hint.__name__}, got {value!r}")
    return value
