# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads dataclasses from YAML, naming what is wrong with it."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

Section = TypeVar("Section")


class TypedYamlError(ValueError):
    """A YAML file that does not hold what a dataclass asks for."""


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file of keys and values; an empty one has none.

    Args:
        path: the file.

    Raises:
        TypedYamlError: naming the file and what it holds instead.
        OSError: the file cannot be read.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TypedYamlError(f"{path}: not readable as YAML: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise TypedYamlError(f"{path}: expected keys and values, got {type(values).__name__}")
    return values


def build(kind: type[Section], values: Any, where: str = "") -> Section:
    """Make a dataclass of a mapping, section by section, and check every value's type.

    Args:
        kind: the dataclass; what its fields hold may be dataclasses, tuples and ``| None``.
        values: the mapping; what it does not name keeps its default.
        where: the section, as errors name it, with a dot at its end.

    Raises:
        TypedYamlError: naming the key and what is allowed.
    """
    if not isinstance(values, Mapping):
        raise TypedYamlError(f"{where.rstrip('.')} must be a section with keys, got {values!r}")
    hints = typing.get_type_hints(kind)
    known = {item.name: item for item in dataclasses.fields(typing.cast(Any, kind))}
    for key in values:
        if key not in known:
            allowed = ", ".join(known)
            raise TypedYamlError(f"unknown key {where + str(key)!r}; allowed are {allowed}")
    missing = dataclasses.MISSING
    for name, item in known.items():
        if name not in values and item.default is missing and item.default_factory is missing:
            raise TypedYamlError(f"key {where + name!r} is missing")
    return kind(**{key: _value(hints[key], values[key], where + str(key)) for key in values})


def _value(hint: Any, value: Any, where: str) -> Any:
    """Return a value in its declared type; an integer is good where a float is declared."""
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(Any, hint), value, f"{where}.")
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
        return _value(hint, value, where)
    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        wanted = f"a list of {'any length' if ... in kinds else len(kinds)}"
        if not isinstance(value, list) or (... not in kinds and len(value) != len(kinds)):
            raise TypedYamlError(f"{where} must be {wanted}, got {value!r}")
        return tuple(_value(kinds[0], item, where) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise TypedYamlError(f"{where} must be a {hint.__name__}, got {value!r}")
    return value
