# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The report of an evaluation: tables, plots, pictures, and the settings behind them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.core.transport.sweep_sender import SendSettings
from quantv2x_ros.data.v2x_real import OBJECT_TYPES
from quantv2x_ros.evaluation.markdown import SWEEP_TITLES, table
from quantv2x_ros.evaluation.plots import AXES
from quantv2x_ros.evaluation.series import (
    BOXES,
    LINK,
    RADIOS,
    RATES,
    STEPS,
    SWEEPS,
    alone_variants,
    make_variants,
    parse_sweeps,
)
from quantv2x_ros.evaluation.settings import (
    EvaluationConfig,
    EvaluationSettingError,
    Link,
    Sending,
)
from quantv2x_ros.results.kinds import KINDS

#: A hundred of the random network's thousand boxes: all work on boxes takes a tenth of the time.
FEW_BOXES = ("--set", "measure.score_threshold=0.9999")
PLOTS = (
    "precision_recall",
    "rate_accuracy",
    "agents",
    "latency",
    "latency_unmoved",
    "noise",
    "error",
    "error_aligned",
    "heading",
    "loss",
    "loss_holes",
    "loss_bursts",
    "stations",
    "link",
)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def reported(tmp_path_factory, bundles, dataset):
    """The result and folder of one report over both scenes, with another result to compare."""
    folder = tmp_path_factory.mktemp("report")
    other = folder / "other.json"
    call = ("evaluate", "--data", dataset, "--bundle", bundles["int8"], "--set", "agents=3")
    call += FEW_BOXES
    call += ("--set", "sending.radio=none")  # so many objects would leave nothing for features
    assert run(*call, "--json", other, "--max-frames", 1).exit_code == 0
    result = run(
        *call, "--json", folder / "ap.json", "--report", folder / "report", "--compare", other,
        "--set", "measure.worst=2", "--set", "measure.streaming_measured=true",
        "--set", "measure.streaming_ms=[0, 100]",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return json.loads((folder / "ap.json").read_text()), folder / "report"


def test_every_sweep_is_measured_from_0_to_what_the_scenes_allow(reported):
    result, _ = reported
    sweeps = result["sweeps"]
    values = {name: [point["value"] for point in points] for name, points in sweeps.items()}
    assert values.pop("latency_ms") == [0.0, 100.0, 200.0]
    assert values.pop("alone") == [0.0, 1.0, 2.0]
    assert values.pop("levels") == [1.0, 2.0, 3.0]
    assert values.pop("agents") == [1.0, 2.0, 3.0]
    assert values.pop("latency_ms_uncompensated") == [0.0, 100.0, 200.0]
    assert values.pop("pose_error_aligned") == list(STEPS["pose_error"])
    assert values.pop("radio_late") == values.pop("radio_hybrid") == list(STEPS["radio"])
    assert values == {name: list(STEPS[name]) for name in values}
    assert result["notes"][0].startswith("latency_ms above 200 is left out")
    zero = {name: points[0]["mAP"] for name, points in result["sweeps"].items()}
    assert sweeps["agents"][0]["mAP"] == sweeps["alone"][0]["mAP"]
    assert sweeps["agents"][-1]["mAP"] == result["mAP"]
    assert zero["pose_noise"] == zero["heading_noise"] == result["mAP"]
    assert zero["pose_error"] == result["mAP"]
    latency = sweeps["latency_ms"], sweeps["latency_ms_uncompensated"]
    assert latency[0][1]["mAP"] == latency[1][1]["mAP"]  # nothing is moved on within 0.15 s
    assert zero["loss"] == zero["loss_holes"] == zero["burst_loss"]
    occupancy = {point["value"]: point["mAP"] for point in sweeps["min_occupancy"]}
    assert occupancy[0.2] == result["mAP"]
    lawful = {RADIOS[int(point["value"])]: point for point in sweeps["radio"]}
    assert lawful["none"]["airtime_its_g5_6"] > 0.03 >= lawful["its_g5_6"]["airtime_its_g5_6"]
    assert zero["interest_range"] == zero["interest_of_receivers"] == result["mAP"]
    near = [point["bytes_per_frame"] for point in sweeps["interest_range"][1:]]
    assert near == sorted(near)
    assert near[-1] <= result["bytes_per_frame"]


def test_parts_add_up_to_the_whole(reported):
    result, _ = reported
    total = sum(result["objects"].values())
    assert total > 0
    for name in ("by_agents", "by_sight"):
        parts = result[name].values()
        assert sum(sum(part["objects"].values()) for part in parts) == total
    assert sum(part["frames"] for part in result["by_agents"].values()) == result["frames"]
    assert list(result["by_agents"]) == ["3"]
    for name in ("by_range", "by_sight"):
        together, alone = result[name], result["alone"][name]
        assert {part: row["objects"] for part, row in together.items()} == {
            part: row["objects"] for part, row in alone.items()
        }


def test_streaming_is_measured_and_given(reported):
    result, _ = reported
    measured, now, late = result["streaming"]
    assert measured["measured"]
    assert measured["latency_ms"] > 0
    assert (now["latency_ms"], late["latency_ms"]) == (0.0, 100.0)
    assert now["frames"] == late["frames"] == 4


def test_the_folder_holds_tables_plots_and_the_worst_frames(reported):
    result, folder = reported
    text = (folder / "report.md").read_text()
    for name in PLOTS:
        pixels = np.asarray(Image.open(folder / f"{name}.png").convert("L"))
        assert pixels.std() > 5  # not blank
        assert f"]({name}.png)" in text
    assert Image.open(folder / "worst_1.png").size[0] > 500
    assert (folder / "worst_2.png").is_file()
    assert not (folder / "worst_3.png").exists()
    assert f"| mean | {sum(result['objects'].values()):,.0f} |" in text
    assert "hidden from the ego" in text
    sent = ("1 level", "2 levels", "at most 1,000 bytes", "cells within 20 m")
    for name in ("other", "ego alone", *sent):
        assert f"| {name} |" in text
    rows = ("30% of the tiles lost", "30% lost, not concealed", "`levels: 2`")
    for row in (*rows, "`radio: its_g5_6`", "boxes, `radio: its_g5_6`"):
        assert f"| {row} | " in text
    assert json.loads((folder / "result.json").read_text()) == result


def test_tables_of_results_are_made_of_the_result(reported):
    result, _ = reported
    assert result["provenance"]["bundle"] == result["bundle"]
    text = KINDS["precision"].make({"here": [result]}, {"overlaps": "0.5"})
    assert len(text.splitlines()) == 2 + len(result["AP"]) + 2
    assert text.startswith("| class | here, AP@0.5 |")
    assert "| mean on other scenes, 95 % | " in text
    assert "| `levels: 2` | " in KINDS["link"].make({"": [result]}, {})
    options = {"series": "latency_ms_uncompensated", "treated": "latency_ms"}
    options |= {"value": "ms", "as_is": "as they are", "treatment": "carried on"}
    rows = KINDS["treatment"].make({"": [result]}, options).splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| 0", "| 100", "| 200", "| ego alone"]
    pair = KINDS["cooperation"].make({"these": [result, result]}, {})
    assert pair.splitlines()[2].startswith("| these | ")


def test_a_table_of_markdown():
    assert table(["a", "b"], [["x", 0.5], ["y", float("nan")], ["z", 12345]]) == (
        "| a | b |\n| --- | ---: |\n| x | 0.500 |\n| y | – |\n| z | 12,345 |\n"
    )


@pytest.mark.parametrize("fusion", ["late", "hybrid"])
@pytest.mark.parametrize("series", ["radio", "loss", "latency_ms", "pose_error"])
def test_a_series_is_measured_with_boxes_under_the_same_law(series, fusion):
    base = EvaluationConfig(link=Link(sending=Sending(radio="its_g5_6")), fusion="features")
    plain, _ = make_variants(base, (series,), longest=9, levels=2)
    boxes, _ = make_variants(base, parse_sweeps(f"{series}_{fusion}"), longest=9, levels=2)
    assert {variant.config.fusion for variant in boxes} == {fusion}
    for one, other in zip(plain, boxes, strict=True):
        assert replace(other.config, fusion="features") == one.config
        assert (other.value, other.first_number) == (one.value, one.first_number)


def test_every_series_has_a_title_and_an_axis():
    drawn = {*SWEEPS, *BOXES} - {*RATES, *(name for name in (*SWEEPS, *BOXES) if "radio" in name)}
    assert drawn <= SWEEP_TITLES.keys()
    assert drawn <= AXES.keys()
    assert len({file for _, file in AXES.values()}) == len(AXES)


def test_sweeps_change_one_thing_at_a_time():
    free = Sending(SendSettings(min_occupancy=0.0), radio="none")
    base = EvaluationConfig(link=Link(sending=free))
    variants, notes = make_variants(base, tuple(STEPS), longest=9, levels=3)
    assert notes == []
    changed = {}
    for variant in variants:
        link = variant.config.link
        state = (
            link.latency_ms,
            link.pose_noise,
            link.heading_deviation,
            link.loss,
            link.sending.max_bytes,
            link.sending.settings.min_occupancy,
            link.sending.interest_range,
            float(link.sending.interest_of_receivers),
            float(RADIOS.index(link.sending.radio)),
            0.0 if link.channel is None else link.channel.mean_burst_loss,
            0 if link.channel is None else link.channel.other_stations,
        )
        changes = 2 if variant.sweep == "pose_error" else 1  # positions and headings
        assert sum(value > 0 for value in state) == changes * (variant.value > 0)
        changed.setdefault(variant.sweep, []).append(pytest.approx(max(state)))
        assert (variant.config.receiver.conceal == 0) == (variant.sweep == "loss_holes")
        rate = 0 if link.channel is None else link.channel.bit_rate_mbps
        assert rate == (6.0 if variant.sweep == "stations" else 0)
    assert changed == {name: list(values) for name, values in STEPS.items()}
    assert {v.first_number for v in variants if v.sweep == "latency_ms"} == {4}
    lossy = {v.first_number for v in variants if v.sweep in ("loss", "radio", "stations")}
    assert lossy == {1}
    assert [v.first_number for v in alone_variants(base, variants)] == [0, 1, 4]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("none", ()),
        ("all", SWEEPS),
        ("link", LINK),
        ("loss, latency_ms", ("loss", "latency_ms")),
    ],
)
def test_sweeps_are_chosen_by_name(text, names):
    assert parse_sweeps(text) == names


def test_a_sweep_that_there_is_not_is_refused():
    with pytest.raises(EvaluationSettingError, match=r"sweep must be all, .* got los"):
        parse_sweeps("los")


@pytest.mark.parametrize("content", ["{", "[]", '{"mAP": {}}'])
def test_a_file_to_compare_that_is_no_result_is_named(tmp_path, bundles, dataset, content):
    other = tmp_path / "other.json"
    other.write_text(content)
    result = run("evaluate", "--data", dataset, "--bundle", bundles["int8"],
                 "--json", tmp_path / "a.json", "--compare", other)  # fmt: skip
    assert result.exit_code == 1
    assert "other.json is no" in result.output.replace("\n", " ")


def test_a_class_that_the_data_lack_is_said_and_left_out_of_the_mean(tmp_path, bundles, dataset):
    shutil.copytree(dataset, tmp_path / "data")
    for path in (tmp_path / "data").rglob("*.yaml"):
        document = yaml.safe_load(path.read_text())
        for item in document["vehicles"].values():
            if OBJECT_TYPES.get(item["obj_type"]) == "truck":
                item["obj_type"] = "Car"
        path.write_text(yaml.safe_dump(document))
    out = tmp_path / "a.json"
    result = run("evaluate", "--data", tmp_path / "data", "--bundle", bundles["int8"],
                 "--json", out)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "note: no object of class truck: not in the mean" in result.output
    report = json.loads(out.read_text())
    assert report["AP"]["truck"] == {"0.3": None, "0.5": None, "0.7": None}
    assert report["mAP"]["0.3"] is not None


def test_an_empty_split_is_one_sentence(tmp_path, bundles):
    (tmp_path / "test").mkdir()
    result = run("evaluate", "--data", tmp_path / "test", "--bundle", bundles["int8"],
                 "--json", tmp_path / "a.json")  # fmt: skip
    assert result.exit_code == 1
    assert "there is no scenario in it" in result.output
    assert "Traceback" not in result.output


def test_more_agents_than_the_bundle_fuses_are_refused(tmp_path, bundles, dataset):
    result = run("evaluate", "--data", dataset, "--bundle", bundles["int8"],
                 "--json", tmp_path / "a.json", "--set", "agents=65")  # fmt: skip
    assert result.exit_code == 1
    assert "agents must be 1 to 8" in result.output
