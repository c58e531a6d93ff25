# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of the package, and the scene that is simulated once."""

from __future__ import annotations

import pytest

from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.environment import resources
from quantv2x_ros.environment.resources import ResourceError, find_bundle, shared_folder
from quantv2x_ros.graph.replay_source import default_scene


def test_folders_of_the_package_are_found():
    assert (shared_folder("config") / "fastdds_large_clouds.xml").is_file()
    with pytest.raises(ResourceError, match="folder of_gold"):
        shared_folder("of_gold")


@pytest.fixture
def engines(tmp_path, monkeypatch):
    """A function that makes bundles' folders and has them found."""
    monkeypatch.setattr(resources, "shared_folder", lambda name: tmp_path)

    def make(*names):
        for name in names:
            (tmp_path / name).mkdir()
            (tmp_path / name / "manifest.yaml").touch()
        return tmp_path

    return make


def test_a_bundle_is_a_folder_or_a_name(engines, tmp_path):
    root = engines("small", "large")
    assert find_bundle("large") == root / "large"
    assert find_bundle(str(tmp_path / "small")) == tmp_path / "small"


def test_the_only_bundle_is_the_default_one(engines):
    root = engines("only")
    assert find_bundle("") == root / "only"


def test_of_several_bundles_the_one_called_default_is(engines):
    root = engines("default", "other")
    assert find_bundle("") == root / "default"


def test_without_a_default_the_bundles_are_named(engines):
    engines("one", "two")
    with pytest.raises(ResourceError, match="one, two"):
        find_bundle("")


def test_where_there_is_no_bundle_that_is_said(engines):
    engines()
    with pytest.raises(ResourceError, match="there is no model bundle"):
        find_bundle("")


def test_an_unknown_bundle_is_refused_with_those_there_are(engines):
    engines("one", "two")
    with pytest.raises(ResourceError, match=r"'three'.*one, two"):
        find_bundle("three")


def test_the_default_scene_is_made_once(tmp_path):
    said = []
    first = default_scene(2, frames=1, folder=tmp_path, announce=said.append)
    written = (first / "1" / "000000.bin").stat().st_mtime_ns
    again = default_scene(2, frames=1, folder=tmp_path, announce=said.append)
    assert again == first
    assert len(said) == 1
    assert (again / "1" / "000000.bin").stat().st_mtime_ns == written
    assert set(Scenario.open(first).agents) == {"1", "-1"}
    assert [path.name for path in tmp_path.iterdir()] == [first.name], "nothing partial is left"


def test_another_scene_has_another_place(tmp_path):
    scenes = {
        default_scene(agents, seed=seed, frames=1, folder=tmp_path)
        for agents, seed in ((1, 5), (1, 6), (2, 5))
    }
    assert len(scenes) == 3
