# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Real sweeps of five agents through the nodes give the boxes that `detect` gives."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from quantv2x_msgs.msg import DetectedObject3DArray
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.demo.pictures import detections_of
from quantv2x_ros.environment.resources import ResourceError, find_bundle
from quantv2x_ros.evaluation.agent_grids import AgentGrids
from quantv2x_ros.evaluation.detect import frame_input, look
from quantv2x_ros.evaluation.detector import EngineDetector
from quantv2x_ros.graph.graph import cooperative_graph
from quantv2x_ros.graph.processes import ProcessGraph
from quantv2x_ros.graph.replay_source import ReplaySource
from quantv2x_ros.graph.settings import GraphSettings
from quantv2x_ros.inference.model.bundle import ModelBundle


@pytest.fixture(scope="module")
def default_bundle():
    try:
        return find_bundle("")
    except ResourceError as error:
        pytest.skip(str(error))


def test_five_agents_fuse_to_the_boxes_of_detect(ros, shared_dir, default_bundle, tmp_path):
    folder = shared_dir / "data" / "opv2v_format_5agents"
    source = ReplaySource.find(str(folder), "all")
    assert len(source.agents) == 5
    settings = GraphSettings(
        bundle=str(default_bundle), replay=str(folder), agents="all", loop=True, rate=0.1
    )
    patient = tmp_path / "patient.yaml"
    patient.write_text(
        # a busy machine may take long for five stations' tiles, and none may be left out here
        "/**/fusion:\n  ros__parameters:\n    peer_wait: 1.0\n    tile_timeout: 1.0\n"
        # detect sends all cells, and no objects
        "/**/encoder:\n  ros__parameters:\n    min_occupancy: 0.0\n    radio: none\n"
        "    send_objects: false\n"
    )
    objects = ros.collect(DetectedObject3DArray, "/objects", 50)

    def complete():
        return [m for m in objects if len(m.contributing_stations) == 5 and is_of_one_time(m)]

    with ProcessGraph(
        cooperative_graph(settings, source),
        params_files=[str(patient)],
        log_file=tmp_path / "log",
    ) as processes:
        ros.spin_until(lambda: complete() or processes.is_over(), timeout=600.0)
    assert complete(), (tmp_path / "log").read_text()
    published = detections_of(complete()[-1])

    bundle = ModelBundle.load(default_bundle)
    frame = AgentGrids(bundle).lay(next(Scenario.open(folder).frames()), source.agents)
    assert frame[source.agents[0]].level is not None
    given = frame_input(frame, source.agents)
    expected = look(EngineDetector(bundle, threads=1), given).detections
    assert len(published) == len(expected) > 0
    np.testing.assert_allclose(published.boxes[:, :6], expected.boxes[:, :6], atol=1e-3)
    np.testing.assert_allclose(published.scores, expected.scores, atol=1e-5)
    np.testing.assert_array_equal(published.labels, expected.labels)


def is_of_one_time(message):
    """Whether every sweep in a fused frame is from its own repetition of the frame."""
    return all(item.age.sec == 0 and item.age.nanosec == 0 for item in message.objects)
