# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The index of results: which files make which table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from quantv2x_ros.results.files import ResultsError

INDEX_FILE = "index.yaml"


@dataclass(frozen=True)
class TableEntry:
    """One table of the page.

    Attributes:
        heading: heading of the table.
        sentence: what the table shows, and on which data.
        kind: name of the form, a key of `kinds.KINDS`.
        files: label → names of its JSON files; a table of one file has the label "".
        options: settings of the kind.
        prepare: shell commands that make the data; empty for none.
        note: what to know when reading the table, below it; empty for nothing.
        image: path of a picture from the page's folder; empty for none.
        caption: text in the place of the picture.
    """

    heading: str
    sentence: str
    kind: str
    files: Mapping[str, tuple[str, ...]]
    options: Mapping[str, str]
    prepare: str = ""
    note: str = ""
    image: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Group:
    """Tables about one subject.

    Attributes:
        heading: heading of the group.
        tables: the tables, in order.
    """

    heading: str
    tables: tuple[TableEntry, ...]


@dataclass(frozen=True)
class Index:
    """The whole page.

    Attributes:
        title: title of the page.
        introduction: text below the title.
        groups: the groups of tables, in order.
    """

    title: str
    introduction: str
    groups: tuple[Group, ...]

    @property
    def file_names(self) -> set[str]:
        """Names of all JSON files that tables are made of."""
        return {
            name
            for group in self.groups
            for table in group.tables
            for names in table.files.values()
            for name in names
        }


def read_index(path: Path) -> Index:
    """Read an index.

    Args:
        path: a YAML file with the keys of `Index`; a table's `files` maps a label to the name of a
            file, or to a list of names; `file` names the only one.

    Raises:
        ResultsError: naming the key that is missing or unknown, or what has another type.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise ResultsError(f"{path} is not YAML: {error}") from error
    top = _entries(content, Index, str(path))
    groups = []
    for number, item in enumerate(_list(top["groups"], f"{path}: groups")):
        group = _entries(item, Group, f"{path}: groups[{number}]")
        place = f"{path}: {group['heading']}"
        tables = tuple(_table(table, place) for table in _list(group["tables"], f"{place}: tables"))
        groups.append(Group(group["heading"], tables))
    return Index(top["title"], top["introduction"], tuple(groups))


def _table(content: object, place: str) -> TableEntry:
    if isinstance(content, Mapping):
        content = dict(content)
        content.setdefault("options", {})
        if "file" in content:
            content["files"] = {"": content.pop("file")}
    entry = _entries(content, TableEntry, place)
    place = f"{place}: {entry['heading']}"
    files = {}
    for label, names in _mapping(entry["files"], f"{place}: files").items():
        names = [names] if isinstance(names, str) else names
        files[label] = tuple(
            _text(name, f"{place}: files") for name in _list(names, f"{place}: files")
        )
    if not files:
        raise ResultsError(f"{place} has no file; give `file`, or `files` by their labels")
    options = _mapping(entry["options"], f"{place}: options")
    texts = {name: _text(value, f"{place}: options") for name, value in options.items()}
    return TableEntry(**{**entry, "files": files, "options": texts})


def _entries(content: object, kind: type, place: str) -> dict[str, Any]:
    """Return a mapping whose keys are the fields of a class, its texts checked."""
    found = dict(_mapping(content, place))
    known = {field.name: field for field in fields(kind)}
    unknown = [name for name in found if name not in known]
    needed = [name for name, field in known.items() if not isinstance(field.default, str)]
    missing = [name for name in needed if name not in found]
    if unknown:
        raise ResultsError(f"{place} has the key {unknown[0]}; known are {', '.join(known)}")
    if missing:
        raise ResultsError(f"{place} has no {missing[0]}")
    for name, value in found.items():
        if known[name].type == "str":
            found[name] = _text(value, f"{place}: {name}").strip()
    return found


def _mapping(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ResultsError(f"{place} must be keys with values, got {value!r}")
    return value


def _list(value: object, place: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise ResultsError(f"{place} must be a list with an entry, got {value!r}")
    return value


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise ResultsError(f"{place} must be text, got {value!r}; put it in quotation marks")
    return value
