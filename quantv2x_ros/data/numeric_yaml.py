# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""YAML with NumPy arrays and scalars in it, as `yaml.dump` writes them, read safely.

V2V4Real stores poses so. The tags name Python functions; here none of them is called: an array is
made of its shape, its element type and its bytes, and any other tag is refused.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import yaml

_BASE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PYTHON = "tag:yaml.org,2002:python/"
_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")  # before and from NumPy 2
_NUMBER = re.compile(r"[<>=|]?(f[248]|[iu][1248]|b1)")
_MOST_DIMENSIONS = 8


class NumericLoader(_BASE):  # type: ignore[misc, valid-type]
    """PyYAML's safe loader, and arrays, scalars and tuples of numbers."""


def _refuse(node: yaml.Node, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _call(loader: Any, node: yaml.Node) -> tuple[list[Any], Any]:
    """Return arguments and state of `python/object/apply`."""
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True), None
    if not isinstance(node, yaml.MappingNode):
        raise _refuse(node, f"{node.tag} must hold arguments")
    content = loader.construct_mapping(node, deep=True)
    arguments = content.get("args", [])
    return (arguments if isinstance(arguments, list) else [arguments]), content.get("state")


def _tuple(loader: Any, node: yaml.Node) -> tuple[Any, ...]:
    if not isinstance(node, yaml.SequenceNode):
        raise _refuse(node, "a tuple must be a sequence")
    return tuple(loader.construct_sequence(node, deep=True))


def _dtype(loader: Any, node: yaml.Node) -> np.dtype[Any]:
    """Make a type of numbers; no strings, objects or records."""
    arguments, state = _call(loader, node)
    name = arguments[0] if arguments else None
    if not isinstance(name, str) or not _NUMBER.fullmatch(name):
        raise _refuse(node, f"an array of {name!r} is no array of numbers")
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else "<"
    if order not in ("<", ">", "|", "="):
        raise _refuse(node, f"byte order {order!r} is unknown")
    return np.dtype(f"{order}{name.lstrip('<>=|')}")


def _array(loader: Any, node: yaml.Node) -> np.ndarray[Any, Any]:
    """Make an array of shape, element type and bytes: state of `_reconstruct`."""
    _, state = _call(loader, node)
    if not isinstance(state, tuple) or len(state) != 5:
        raise _refuse(node, "an array must have version, shape, type, order and data")
    _, shape, dtype, is_fortran, data = state
    if not isinstance(dtype, np.dtype) or not isinstance(data, bytes):
        raise _refuse(node, "an array must have a type of numbers, and bytes")
    is_shape = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    if not is_shape or len(shape) > _MOST_DIMENSIONS:
        raise _refuse(node, f"shape {shape!r} is none")
    expected = dtype.itemsize
    for length in shape:
        expected *= length
    if expected != len(data):
        raise _refuse(node, f"shape {shape} of {dtype} needs {expected} bytes, got {len(data)}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C")


def _scalar(loader: Any, node: yaml.Node) -> float | int | bool:
    arguments, _ = _call(loader, node)
    if (
        len(arguments) != 2
        or not isinstance(arguments[0], np.dtype)
        or not isinstance(arguments[1], bytes)
        or len(arguments[1]) != arguments[0].itemsize
    ):
        raise _refuse(node, "a scalar must have a type of numbers, and its bytes")
    value: float | int | bool = np.frombuffer(arguments[1], arguments[0])[0].item()
    return value


NumericLoader.add_constructor(f"{_PYTHON}tuple", _tuple)
NumericLoader.add_constructor(f"{_PYTHON}name:numpy.ndarray", lambda loader, node: "numpy.ndarray")
NumericLoader.add_constructor(f"{_PYTHON}object/apply:numpy.dtype", _dtype)
for _module in _MODULES:
    NumericLoader.add_constructor(f"{_PYTHON}object/apply:{_module}._reconstruct", _array)
    NumericLoader.add_constructor(f"{_PYTHON}object/apply:{_module}.scalar", _scalar)
