# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Looks through a dataset: what is broken, file by file, and what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from quantv2x_ros.core.geometry.pose import PoseError, matrix_from_v2x
from quantv2x_ros.data.agent_reader import is_infrastructure, label_of
from quantv2x_ros.data.agent_yaml import AgentRecord, ObjectRecord, read_agent_yaml
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.foreign_layouts import refuse_foreign
from quantv2x_ros.data.frame import read_cloud
from quantv2x_ros.data.layout import (
    CLOUD_SUFFIXES,
    LABEL_SUFFIXES,
    AgentFiles,
    files_below,
    has_suffix,
    list_files,
    scenario_folders,
)
from quantv2x_ros.data.scenario import refuse_bag
from quantv2x_ros.data.v2x_real import CLASSES
from quantv2x_ros.doctor.census import Census


def print_census(census: Census, console: Console | None = None) -> None:
    """Print what a dataset holds, what is odd, and what is broken."""
    console = console or Console(soft_wrap=True)
    found = census.as_dict()
    table = Table(title=str(census.root))
    table.add_column("")
    table.add_column("number", justify="right")
    splits = ", ".join(f"{name or 'no split'} {count}" for name, count in found["splits"].items())
    rows = [
        (f"scenarios ({splits})" if splits else "scenarios", found["scenarios"]),
        *((f"agents: {kind}", count) for kind, count in found["agents"].items()),
        ("frames", found["frames"]),
        *((f"frames of {n} agents", count) for n, count in found["agents_per_frame"].items()),
        *((f"frames for mode {mode}", count) for mode, count in found["frames_by_mode"].items()),
        ("sweeps", found["agent_frames"]),
        ("points", found["points"]),
        *((f"{name}: labels", row["labels"]) for name, row in found["objects"].items()),
        *((f"{name}: objects", row["objects"]) for name, row in found["objects"].items()),
        *((f"ignored: {name}", count) for name, count in found["ignored_types"].items()),
        ("broken", len(census.broken)),
    ]
    for name, count in rows:
        table.add_row(name, f"{count:,}")
    console.print(table)
    for note in found["notes"]:
        console.print(f"note: {note}", markup=False, highlight=False)
    for error in census.broken:
        console.print(f"broken: {error}", markup=False, highlight=False)


SPLITS = ("train", "validate", "test")

Progress = Callable[[int, int], object]


def examine_dataset(root: Path, *, clouds: bool = True, progress: Progress | None = None) -> Census:
    """Read every file of a dataset.

    Args:
        root: A dataset in the V2X-Real or OPV2V layout, a split of one, or a scenario.
        clouds: Read the clouds as well; without, only labels are read.
        progress: Called with the number of agent frames done and of all.

    Returns:
        What there is and what is broken. A folder without any scenario is broken, too.
    """
    census = Census(root)
    census.broken += _refusals(root)
    if not root.is_dir():
        return census
    census.broken += _empty_folders(root)
    listed = []
    for folder in scenario_folders(root):
        files = list_files(folder, census.broken)
        if files:
            listed.append((folder, files))
            census.add_scenario(_split_of(root, folder), files)
    total = sum(len(table) for _, files in listed for table in files.values())
    done = 0
    for folder, files in listed:
        for agent, table in files.items():
            for timestamp, pair in table.items():
                _examine(census, folder, agent, timestamp, pair, clouds)
                done += 1
                if progress is not None:
                    progress(done, total)
    if not listed and not census.broken:
        census.broken.append(
            DatasetError(root, "there is no scenario in it", "Give a dataset or one of its splits")
        )
    return census


def _refusals(root: Path) -> Iterator[DatasetError]:
    """Say what is no dataset that can be read, as a whole."""
    try:
        refuse_bag(root)
        if not root.is_dir():
            raise DatasetError(root, "there is no such folder", "Check the path")
        refuse_foreign(root)
    except DatasetError as error:
        yield error


def _examine(
    census: Census, folder: Path, agent: str, timestamp: str, files: AgentFiles, clouds: bool
) -> None:
    """Read the two files of one agent at one time."""
    infrastructure = agent.startswith("-")
    try:
        record = read_agent_yaml(files.labels)
        infrastructure = is_infrastructure(record, agent)
        _check_pose(record, files.labels)
        census.add_agent_frame(folder, agent, timestamp, infrastructure)
    except DatasetError as error:
        census.broken.append(error)
    else:
        for item in record.objects:
            try:
                _add_object(census, folder, item, files)
            except DatasetError as error:
                census.broken.append(error)
    if clouds:
        try:
            points = read_cloud(files.cloud, infrastructure=infrastructure)
        except DatasetError as error:
            census.broken.append(error)
        else:
            census.add_cloud(files.cloud, len(points))


def _add_object(census: Census, folder: Path, item: ObjectRecord, files: AgentFiles) -> None:
    label = label_of(item, files)
    if label is None:
        census.ignored[str(item.obj_type)] += 1
        return
    if min(item.extent) <= 0.0:
        raise DatasetError(
            files.labels,
            f"object {item.object_id} has no size: extent {list(item.extent)}",
            "Correct the size, or remove the object",
        )
    census.add_object(folder, item.object_id, CLASSES[label - 1])


def _check_pose(record: AgentRecord, path: Path) -> None:
    try:
        matrix_from_v2x(record.lidar_pose)
    except PoseError as error:
        raise DatasetError(path, str(error), "Correct lidar_pose") from error


def _empty_folders(root: Path) -> Iterator[DatasetError]:
    """Find splits without a scenario, and folders that hold labels but not one cloud."""
    scenarios = scenario_folders(root)
    for split in SPLITS:
        folder = root / split
        if folder.is_dir() and not any(path.is_relative_to(folder) for path in scenarios):
            yield DatasetError(
                folder, "the split holds no scenario", "Copy its scenarios, or remove the folder"
            )
    with_clouds, labelled = set(), set()
    for path in files_below(root, (*CLOUD_SUFFIXES, *LABEL_SUFFIXES)):
        if has_suffix(path, CLOUD_SUFFIXES):
            with_clouds.add(path.parent)
        elif path.stem.replace(".", "").isdigit():
            labelled.add(path.parent)
    for folder in sorted(labelled - with_clouds):
        yield DatasetError(
            folder, "it holds labels but not one cloud (.bin or .pcd)", "Copy the clouds, too"
        )


def _split_of(root: Path, folder: Path) -> str:
    """Name the split that a scenario belongs to; empty where the layout does not tell."""
    parts = (root.name, *folder.relative_to(root).parts)
    return next((part for part in parts if part in SPLITS), "")
