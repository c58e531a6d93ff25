# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The provenance of a measurement: bundle, date, processor and command.

Every command that measures writes it beside its numbers, as the entry `provenance` of its JSON.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from quantv2x_ros import __version__
from quantv2x_ros.environment.machine import describe_machine

#: Entry of a result's JSON that holds the provenance.
KEY = "provenance"
_PROGRAM = "python -m quantv2x_ros"


class ProvenanceError(ValueError):
    """A provenance with an entry that is missing, unknown or of another type."""


@dataclass(frozen=True)
class Provenance:
    """Where the numbers of a result come from; a text that is not known is empty.

    Attributes:
        bundle: name of the model bundle.
        bundle_version: version of the bundle.
        date: when the measurement ended, UTC, as in 2026-11-30T02:14:10Z.
        processor: model name of the processor.
        instruction_set: fastest INT8 instructions of the processor, or those that it was held to.
        command: command line, without the folders of absolute paths.
        package_version: version of this package.
        cores: number of processor cores; 0 where it is not known.
        transcribed: whether the numbers were copied from a document, and not written by a command.
        documented: date of the document that transcribed numbers come from, as in 2026-11-30.
    """

    bundle: str
    bundle_version: str
    date: str
    processor: str
    instruction_set: str
    command: str
    package_version: str = ""
    cores: int = 0
    transcribed: bool = False
    documented: str = ""

    @classmethod
    def parse(cls, entry: object) -> Provenance:
        """Read the provenance of a result.

        Args:
            entry: value of the entry `provenance` in a result's JSON.

        Raises:
            ProvenanceError: naming the entry that is missing, unknown or of another type.
        """
        if not isinstance(entry, Mapping):
            raise ProvenanceError(f"provenance must be an object with entries, got {entry!r}")
        unknown = sorted(set(entry) - {field.name for field in fields(cls)})
        if unknown:
            raise ProvenanceError(f"provenance has an unknown entry, {unknown[0]}")
        try:
            found = cls(**entry)
        except TypeError:
            missing = [name for name in _REQUIRED if name not in entry]
            raise ProvenanceError(f"provenance has no {missing[0]}") from None
        for field in fields(cls):
            value, kind = getattr(found, field.name), _TYPES[str(field.type)]
            if type(value) is not kind:
                raise ProvenanceError(
                    f"provenance.{field.name} must be of type {kind.__name__}, got {value!r}"
                )
        return found


_REQUIRED = ("bundle", "bundle_version", "date", "processor", "instruction_set", "command")
_TYPES: dict[str, type] = {"str": str, "int": int, "bool": bool}


def provenance(
    bundle: str, version: str, isa: str = "", arguments: Sequence[str] | None = None
) -> dict[str, Any]:
    """Describe where a result comes from, for its JSON.

    Args:
        bundle: name of the model bundle.
        version: version of the bundle.
        isa: instruction set that the libraries were held to; empty for none.
        arguments: arguments of the command line; None for those of this process.

    Returns:
        The entries of `Provenance`; the date is now.
    """
    machine = describe_machine(0, isa)
    words = [_without_folders(word) for word in (sys.argv[1:] if arguments is None else arguments)]
    found = Provenance(
        bundle=bundle,
        bundle_version=version,
        date=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        processor=machine["processor"],
        instruction_set=machine["instruction_set"],
        command=f"{_PROGRAM} {shlex.join(words)}",
        package_version=__version__,
        cores=machine["cores"],
    )
    return {
        name: value
        for name, value in asdict(found).items()
        if name not in ("transcribed", "documented")
    }


def _without_folders(word: str) -> str:
    """Shorten an argument that is a path outside the current folder to the path's last part."""
    option, sign, value = word.rpartition("=") if word.startswith("-") else ("", "", word)
    if value.startswith(("/", "~", "../")):
        value = Path(value).name or value
    return f"{option}{sign}{value}"
