# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Findings, and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console

OK, WARNING, ERROR = "ok", "warning", "error"
_STYLES = {OK: "green", WARNING: "yellow", ERROR: "red"}


class FindingError(ValueError):
    """A finding that would help nobody."""


@dataclass(frozen=True)
class Finding:
    """What was found about one thing.

    Attributes:
        level: `OK`, `WARNING` (works, but not well) or `ERROR` (will not work).
        subject: what it is about, such as ``clock``.
        text: what was found.
        remedy: what to do; empty if and only if all is well.
    """

    level: str
    subject: str
    text: str
    remedy: str = ""

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            FindingError: for an unknown level, or a trouble without its remedy.
        """
        if self.level not in _STYLES:
            raise FindingError(f"level: got {self.level!r}, allowed are {', '.join(_STYLES)}")
        if (self.level == OK) != (not self.remedy):
            raise FindingError(f"{self.subject}: a remedy belongs to every trouble, and only there")


def has_errors(findings: Sequence[Finding]) -> bool:
    """Whether anything will not work."""
    return any(finding.level == ERROR for finding in findings)


def as_dict(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings for JSON."""
    return {
        "findings": [asdict(finding) for finding in findings],
        "errors": sum(finding.level == ERROR for finding in findings),
        "warnings": sum(finding.level == WARNING for finding in findings),
    }


def print_findings(findings: Sequence[Finding], console: Console | None = None) -> None:
    """Print one line a finding, and its remedy below it."""
    console = console or Console(soft_wrap=True)
    for finding in findings:
        console.print(f"{finding.level:8}", style=_STYLES[finding.level], end="")
        console.print(f"{finding.subject}: {finding.text}", markup=False, highlight=False)
        if finding.remedy:
            console.print(f"        → {finding.remedy}", markup=False, highlight=False)
