# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo as a person starts it: one command, real nodes, a picture at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from PIL import Image

from quantv2x_ros.data.bag import BagReader
from quantv2x_ros.data.message_types import deserialize

OBJECTS_TYPE = "quantv2x_msgs/msg/DetectedObject3DArray"


@pytest.fixture(scope="module")
def start(bundle_folder, scenario_folder, tmp_path_factory):
    """Starts the demo on the test's scenario; its pace suits a busy machine."""
    cache = tmp_path_factory.mktemp("cache")
    parameters = ["--bundle", str(bundle_folder), "--threads", "1"]

    def run(*arguments, scenario=scenario_folder, agents="1,2"):
        command = [sys.executable, "-m", "quantv2x_ros", "demo", *parameters]
        command += ["--scenario", str(scenario), "--agents", agents, *map(str, arguments)]
        return subprocess.Popen(
            command,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "XDG_CACHE_HOME": str(cache)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return run


def finish(process, code=0):
    output, _ = process.communicate(timeout=600)
    assert process.returncode == code, output
    return output


@pytest.fixture(scope="module")
def results(start, tmp_path_factory):
    """A whole demo with everything that it can leave."""
    out = tmp_path_factory.mktemp("demo")
    output = finish(start("--out", out, "--json", out / "demo.json", "--record", out / "bag"))
    return out, json.loads((out / "demo.json").read_text()), output


def test_it_leaves_a_picture_and_an_animation(results):
    out, summary, _ = results
    with Image.open(out / "cooperation.png") as picture:
        assert min(picture.size) > 400
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 50, "an empty picture"
    with Image.open(out / "cooperation.gif") as animation:
        assert getattr(animation, "n_frames", 1) == summary["frames_in_animation"] == 6


def test_it_tells_rate_bytes_and_latency(results):
    _, summary, output = results
    assert summary["frames"] == summary["frames_with_all"] == 6
    assert summary["dropped"] == {}
    assert 0 < summary["hz"] < summary["sensor_hz"] == 10
    assert summary["latency_ms"]["p95"] >= summary["latency_ms"]["p50"] > 0
    assert set(summary["bytes_per_frame"]) == {"1", "2"}
    assert min(summary["bytes_per_frame"].values()) > 1000
    assert summary["ms"]["/fusion"]["sweep to objects"]["p50"] > 0
    assert summary["ms"]["/encoder"]["total"]["p50"] > 0
    assert summary["ms"]["/agent_2/encoder"]["total"]["p50"] > 0
    assert summary["exit_codes"] == [0, 0, 0]
    assert "2 agents fused" in output
    assert "Bytes a frame" in output
    assert "the sensor's is 10" in output
    assert output.index("done in") < output.index("2 agents fused"), "engines are compiled first"


def objects_in(bag):
    with BagReader(bag) as reader:
        messages = [
            deserialize(OBJECTS_TYPE, message.data) for message in reader.messages({"/objects"})
        ]
    return {
        (m.header.stamp.sec, m.header.stamp.nanosec): (
            [tuple(item.contributing_stations) for item in m.objects],
            [item.age.nanosec for item in m.objects],
            [(item.score, item.pose.position.x, item.pose.position.y) for item in m.objects],
        )
        for m in messages
    }


def test_what_it_records_replays_to_the_same_boxes(results, start, tmp_path):
    out, _, _ = results
    bag = out / "bag"
    with BagReader(bag) as reader:
        counts = {name: topic.count for name, topic in reader.topics.items()}
    for name in ("/agent_1/points", "/agent_1/pose", "/agent_2/points", "/agent_2/pose"):
        assert counts[name] == 6
    assert counts["/v2x/bev_indices"] >= 8
    assert counts["/v2x/codebook"] == 2, "each station's announcement, made before the first sweep"
    again = tmp_path / "again"
    finish(
        start(
            "--no-pictures", "--out", tmp_path, "--record", again,
            scenario=bag, agents="agent_1,agent_2",
        )
    )  # fmt: skip
    first, second = objects_in(bag), objects_in(again)
    assert first == second


def test_the_foxglove_layout_finds_its_topics_frame_and_node_in_what_it_records(
    results, repository
):
    out, _, _ = results
    layout = json.loads((repository / "layouts" / "foxglove.json").read_text(encoding="utf-8"))
    panels = {name.partition("!")[0]: value for name, value in layout["configById"].items()}
    with BagReader(out / "bag") as reader:
        types = {name: topic.msgtype for name, topic in reader.topics.items()}
        statuses = {
            (status.name, status.hardware_id)
            for message in reader.messages({"/diagnostics"})
            for status in deserialize(types["/diagnostics"], message.data).status
        }
        frames = {
            transform.child_frame_id
            for message in reader.messages({"/tf"})
            for transform in deserialize(types["/tf"], message.data).transforms
        }
        (objects, *_) = reader.messages({"/objects"})
    shown = {name for name, style in panels["3D"]["topics"].items() if style["visible"]}
    drawable = ("sensor_msgs/msg/PointCloud2", "visualization_msgs/msg/MarkerArray")
    assert {name for name, kind in types.items() if kind in drawable} <= shown
    assert panels["3D"]["followTf"] in frames
    topic, _, field = panels["RawMessages"]["topicPath"].partition(".")
    assert hasattr(deserialize(types[topic], objects.data), field)
    node = panels["DiagnosticStatusPanel"]
    assert {node["topicToRender"], panels["DiagnosticSummary"]["topicToRender"]} == {"/diagnostics"}
    assert types["/diagnostics"] == "diagnostic_msgs/msg/DiagnosticArray"
    assert (node["selectedName"], node["selectedHardwareId"]) in statuses


def test_ctrl_c_ends_it_with_exit_code_0_and_no_process_left(start, tmp_path):
    process = start("--out", tmp_path)
    end = time.monotonic() + 120
    while not (tmp_path / "nodes.log").is_file() or "codebook" not in (
        tmp_path / "nodes.log"
    ).read_text(encoding="utf-8"):
        assert time.monotonic() < end
        time.sleep(0.1)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(children) == 3
    process.send_signal(signal.SIGINT)
    output = finish(process)
    assert "all nodes have ended" in output
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--bundle", "no_such_bundle"], "no_such_bundle"),
        (["--agents", "1,9"], "1, 2, -1"),
        (["--scenario", "/nowhere"], "/nowhere"),
        (["--backend", "abacus"], "allowed are auto, openvino, tensorrt"),
    ],
)
def test_wrong_input_is_one_sentence(start, tmp_path, arguments, text):
    output = finish(start("--out", tmp_path, *arguments), code=1)
    assert text in output
    assert "Traceback" not in output
