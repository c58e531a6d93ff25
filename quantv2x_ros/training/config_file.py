# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads a training configuration from YAML, naming what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quantv2x_ros.environment.typed_yaml import TypedYamlError, build, read_mapping
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
        values = read_mapping(path)
    except TypedYamlError as error:
        raise TrainingConfigError(str(error)) from error
    try:
        return build(TrainingConfig, {**values, **(overrides or {})})
    except ValueError as error:
        raise TrainingConfigError(f"{path}: {error}") from error
