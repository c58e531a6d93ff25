# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bags as users have them: without metadata, in parts, compressed, cut, of ROS 1, or not there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Ros2Writer
from rosbags.typesys import Stores, get_typestore

from quantv2x_ros.data.bag import BagReader
from quantv2x_ros.data.bag_files import is_bag_like
from quantv2x_ros.data.bag_writer import STORAGES, BagWriter
from quantv2x_ros.data.errors import BagError, DatasetError
from quantv2x_ros.data.message_types import deserialize, message_types
from quantv2x_ros.data.recorded_messages import POINTS_TYPE, POSE_TYPE, serialize_cloud
from quantv2x_ros.data.scenario import Scenario, find_scenarios
from quantv2x_ros.doctor.dataset_doctor import examine_dataset
from quantv2x_ros.graph.replay_source import ReplaySource

BOTH = pytest.mark.parametrize("storage", sorted(STORAGES))
SECOND = 1_000_000_000
SUFFIX = {"mcap": "mcap", "sqlite3": "db3"}


def cloud(number):
    points = np.full((3, 4), number, np.float32)
    return serialize_cloud(points, "lidar", number * SECOND)


def write(path, storage, numbers=range(1, 6)):
    """A bag with a cloud a second."""
    with BagWriter(path, storage) as bag:
        bag.add_topic("/points", POINTS_TYPE)
        bag.add_topic("/pose", POSE_TYPE)
        for number in numbers:
            bag.write("/points", number * SECOND, cloud(number))
    return path


def stamps(path):
    with BagReader(path) as bag:
        assert (bag.topics["/points"].msgtype, bag.topics["/pose"].count) == (POINTS_TYPE, 0)
        messages = list(bag.messages())
        assert bag.topics["/points"].count == len(messages)
        assert (bag.start, bag.end) == (messages[0].stamp, messages[-1].stamp)
    assert [message.data for message in messages] == [cloud(m.stamp // SECOND) for m in messages]
    return [message.stamp // SECOND for message in messages]


def refusal(path):
    with pytest.raises(BagError) as caught, BagReader(path) as bag:
        list(bag.messages())
    return str(caught.value)


@BOTH
def test_a_folder_without_metadata_is_read(tmp_path, storage):
    path = write(tmp_path / "bag", storage)
    (path / "metadata.yaml").unlink()
    assert stamps(path) == [1, 2, 3, 4, 5]


@BOTH
def test_parts_without_metadata_are_read_in_order_of_time(tmp_path, storage):
    write(tmp_path / "a", storage, range(4, 7))
    write(tmp_path / "b", storage, range(1, 4))
    (tmp_path / "bag").mkdir()
    suffix = SUFFIX[storage]
    for number, name in enumerate("ab"):
        source = tmp_path / name / f"{name}.{suffix}"
        source.rename(tmp_path / "bag" / f"bag_{number}.{suffix}")
    assert stamps(tmp_path / "bag") == [1, 2, 3, 4, 5, 6]


def test_a_folder_of_several_bags_is_not_taken_for_one(tmp_path):
    for name in ("monday", "tuesday"):
        path = write(tmp_path / name, "mcap")
        (path / f"{name}.mcap").rename(tmp_path / f"{name}.mcap")
    assert (
        "it has no metadata.yaml, and holds files of several bags: monday, tuesday. Give one"
        in (refusal(tmp_path))
    )
    assert stamps(tmp_path / "monday.mcap") == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE])
@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_compressed_bag_is_read_with_its_metadata_and_named_without(tmp_path, storage, mode):
    path = tmp_path / "bag"
    writer = Ros2Writer(path, version=9, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        for topic, kind in (("/points", POINTS_TYPE), ("/pose", POSE_TYPE)):
            connection = writer.add_connection(topic, kind, typestore=message_types())
            for number in range(1, 4) if topic == "/points" else ():
                writer.write(connection, number * SECOND, cloud(number))
    assert stamps(path) == [1, 2, 3]
    (file,) = [item for item in path.iterdir() if item.name != "metadata.yaml"]
    assert is_bag_like(file)
    if mode == CompressionMode.FILE:
        assert f"{file.name} is compressed" not in (text := refusal(file))
        assert f"it is compressed as a whole). Give its folder {path}" in text
        (path / "metadata.yaml").unlink()
        assert f"Unpack it, `zstd -d {file.name}`" in refusal(file)
        assert f"{file.name} is compressed as a whole. Unpack it" in refusal(path)
    else:
        (path / "metadata.yaml").unlink()
        assert "its messages are compressed one by one" in refusal(path)


def test_chunks_of_an_mcap_file_may_be_compressed(tmp_path):
    path = tmp_path / "bag"
    writer = Ros2Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        writer.add_connection("/pose", POSE_TYPE, typestore=message_types())
        connection = writer.add_connection("/points", POINTS_TYPE, typestore=message_types())
        writer.write(connection, SECOND, cloud(1))
    assert stamps(path / "bag.mcap") == [1]


@BOTH
@pytest.mark.parametrize("is_folder", [True, False])
def test_a_cut_file_is_called_cut_with_what_mends_it(tmp_path, storage, is_folder):
    path = write(tmp_path / "bag", storage)
    (file,) = path.glob(f"*.{SUFFIX[storage]}")
    content = file.read_bytes()
    for kept in (0.05, 0.5, 0.98):
        file.write_bytes(content[: int(kept * len(content))])
        text = refusal(path if is_folder else file)
        assert " is cut: " in text
        assert f"{int(kept * len(content)):,}" in text
        assert ("mcap recover bag.mcap" if storage == "mcap" else "sqlite3 bag.db3 ") in text
        assert "`ros2 bag reindex` alone does not" in text
    file.write_bytes(b"")
    assert "is empty (0 bytes)" in refusal(path if is_folder else file)


@BOTH
def test_a_git_lfs_pointer_is_called_one(tmp_path, storage):
    path = write(tmp_path / "bag", storage)
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123456789\n"
    (file,) = path.glob(f"*.{SUFFIX[storage]}")
    file.write_bytes(pointer)
    for given in (path, file):
        text = refusal(given)
        assert f"is a Git LFS pointer of {len(pointer)} bytes" in text
        assert "a file of 123,456,789 bytes" in text
        assert "git lfs pull" in text
        assert "reindex" not in text
    write(tmp_path / "other", storage)
    (tmp_path / "other" / "metadata.yaml").write_bytes(pointer)
    assert "metadata.yaml is a Git LFS pointer" in refusal(tmp_path / "other")


@BOTH
def test_what_reindexing_mends_is_told_so(tmp_path, storage):
    path = write(tmp_path / "bag", storage)
    (path / "metadata.yaml").write_text("rosbag2_bagfile_information: [")
    assert "let `ros2 bag reindex` write its metadata.yaml anew" in refusal(path)


@BOTH
def test_a_file_under_a_wrong_name_is_told_by_its_beginning(tmp_path, storage):
    path = tmp_path / f"bag.{SUFFIX[storage]}"
    path.write_bytes(b"PK\x03\x04 an archive, say" + bytes(100))
    assert re.search(r"is no (MCAP|SQLite) file: it begins with b'PK", refusal(path))


def ros1_bag(path):
    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    with Ros1Writer(path) as bag:
        topics = {
            name: bag.add_connection(name, kind, typestore=store)
            for name, kind in (("/points", POINTS_TYPE), ("/pose", POSE_TYPE))
        }
        now = types["builtin_interfaces/msg/Time"](7, 8)
        header = types["std_msgs/msg/Header"](seq=3, stamp=now, frame_id="lidar")
        field = types["sensor_msgs/msg/PointField"]
        data = np.arange(6, dtype=np.float32)
        message = types[POINTS_TYPE](
            header, 1, 2, [field(n, 4 * i, 7, 1) for i, n in enumerate("xyz")], False, 12, 24,
            data.view(np.uint8), True,
        )  # fmt: skip
        bag.write(topics["/points"], SECOND, bytes(store.serialize_ros1(message, POINTS_TYPE)))
    return path


def test_a_ros_1_bag_is_called_one_and_its_remedy_works(tmp_path):
    path = ros1_bag(tmp_path / "drive.bag")
    text = refusal(path)
    assert "it is a ROS 1 bag" in text
    with pytest.raises(BagError, match="ROS 1 bag"):
        ReplaySource.find(str(path))
    command = re.search(r"`(rosbags-convert [^`]+)`", text)
    assert command is not None
    _, *arguments = command[1].split()
    tool = Path(sys.executable).with_name("rosbags-convert")
    subprocess.run([tool, *arguments], cwd=tmp_path, check=True, capture_output=True)
    with BagReader(tmp_path / "drive") as bag:
        (message,) = bag.messages(["/points"])
    read = deserialize(message.msgtype, message.data)
    assert (read.header.stamp.sec, read.header.frame_id, read.width) == (7, "lidar", 2)
    np.testing.assert_array_equal(read.data.view(np.float32), np.arange(6))


@pytest.mark.parametrize("name", ["bag.mcap", "bag.db3", "drive.bag", "bag.mcap.zstd", "run"])
def test_what_is_not_there_is_not_there(tmp_path, name):
    with pytest.raises(ValueError, match=rf"{name}: there is no such (bag|folder)"):
        ReplaySource.find(str(tmp_path / name))


def test_commands_that_read_datasets_say_that_a_bag_is_a_bag(tmp_path):
    path = write(tmp_path / "bag", "mcap")
    for given in (path, path / "bag.mcap"):
        with pytest.raises(DatasetError, match=r"it is a bag, no dataset.*replay:=PATH"):
            Scenario.open(given)
        with pytest.raises(DatasetError, match="it is a bag, no dataset"):
            find_scenarios(given)
        assert [error.problem for error in examine_dataset(given).broken] == [
            "it is a bag, no dataset"
        ]
    with pytest.raises(DatasetError, match="Choose one of the bags in it: bag"):
        ReplaySource.find(str(tmp_path))


def test_a_bag_beside_the_agents_of_a_scenario_makes_no_bag_of_it(small_scenario):
    root = small_scenario()
    (root / "made.mcap").write_bytes(b"")
    assert ReplaySource.find(str(root)).agents == ("1", "2", "-1")
