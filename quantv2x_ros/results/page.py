# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The page of results as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from quantv2x_ros.environment.provenance import Provenance
from quantv2x_ros.results.files import ResultFile, ResultsError, read_result
from quantv2x_ros.results.index import INDEX_FILE, TableEntry, read_index
from quantv2x_ros.results.kinds import KINDS

#: What is said of numbers that no command has written.
TRANSCRIBED = "measured before results were recorded as JSON"
#: What agents sent, by the way of fusion.
_SENT = {"features": "features", "late": "objects", "hybrid": "objects and features"}
_MARK = "<!-- Written by `python -m quantv2x_ros results`; change the files that it reads. -->"


def render_page(folder: Path) -> str:
    """Make the page of the results in a folder.

    Args:
        folder: holds the index and the JSON files that it names, and no others.

    Returns:
        Markdown.

    Raises:
        ResultsError: naming the file that is missing, unused, or has not what its table needs.
    """
    index = read_index(folder / INDEX_FILE)
    unused = sorted({path.name for path in folder.glob("*.json")} - index.file_names)
    if unused:
        raise ResultsError(
            f"{folder / unused[0]} is in no table; name it in {INDEX_FILE}, or remove it"
        )
    results = {name: read_result(folder / name) for name in sorted(index.file_names)}
    parts = [_MARK, f"# {index.title}", index.introduction]
    for group in index.groups:
        parts.append(f"## {group.heading}")
        for table in group.tables:
            parts += _table(table, results, folder)
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _table(entry: TableEntry, results: Mapping[str, ResultFile], folder: Path) -> list[str]:
    kind = KINDS.get(entry.kind)
    if kind is None:
        raise ResultsError(
            f"{folder / INDEX_FILE}: {entry.heading}: kind '{entry.kind}' is unknown; known are"
            f" {', '.join(KINDS)}"
        )
    contents = {
        label: [results[name].content for name in names] for label, names in entry.files.items()
    }
    named = ", ".join(str(folder / name) for names in entry.files.values() for name in names)
    try:
        text = kind.make(contents, entry.options)
    except KeyError as error:
        raise ResultsError(
            f"{named}: no entry {error}, which the table '{entry.heading}' of kind {entry.kind}"
            f" needs; write it with `{kind.command} --json FILE`"
        ) from error
    except (TypeError, AttributeError, ValueError, IndexError) as error:
        raise ResultsError(
            f"{named}: an entry has another form than the table '{entry.heading}' of kind"
            f" {entry.kind} needs ({error}); write it with `{kind.command} --json FILE`"
        ) from error
    picture = [f"![{entry.caption or entry.heading}]({entry.image})"] if entry.image else []
    prepare = [f"The data are made by\n\n```bash\n{entry.prepare}\n```"] if entry.prepare else []
    origins = [(label, results[name]) for label, names in entry.files.items() for name in names]
    return [
        f"### {entry.heading}",
        entry.sentence,
        text,
        *([entry.note] if entry.note else []),
        *picture,
        _origins(origins),
        *prepare,
    ]


def _origins(origins: Sequence[tuple[str, ResultFile]]) -> str:
    """List the provenance of a table's files; files of the same provenance share a line."""
    labels: dict[tuple[Provenance, str], list[str]] = {}
    for label, result in origins:
        known = labels.setdefault((result.provenance, sent_by(result.content)), [])
        if label and label not in known:
            known.append(label)
    lines = []
    for (origin, sent), names in labels.items():
        prefix = f"{'; '.join(names)}: " if names and len(labels) > 1 else ""
        lines.append(f"* {prefix}{describe(origin)}{sent}")
    return "\n".join(lines)


def sent_by(content: Mapping[str, Any]) -> str:
    """Word how agents sent in an evaluation; empty where they did not, or it is not known.

    Args:
        content: Entries of a result's JSON.
    """
    if content.get("agents") == 1 or not {"fusion", "radio"} <= content.keys():
        return ""
    law = "under no law" if content["radio"] == "none" else f"under the law of {content['radio']}"
    return f" Sent: {_SENT[content['fusion']]}, {law}, unless a row says otherwise."


def describe(origin: Provenance) -> str:
    """Word a provenance: bundle, date, processor and command."""
    bundle = f"bundle {origin.bundle}" if origin.bundle else "bundle not recorded"
    version = (
        f"version {origin.bundle_version}" if origin.bundle_version else "version not recorded"
    )
    date = origin.date[:10] or "date not recorded"
    if origin.documented:
        date = f"documented on {origin.documented}"
    if origin.transcribed:
        date = f"{date}, {TRANSCRIBED}"
    processor = origin.processor or "processor not recorded"
    if origin.instruction_set:
        processor = f"{processor}, {origin.instruction_set}"
    if origin.cores:
        processor = f"{processor}, {origin.cores} core{'s' * (origin.cores > 1)}"
    command = f"`{origin.command}`" if origin.command else "command not recorded"
    return f"{bundle}, {version}; {date}; {processor}; {command}."
