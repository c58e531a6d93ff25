# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The origin of parameters: which were given to all nodes alike. rclpy does not tell.

A file that several nodes share gives parameters in a section ``/**`` that some of them do not have.
So such a section proves no mistake, where a section of the node's own, or ``-p``, does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

_PARAMETERS = "ros__parameters"


def given_to_all(arguments: Sequence[str], node: str) -> frozenset[str]:
    """Return the parameters that a node got from sections for all nodes, and from nowhere else.

    Args:
        arguments: command line of the process; rcl has accepted it.
        node: full name of the node, such as ``/car/fusion``.
    """
    to_all: set[str] = set()
    to_it: set[str] = set()
    for option, value in _ros_options(arguments):
        if option in ("-p", "--param"):
            target, _, name = value.partition(":=")[0].rpartition(":")
            if not target or _matches(target, node):
                to_it.add(name)
            continue
        for section, names in _sections(value):
            if _matches(section, node):
                is_named = section.rpartition("/")[2] not in ("*", "**")
                (to_it if is_named else to_all).update(names)
    return frozenset(to_all - to_it)


def _ros_options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield ``-p`` and ``--params-file`` with their values from between --ros-args and --."""
    is_ros = False
    rest = iter(arguments)
    for word in rest:
        if word == "--ros-args":
            is_ros = True
        elif word == "--":
            is_ros = False
        elif is_ros and word in ("-p", "--param", "--params-file"):
            yield word, next(rest, "")


def _sections(path: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the sections of a parameter file: pattern of nodes' names, names of parameters."""
    try:
        document = yaml.load(Path(path).read_text(encoding="utf-8"), _AnyTag)
    except (OSError, ValueError, yaml.YAMLError):
        return  # rcl reads it and complains; what only this reader cannot read proves nothing
    yield from _walk("", document)


class _AnyTag(yaml.SafeLoader):
    """Reads values of all tags, which do not matter here."""


_AnyTag.add_multi_constructor("", lambda loader, suffix, node: None)


def _walk(prefix: str, document: Any) -> Iterator[tuple[str, frozenset[str]]]:
    """Walk down nested namespaces to the sections."""
    if not isinstance(document, Mapping):
        return
    for key, value in document.items():
        if key == _PARAMETERS:
            yield prefix or "/", frozenset(_names("", value))
        else:
            yield from _walk(f"{prefix}/{str(key).strip('/')}", value)


def _names(prefix: str, document: Any) -> Iterator[str]:
    """Yield the full names of nested parameters."""
    if not isinstance(document, Mapping):
        yield prefix
        return
    for key, value in document.items():
        yield from _names(f"{prefix}.{key}" if prefix else str(key), value)


def _matches(pattern: str, node: str) -> bool:
    """Whether a section is for a node; ``*`` is one part of its full name, ``**`` any number."""
    parts = {"*": "/[^/]+", "**": "(?:/[^/]+)*"}
    tokens = [token for token in pattern.split("/") if token]
    return bool(re.fullmatch("".join(parts.get(t, "/" + re.escape(t)) for t in tokens), node))
