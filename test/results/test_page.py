# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""docs/results.md is what the command makes of the committed JSON; broken JSON is named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.environment.provenance import provenance
from quantv2x_ros.results.files import ResultsError, read_result
from quantv2x_ros.results.index import INDEX_FILE, read_index
from quantv2x_ros.results.page import TRANSCRIBED, render_page

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "docs" / "results"

INDEX = """
title: Results
introduction: What was measured.
groups:
  - heading: What is found
    tables:
      - heading: Scenes
        sentence: Ten scenes.
        kind: precision
        files: {alone: alone.json, with peers: peers.json}
"""


def evaluation(vehicle: float, version: str = "3", **changes: Any) -> dict[str, Any]:
    """Returns what `evaluate --json` writes, as far as the table needs it."""
    arguments = ["evaluate", "--data", "/somewhere/else/scenes", "--json", f"{vehicle}.json"]
    return {
        "AP": {"vehicle": {"0.3": vehicle, "0.5": None}},
        "mAP": {"0.3": vehicle, "0.5": None},
        "provenance": {**provenance("small", version, arguments=arguments), **changes},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of results with two evaluations."""
    found = tmp_path / "results"
    found.mkdir()
    (found / INDEX_FILE).write_text(INDEX)
    (found / "alone.json").write_text(json.dumps(evaluation(0.5)))
    (found / "peers.json").write_text(json.dumps(evaluation(0.75)))
    return found


def test_the_committed_page_is_made_of_the_committed_results() -> None:
    written = (REPOSITORY / "docs" / "results.md").read_text(encoding="utf-8")
    assert written == render_page(FOLDER), "run `python -m quantv2x_ros results docs/results`"


def test_intervals_and_further_series_are_shown(folder: Path) -> None:
    for name in ("alone", "peers"):
        content = json.loads((folder / f"{name}.json").read_text())
        content["intervals"] = {"mean": {"0.3": [0.4, 0.6125], "0.5": [None, None]}}
        content["sweeps"] = {
            series: [{"value": 0.0, "first_number": 0, "mAP": {"0.3": value, "0.5": 0.25}}]
            for series, value in (("loss", 0.5), ("loss_late", 0.375), ("loss_hybrid", 0.625))
        }
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / INDEX_FILE).write_text(
        INDEX
        + """
        options: {overlaps: "0.3"}
      - heading: Lost
        sentence: What is lost.
        kind: treatment
        file: peers.json
        options:
          series: loss
          treated: loss_hybrid
          value: lost
          as_is: features
          treatment: both
          further: "loss_late: boxes"
"""
    )
    page = render_page(folder)
    assert "| mean on other scenes, 95 % | 0.400-0.613 | 0.400-0.613 |" in page
    assert "| lost | mAP@0.3 features | mAP@0.3 both | mAP@0.3 boxes | mAP@0.5 features |" in page
    assert "| 0 | 0.500 | 0.625 | 0.375 | 0.250 | 0.250 | 0.250 |" in page


def test_the_readme_shows_the_results() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for row, file in (("with peers", "together.json"), ("ego alone", "alone.json")):
        found = read_result(FOLDER / file).content["AP"]
        numbers = [f"{found[name]['0.5']:.3f}" for name in ("vehicle", "truck", "pedestrian")]
        assert f"| {row} | {' | '.join(numbers)} |" in text


def test_no_result_holds_a_path_of_a_machine() -> None:
    def texts(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            value = [*value, *value.values()]
        if isinstance(value, list):
            for item in value:
                yield from texts(item)
        elif isinstance(value, str):
            yield value

    names = [*FOLDER.glob("*.json")]
    assert len(names) > 20
    for path in names:
        for text in texts(json.loads(path.read_text(encoding="utf-8"))):
            assert not re.search(r"(?<![\w.])[~/]\w", text), f"{path.name}: {text}"


def test_each_table_has_heading_sentence_and_provenance(folder: Path) -> None:
    text = render_page(folder)
    assert "### Scenes\n\nTen scenes.\n\n| class | alone, AP@0.3 |" in text
    assert "| vehicle | 0.500 | – | 0.750 | – |" in text
    day = evaluation(0.5)["provenance"]["date"][:10]
    assert f"* alone: bundle small, version 3; {day}; " in text
    assert "`python -m quantv2x_ros evaluate --data scenes --json 0.75.json`." in text
    assert TRANSCRIBED not in text


def test_numbers_that_no_command_wrote_are_marked(folder: Path) -> None:
    content = evaluation(0.5, version="", date="", command="", processor="", transcribed=True)
    content["provenance"]["documented"] = "2026-11-22"
    (folder / "alone.json").write_text(json.dumps(content))
    (line,) = [line for line in render_page(folder).splitlines() if line.startswith("* alone")]
    assert f"documented on 2026-11-22, {TRANSCRIBED}; " in line
    for part in ("version not recorded", "processor not recorded", "command not recorded"):
        assert part in line


def test_files_of_one_provenance_share_a_line(folder: Path) -> None:
    same = evaluation(0.5)["provenance"]
    for name in ("alone", "peers"):
        content = {**evaluation(0.5), "provenance": same}
        (folder / f"{name}.json").write_text(json.dumps(content))
    lines = [line for line in render_page(folder).splitlines() if line.startswith("* ")]
    assert len(lines) == 1
    assert lines[0].startswith("* bundle small, version 3; ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "alone.json is not JSON"),
        ("[]", "alone.json has no entry 'provenance'; write it with a measuring command"),
        ('{"AP": {}}', "alone.json has no entry 'provenance'"),
        (json.dumps({"provenance": {"bundle": "x"}}), "provenance has no bundle_version"),
        (
            json.dumps({"runs": [], "provenance": provenance("x", "1", arguments=[])}),
            "no entry 'AP', which the table 'Scenes' of kind precision needs; write it with"
            " `evaluate --json FILE`",
        ),
        (
            json.dumps({"AP": [1], "mAP": {}, "provenance": provenance("x", "1", arguments=[])}),
            "an entry has another form than the table 'Scenes' of kind precision needs",
        ),
    ],
    # their contents hold the time: workers that are started over a second would see other tests
    ids=["no JSON", "a list", "no provenance", "no version", "another kind", "another form"],
)
def test_a_broken_or_foreign_file_is_named(folder: Path, content: str, message: str) -> None:
    (folder / "alone.json").write_text(content)
    with pytest.raises(ResultsError, match=re.escape(message)) as error:
        render_page(folder)
    assert str(folder / "alone.json") in str(error.value)


def test_missing_and_unused_files_are_named(folder: Path) -> None:
    (folder / "other.json").write_text("{}")
    with pytest.raises(ResultsError, match=r"other\.json is in no table"):
        render_page(folder)
    (folder / "other.json").unlink()
    (folder / "peers.json").unlink()
    with pytest.raises(ResultsError, match=r"peers\.json: cannot be read"):
        render_page(folder)


def test_an_unknown_kind_is_named(folder: Path) -> None:
    (folder / INDEX_FILE).write_text(INDEX.replace("kind: precision", "kind: prcision"))
    with pytest.raises(ResultsError, match="Scenes: kind 'prcision' is unknown; known are"):
        render_page(folder)


def test_the_command_writes_the_page_beside_the_folder(folder: Path) -> None:
    result = CliRunner().invoke(app, ["results", str(folder)])
    assert result.exit_code == 0, result.output
    assert folder.with_suffix(".md").read_text(encoding="utf-8") == render_page(folder)
    (folder / "alone.json").write_text("{")
    result = CliRunner().invoke(app, ["results", str(folder)])
    assert result.exit_code == 1
    assert "alone.json is not JSON" in result.stderr.replace("\n", " ")


def test_every_committed_result_is_in_a_table() -> None:
    names = {path.name for path in FOLDER.glob("*.json")}
    assert names == read_index(FOLDER / INDEX_FILE).file_names
