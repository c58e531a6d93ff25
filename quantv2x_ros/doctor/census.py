# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a dataset holds: agents, frames, objects by class, and what is odd about it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.layout import AgentFiles
from quantv2x_ros.data.modes import MODES
from quantv2x_ros.data.v2x_real import CLASSES

_NAMED = 5  # of many, so many are named


@dataclass
class Census:
    """Counts, gathered file by file.

    Attributes:
        root: The dataset.
        broken: What cannot be used, and why.
        ignored: Objects of types that do not count, by type.
        splits: Scenarios by split.
        points: Points of all clouds that were read.
    """

    root: Path
    broken: list[DatasetError] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    points: int = 0

    def __post_init__(self) -> None:
        """Start with nothing."""
        self._labels: Counter[str] = Counter()
        self._classes: dict[tuple[Path, int], set[str]] = defaultdict(set)
        self._kinds: dict[tuple[Path, str], Counter[bool]] = defaultdict(Counter)
        self._frames: dict[tuple[Path, str], list[bool]] = defaultdict(list)
        self._notes: list[str] = []

    def add_scenario(self, split: str, files: Mapping[str, Mapping[str, AgentFiles]]) -> None:
        """Count a scenario, and compare its agents' timestamps."""
        self.splits[split] += 1
        stamps = {stamp for table in files.values() for stamp in table}
        for table in files.values():
            missing = sorted(stamps - table.keys(), key=float)
            if missing:
                folder = next(iter(table.values())).labels.parent
                self._notes.append(
                    f"{folder}: {len(missing)} of {len(stamps)} frames are not there:"
                    f" {_some(missing)}"
                )

    def add_agent_frame(
        self, folder: Path, agent: str, timestamp: str, infrastructure: bool
    ) -> None:
        """Count one agent at one time."""
        self._kinds[folder, agent][infrastructure] += 1
        self._frames[folder, timestamp].append(infrastructure)

    def add_cloud(self, path: Path, points: int) -> None:
        """Count a cloud's points."""
        self.points += points
        if points == 0:
            self._notes.append(f"{path}: the cloud has no point")

    def add_object(self, folder: Path, object_id: int, name: str) -> None:
        """Count one label of an object."""
        self._labels[name] += 1
        self._classes[folder, object_id].add(name)

    def notes(self) -> list[str]:
        """Return what is odd but can be used."""
        notes = list(self._notes)
        for (folder, object_id), names in self._classes.items():
            if len(names) > 1:
                notes.append(
                    f"{folder}: object {object_id} is labelled {' and '.join(sorted(names))}; the"
                    " ego's label counts, else the first agent's"
                )
        for (folder, agent), kinds in self._kinds.items():
            if len(kinds) > 1:
                notes.append(f"{folder}: agent {agent} is a vehicle at times, a roadside unit else")
        absent = [name for name in CLASSES if not self._labels[name]]
        if absent and self._frames:
            notes.append(
                f"no object of class {', '.join(absent)}: it can be neither learned nor"
                " measured here"
            )
        return notes

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        distinct = Counter(name for names in self._classes.values() for name in names)
        kinds = Counter(kind for counts in self._kinds.values() for kind in counts)
        return {
            "data": str(self.root),
            "scenarios": sum(self.splits.values()),
            "splits": dict(self.splits),
            "agents": {"vehicle": kinds[False], "infrastructure": kinds[True]},
            "frames": len(self._frames),
            "agent_frames": sum(map(len, self._frames.values())),
            "agents_per_frame": {
                str(count): number
                for count, number in sorted(Counter(map(len, self._frames.values())).items())
            },
            "frames_by_mode": {mode: self._possible(mode) for mode in MODES},
            "points": self.points,
            "objects": {
                name: {"labels": self._labels[name], "objects": distinct[name]} for name in CLASSES
            },
            "ignored_types": dict(self.ignored),
            "broken": [
                {"path": str(error.path), "problem": error.problem, "remedy": error.remedy}
                for error in self.broken
            ],
            "notes": self.notes(),
        }

    def _possible(self, mode: str) -> int:
        """Number of frames with an ego for a mode."""
        roadside = mode in ("ic", "i2i")
        return sum(roadside in kinds for kinds in self._frames.values())


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
