# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the tables of an object that have a station's id among their keys."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from types import FunctionType, ModuleType


def tables_keyed_by(root: object, station_id: int, beyond: Iterable[object] = ()) -> list[object]:
    """Return the dictionaries and sets within reach that have the id among their keys.

    Args:
        root: where to begin.
        station_id: a number that means nothing else.
        beyond: objects that are not looked into.
    """
    seen, todo, found = {id(each) for each in beyond}, [root], []
    while todo:
        item = todo.pop()
        if id(item) in seen or isinstance(item, type | ModuleType):
            continue
        seen.add(id(item))
        if isinstance(item, dict | set | frozenset) and station_id in item:
            found.append(item)
        # a function's globals are a module's
        todo += item.__closure__ or () if isinstance(item, FunctionType) else gc.get_referents(item)
    return found
