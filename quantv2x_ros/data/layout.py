# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which files of a scenario's folder are whose, in the layouts that are known."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.foreign_layouts import foreign_layout

#: The first that is there counts. Of all suffixes, capital letters are the same.
CLOUD_SUFFIXES = (".bin", ".pcd")
LABEL_SUFFIXES = (".yaml", ".yml")
_TIMESTAMP = re.compile(r"\d+(\.\d+)?")
_FLAT_CLOUD = re.compile(r"(?P<agent>.+)_lidar")
_FLAT_TIMESTAMP = "000000"
_MISSING_REMEDY = "Restore the file from the dataset, or remove its counterpart"


@dataclass(frozen=True)
class AgentFiles:
    """The two files of one agent at one time.

    Attributes:
        labels: The `.yaml` or `.yml` with pose and objects.
        cloud: The `.bin` or `.pcd` with the sweep.
    """

    labels: Path
    cloud: Path


def list_files(
    root: Path, broken: list[DatasetError] | None = None
) -> dict[str, dict[str, AgentFiles]]:
    """List the files of a scenario by agent and timestamp; empty if the folder is none.

    Args:
        root: The scenario's folder.
        broken: Receives an error for each cloud or yaml that lacks its counterpart, which is then
            left out; without it, the first one is raised.

    Raises:
        DatasetError: If a cloud or a yaml lacks its counterpart.
    """
    orphans: list[DatasetError] = []
    files = _flat_files(root, orphans) or _nested_files(root, orphans)
    if broken is None and orphans:
        raise orphans[0]
    if broken is not None:
        broken.extend(orphans)
    return files


def _flat_files(root: Path, orphans: list[DatasetError]) -> dict[str, dict[str, AgentFiles]]:
    """List a folder with one frame: `<agent>.yaml` and `<agent>_lidar.pcd`."""
    clouds: dict[str, Path] = {}
    labelled: dict[str, Path] = {}
    for path in sorted(root.iterdir()):
        match = _FLAT_CLOUD.fullmatch(path.stem)
        if match and has_suffix(path, CLOUD_SUFFIXES):
            clouds.setdefault(match["agent"], path)
        elif has_suffix(path, LABEL_SUFFIXES):
            labelled.setdefault(path.stem, path)
    if not clouds:
        return {}
    wanted = {agent: labelled.get(agent, root / f"{agent}.yaml") for agent in clouds}
    labels = wanted | {agent: path for agent, path in labelled.items() if _is_number(agent)}
    files = {}
    for agent, path in labels.items():
        if not path.is_file():
            orphans.append(_missing_labels(path, clouds[agent]))
        elif agent not in clouds:
            orphans.append(_missing_cloud(root / f"{agent}_lidar.pcd", path))
        else:
            files[agent] = {_FLAT_TIMESTAMP: AgentFiles(path, clouds[agent])}
    return files


def _nested_files(root: Path, orphans: list[DatasetError]) -> dict[str, dict[str, AgentFiles]]:
    """List a folder with a folder for each agent."""
    files = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        table = _agent_files(folder, orphans)
        if table:
            files[folder.name] = table
    return files


def _agent_files(folder: Path, orphans: list[DatasetError]) -> dict[str, AgentFiles]:
    labels: dict[str, Path] = {}
    clouds: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=_by_kind):
        if _TIMESTAMP.fullmatch(path.stem):
            if has_suffix(path, LABEL_SUFFIXES):
                labels.setdefault(path.stem, path)
            elif has_suffix(path, CLOUD_SUFFIXES):
                clouds.setdefault(path.stem, path)
    if not clouds:
        return {}
    suffix = next(iter(clouds.values())).suffix
    for stamp in sorted(labels.keys() ^ clouds.keys(), key=float):
        if stamp in clouds:
            orphans.append(_missing_labels(folder / f"{stamp}.yaml", clouds[stamp]))
        else:
            orphans.append(_missing_cloud(folder / f"{stamp}{suffix}", labels[stamp]))
    paired = sorted(labels.keys() & clouds.keys(), key=float)
    return {stamp: AgentFiles(labels[stamp], clouds[stamp]) for stamp in paired}


def has_suffix(path: Path, suffixes: tuple[str, ...]) -> bool:
    """Tell whether a file has one of some suffixes, in small or capital letters."""
    return path.suffix.lower() in suffixes


def _by_kind(path: Path) -> tuple[str, Path]:
    return path.suffix.lower(), path  # .bin before .pcd, .yaml before .yml


def _missing_labels(path: Path, cloud: Path) -> DatasetError:
    return DatasetError(path, f"the labels of {cloud.name} are missing", _MISSING_REMEDY)


def _missing_cloud(path: Path, labels: Path) -> DatasetError:
    return DatasetError(path, f"the cloud of {labels.name} is missing", _MISSING_REMEDY)


def scenario_folders(root: Path) -> list[Path]:
    """Find folders that hold clouds of agents, without judging whether they are complete.

    Hidden folders do not count: tools keep what they have not finished in them. Nor do datasets
    that have clouds, but another layout.
    """
    if not root.is_dir():
        return []
    found = set()
    for path in files_below(root, CLOUD_SUFFIXES):
        if _TIMESTAMP.fullmatch(path.stem):
            found.add(path.parent.parent)
        elif _FLAT_CLOUD.fullmatch(path.stem):
            found.add(path.parent)
    inside = [folder for folder in found if folder.is_relative_to(root)]
    return sorted(
        folder
        for folder in inside
        if not any(part.startswith(".") for part in folder.relative_to(root).parts)
        and not foreign_layout(folder)
    )


def files_below(root: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Find files by suffix, through links to folders too, each folder once."""
    entered = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        place = os.path.realpath(folder)
        if place in entered:  # a second link to it, or one that leads back up
            folders.clear()
            continue
        entered.add(place)
        folders.sort()
        yield from (Path(folder, name) for name in names if name.lower().endswith(suffixes))


def agent_order(agent: str) -> tuple[int, int, str]:
    """Vehicles 0, 1, 2, …, then infrastructure -1, -2, …, then other names."""
    if not _is_number(agent):
        return 2, 0, agent
    number = int(agent)
    return int(number < 0), abs(number), agent


def _is_number(name: str) -> bool:
    return re.fullmatch(r"-?\d+", name) is not None
