# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What RViz draws: boxes, agents, links; and nothing that is gone."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.nodes.fusion.markers import FusedAgent, fusion_markers, truth_markers
from quantv2x_ros.nodes.fusion.objects import Contributor, FusedFrame

PEER = matrix_from_v2x([30.0, -4.0, 2.0, 0.0, 90.0, 0.0])


def markers(count=2, agents=2):
    boxes = np.tile(np.array([[10, 2, -1, 4, 2, 1.5, 0.3]], np.float32), (count, 1))
    frame = FusedFrame(
        header=Header(frame_id="ego/lidar"),
        classes=["vehicle", "pedestrian", "truck"],
        detections=Detections(boxes, np.full(count, 0.8, np.float32), np.ones(count, np.int64)),
        stations=[1, 2][:agents],
        contributors=[[Contributor(1, 0), Contributor(2, 40_000_000)][:agents]] * count,
    )
    poses = [np.eye(4), PEER][:agents]
    grid = BevGrid()
    fused = [
        FusedAgent(number + 1, pose, 0.04 * number, grid.footprint(pose))
        for number, pose in enumerate(poses)
    ]
    return fusion_markers(frame, fused).markers


def test_each_frame_first_deletes_the_one_before():
    for found in (markers(), truth_markers(Header(), np.empty((0, 7), np.float32), []).markers):
        assert found[0].action == Marker.DELETEALL
        assert Marker.DELETEALL not in {marker.action for marker in found[1:]}


def test_what_is_not_renewed_vanishes_by_itself():
    drawn = markers()[1:]
    assert drawn
    assert {(m.lifetime.sec, m.lifetime.nanosec) for m in drawn} == {(1, 0)}


def test_no_two_markers_share_a_name():
    names = [(marker.ns, marker.id) for marker in markers()[1:]]
    assert len(set(names)) == len(names)


def test_a_peer_has_pose_footprint_age_and_a_link_and_the_ego_no_link():
    found = {(marker.ns, marker.id): marker for marker in markers(count=0)}
    assert ("links", 0) not in found
    link = found["links", 1]
    assert (link.points[0].x, link.points[1].x, link.points[1].y) == (0.0, 30.0, -4.0)
    assert found["agent_names", 1].text == "station 2 (40 ms)"
    outline = found["footprints", 1].points
    assert outline[0] == outline[-1]
    # turned by a right angle: the map's length of 281.6 m lies along y, its width of 80 m along x
    assert max(p.y for p in outline) - min(p.y for p in outline) == pytest.approx(281.6)
    assert max(p.x for p in outline) - min(p.x for p in outline) == pytest.approx(80.0)
    axes = found["poses", 1]
    ahead = np.array([axes.points[1].x - 30.0, axes.points[1].y + 4.0])
    np.testing.assert_allclose(ahead / np.linalg.norm(ahead), [0.0, 1.0], atol=1e-9)
    assert (axes.colors[0].r, axes.colors[2].g, axes.colors[4].b) == (1.0, 1.0, 1.0)


def test_who_no_longer_takes_part_is_no_longer_drawn():
    assert {marker.id for marker in markers(agents=1) if marker.ns == "agents"} == {0}


def test_a_box_says_its_class_score_and_who_saw_it_above_it():
    found = {(marker.ns, marker.id): marker for marker in markers(count=1)}
    text, box = found["scores/vehicle", 0], found["boxes/vehicle", 0]
    assert text.text == "vehicle 0.80\n[1, 2]"
    # RViz centres the two lines at their place, each as high as the scale says
    lowest = text.pose.position.z - text.scale.z
    assert lowest >= box.pose.position.z + box.scale.z / 2 - 1e-6
