# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The index of results, and what is said of a wrong one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from quantv2x_ros.results.files import ResultsError
from quantv2x_ros.results.index import read_index

INDEX = """
title: Results
introduction: What was measured.
groups:
  - heading: The link
    tables:
      - heading: Losses
        sentence: What losses cost.
        kind: link
        file: link.json
      - heading: Crowds
        sentence: What peers add.
        kind: cooperation
        files: {few: [alone.json, peers.json], many: [crowd.json, crowds.json]}
        options: {overlaps: "0.5"}
"""


def test_tables_name_their_files(tmp_path: Path) -> None:
    path = tmp_path / "index.yaml"
    path.write_text(INDEX)
    index = read_index(path)
    (group,) = index.groups
    losses, crowds = group.tables
    assert losses.files == {"": ("link.json",)}
    assert crowds.files["few"] == ("alone.json", "peers.json")
    assert crowds.options == {"overlaps": "0.5"}
    names = {"link.json", "alone.json", "peers.json", "crowd.json", "crowds.json"}
    assert index.file_names == names


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: link", "sort: link", "The link has the key sort; known are heading, sentence,"),
        ("        kind: link\n", "", "The link has no kind"),
        ("file: link.json", "file: 3", "The link: Losses: files must be a list"),
        ("file: link.json", "files: {}", "Losses has no file"),
        ("title: Results", "title: 3", "title must be text, got 3; put it in quotation marks"),
        ('"0.5"', "0.5", "The link: Crowds: options must be text, got 0.5"),
        ("groups:", "groups: []\nothers:", "has the key others"),
        ("title: Results", "title: [", "is not YAML"),
    ],
)
def test_a_wrong_index_is_one_sentence(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "index.yaml"
    path.write_text(INDEX.replace(old, new, 1))
    with pytest.raises(ResultsError, match=re.escape(message)) as error:
        read_index(path)
    assert str(error.value).startswith(str(path))


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"index\.yaml: cannot be read"):
        read_index(tmp_path / "index.yaml")
