# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""JSON files of results, with their provenance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quantv2x_ros.environment.provenance import KEY, Provenance, ProvenanceError


class ResultsError(ValueError):
    """A file of results that cannot be used."""


@dataclass(frozen=True)
class ResultFile:
    """The result of one run of a measuring command.

    Attributes:
        name: name of the file.
        content: entries of the JSON, without the provenance.
        provenance: bundle, date, processor and command.
    """

    name: str
    content: dict[str, Any]
    provenance: Provenance


def read_result(path: Path) -> ResultFile:
    """Read the JSON of a measuring command.

    Args:
        path: the file.

    Raises:
        ResultsError: naming the file, where it is missing, no JSON, or without a provenance.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from error
    except ValueError as error:
        raise ResultsError(f"{path} is not JSON: {error}; {_REMEDY}") from error
    if not isinstance(content, dict) or KEY not in content:
        raise ResultsError(f"{path} has no entry '{KEY}'; {_REMEDY}")
    try:
        origin = Provenance.parse(content.pop(KEY))
    except ProvenanceError as error:
        raise ResultsError(f"{path}: {error}; {_REMEDY}") from error
    return ResultFile(path.name, content, origin)


_REMEDY = "write it with a measuring command, such as `evaluate --json FILE`"
