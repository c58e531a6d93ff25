# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which files of a scenario's folder are whose, in the three layouts that are known."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from quantv2x_ros.data.errors import DatasetError

#: The first that is there counts.
CLOUD_SUFFIXES = (".bin", ".pcd")
_TIMESTAMP = re.compile(r"\d+(\.\d+)?")
_FLAT_CLOUD = re.compile(r"(?P<agent>.+)_lidar")
_FLAT_TIMESTAMP = "000000"
_MISSING_REMEDY = "Restore the file from the dataset, or remove its counterpart"


@dataclass(frozen=True)
class AgentFiles:
    """The two files of one agent at one time.

    Attributes:
        labels: The `.yaml` with pose and objects.
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
    for path in sorted(root.glob("*_lidar.*")):
        match = _FLAT_CLOUD.fullmatch(path.stem)
        if match and path.suffix in CLOUD_SUFFIXES:
            clouds.setdefault(match["agent"], path)
    if not clouds:
        return {}
    numbered = {path.stem: path for path in root.glob("*.yaml") if _is_number(path.stem)}
    labels = {agent: root / f"{agent}.yaml" for agent in clouds} | numbered
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
    for path in sorted(folder.iterdir()):  # .bin sorts before .pcd
        if _TIMESTAMP.fullmatch(path.stem):
            if path.suffix == ".yaml":
                labels[path.stem] = path
            elif path.suffix in CLOUD_SUFFIXES:
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


def _missing_labels(path: Path, cloud: Path) -> DatasetError:
    return DatasetError(path, f"the labels of {cloud.name} are missing", _MISSING_REMEDY)


def _missing_cloud(path: Path, labels: Path) -> DatasetError:
    return DatasetError(path, f"the cloud of {labels.name} is missing", _MISSING_REMEDY)


def scenario_folders(root: Path) -> list[Path]:
    """Find folders that hold clouds of agents, without judging whether they are complete.

    Hidden folders do not count: tools keep what they have not finished in them.
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
        yield from (Path(folder, name) for name in names if name.endswith(suffixes))


def agent_order(agent: str) -> tuple[int, int, str]:
    """Vehicles 0, 1, 2, …, then infrastructure -1, -2, …, then other names."""
    if not _is_number(agent):
        return 2, 0, agent
    number = int(agent)
    return int(number < 0), abs(number), agent


def _is_number(name: str) -> bool:
    return re.fullmatch(r"-?\d+", name) is not None
