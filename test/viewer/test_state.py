# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the viewer shows follows from what was heard, and only from what was heard lately."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.core.geometry.pose import invert, matrix_from_v2x, transform_points
from quantv2x_ros.viewer.page import numbers
from quantv2x_ros.viewer.state import MAX_STATIONS, Beacon, SeenObjects, ViewerState

EXTENT = (-140.8, -40.0, 140.8, 40.0)
EGO_POSE = matrix_from_v2x([10.0, 5.0, 1.9, 0.0, 30.0, 0.0])
PEER_POSE = matrix_from_v2x([40.0, -3.0, 4.5, 0.0, -60.0, 0.0])
MS = 1_000_000


def beacon(station, pose, stamp_ns=1000 * MS):
    return Beacon(station, stamp_ns, f"agent_{station}/lidar", pose, EXTENT)


def objects(classes=("vehicle", "truck", "vehicle"), stations=(1, 2)):
    boxes = np.arange(7 * len(classes), dtype=np.float32).reshape(-1, 7) + 1
    return SeenObjects(1000 * MS, "agent_1/lidar", boxes, classes, stations)


@pytest.fixture
def scene():
    """An ego and a peer of which one frame was fused at 10.0 s."""
    scene = ViewerState(max_points=100, lifetime=1.0)
    scene.hear_station(beacon(1, EGO_POSE), 7, 900, 10.0)
    scene.hear_station(beacon(2, PEER_POSE, 940 * MS), 3, 500, 10.0)
    scene.hear_objects(objects(), 10.0)
    return scene


def test_boxes_come_by_class(scene):
    view = scene.view(10.1)
    assert view.counts == {"vehicle": 2, "truck": 1}
    np.testing.assert_array_equal(view.boxes["truck"], objects().boxes[1:2])


def test_a_peer_stands_where_its_message_says(scene):
    ego, peer = scene.view(10.1).agents
    np.testing.assert_allclose(ego.pose, np.eye(4), atol=1e-12)
    map_place = transform_points(peer.pose[None, :3, 3], EGO_POSE)[0]
    np.testing.assert_allclose(map_place, PEER_POSE[:3, 3], atol=1e-9)
    corner = transform_points(peer.footprint, EGO_POSE)[2]
    expected = transform_points(np.array([[140.8, 40.0, 0.0]]), PEER_POSE)[0]
    np.testing.assert_allclose(corner, expected, atol=1e-9)


def test_age_and_bytes_are_those_of_the_newest_sweep(scene):
    scene.hear_station(beacon(2, PEER_POSE, 960 * MS), 4, 300, 10.1)
    scene.hear_station(beacon(2, PEER_POSE, 960 * MS), 4, 250, 10.1)
    _, peer = scene.view(10.1).agents
    assert peer.age_ms == pytest.approx(40.0)
    assert peer.sweep_bytes == 550
    assert peer.rate == pytest.approx(10.0)


def test_a_sweep_after_the_fused_one_is_not_its_age(scene):
    scene.hear_station(beacon(2, PEER_POSE, 1100 * MS), 4, 300, 10.1)
    _, peer = scene.view(10.1).agents
    assert peer.age_ms == pytest.approx(60.0)


def test_a_station_that_was_not_fused_is_told_apart(scene):
    scene.hear_station(beacon(3, PEER_POSE), 1, 100, 10.0)
    assert [(a.station_id, a.is_fused) for a in scene.view(10.1).agents] == [
        (1, True),
        (2, True),
        (3, False),
    ]


def test_who_falls_silent_disappears_and_so_do_the_objects_in_the_end(scene):
    scene.hear_station(beacon(1, EGO_POSE), 8, 900, 10.9)
    scene.hear_objects(objects(stations=(1,)), 10.9)
    assert [agent.station_id for agent in scene.view(11.5).agents] == [1]
    assert scene.view(11.5).counts
    gone = scene.view(12.5)
    assert not gone.counts
    assert not gone.agents


def test_a_large_cloud_is_thinned_and_a_broken_point_left_out(scene):
    points = np.random.default_rng(1).normal(size=(1050, 4)).astype(np.float32)
    points[0, 1] = np.nan
    scene.hear_cloud("agent_2/lidar", points, 10.0)
    ego, peer = scene.view(10.1).agents
    assert ego.cloud is None
    assert 90 <= len(peer.cloud) <= 100
    assert np.isfinite(peer.cloud).all()


def test_the_cloud_of_a_turned_grid_lies_where_its_sensor_saw_it(scene):
    sensor = matrix_from_v2x([40.0, -3.0, 4.5, 0.0, 50.0, 0.0])
    turned = Beacon(2, 1000 * MS, "agent_2/lidar_grid", PEER_POSE, EXTENT)
    scene.hear_station(turned, 4, 500, 10.0)
    points = np.array([[1.0, 2.0, 3.0], [-20.0, 5.0, -4.0]], np.float32)
    scene.hear_cloud("agent_2/lidar", points, 10.0)
    assert scene.view(10.1).agents[1].cloud is None, "nobody said where the sensor is"
    scene.hear_cloud("agent_2/lidar", points, 10.0, sensor)
    peer = scene.view(10.1).agents[1]
    assert peer.cloud.dtype == np.float32
    on_the_map = transform_points(transform_points(peer.cloud, peer.pose), EGO_POSE)
    np.testing.assert_allclose(on_the_map, transform_points(points, sensor), atol=1e-4)


def test_a_mounted_cloud_and_its_boxes_lie_together():
    """The ego's cloud is in base_link, its map in a frame 1.9 m above and turned a little."""
    to_map_frame = invert(matrix_from_v2x([0.0, 0.0, 1.9, 0.0, 5.0, 0.0]))
    scene = ViewerState(max_points=100, lifetime=1.0)
    scene.hear_level("base_link_lidar_level", to_map_frame, "base_link")
    mine = Beacon(1, 1000 * MS, "base_link_lidar_level", EGO_POSE, EXTENT)
    scene.hear_station(mine, 7, 900, 10.0)
    scene.hear_station(beacon(2, PEER_POSE), 3, 500, 10.0)
    points = np.array([[10.0, 2.0, 0.0, 0.0]], np.float32)
    scene.hear_cloud("base_link", points, 10.0)
    boxes = np.array([[10.0, 2.0, 0.0, 4.0, 2.0, 1.5, 0.0]], np.float32)
    scene.hear_objects(SeenObjects(1000 * MS, "base_link", boxes, ("vehicle",), (1, 2)), 10.0)
    view = scene.view(10.1)
    ego, peer = view.agents
    shown = transform_points(ego.cloud, ego.pose)
    np.testing.assert_allclose(shown, points[:, :3], atol=1e-5)
    map_place = transform_points(peer.pose[None, :3, 3], EGO_POSE @ to_map_frame)[0]
    np.testing.assert_allclose(map_place, PEER_POSE[:3, 3], atol=1e-9)


def test_the_ground_lies_under_the_egos_cloud(scene):
    points = np.zeros((100, 3), np.float32)
    points[:, 2] = np.linspace(-1.9, 3.0, 100)
    points[:20, 2] = -1.9
    scene.hear_cloud("agent_1/lidar", points, 10.0)
    assert scene.view(10.1).ground == pytest.approx(-1.9)


def test_a_flood_of_stations_is_bounded(scene):
    for station in range(10, 10 + 2 * MAX_STATIONS):
        scene.hear_station(beacon(station, PEER_POSE), 1, 10, 10.0)
    assert len(scene.view(10.0).agents) == MAX_STATIONS


def test_the_table_tells_bytes_latency_and_drops(scene):
    scene.hear_diagnostics((87.4, 103.0), {"codebook": "3 (station 9 …)"})
    text = numbers(scene.view(10.1))
    assert "**87 ms**" in text
    assert "| 500 |" in text
    assert "codebook: 3 (station 9 …)" in text
    assert "| 2 |" in text, "two vehicles"


def test_before_the_first_objects_it_waits():
    assert "Waiting" in numbers(ViewerState(100, 1.0).view(0.0))
