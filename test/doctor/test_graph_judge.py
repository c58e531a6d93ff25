# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What was seen of a graph is judged: every trouble by name."""

from __future__ import annotations

import pytest

from quantv2x_ros.doctor.findings import ERROR, OK, WARNING
from quantv2x_ros.doctor.graph import Connection, Observation, StationHeard, judge

CLOUD = ["sensor_msgs/msg/PointCloud2"]


@pytest.fixture
def seen():
    """A healthy graph: an ego that hears a peer."""
    return Observation(
        domain=7,
        seconds=5.0,
        nodes=["/encoder", "/fusion", "/driver"],
        types={"/points": CLOUD, "/velodyne_points": CLOUD},
        publishers={"/points": ["/driver"], "/velodyne_points": ["/driver"]},
        subscribers={"/points": ["/encoder"]},
        connections=[Connection("/points", "/driver", "/encoder")],
        stations={1: StationHeard(50, 10.0, 9000.0), 2: StationHeard(48, 9.6, 8000.0)},
        codebooks={1: ("default 1", 0xA1), 2: ("default 1", 0xA1)},
    )


def troubles(seen):
    return [finding for finding in judge(seen) if finding.level != OK]


def test_a_healthy_graph_has_no_trouble(seen):
    assert troubles(seen) == []


def test_an_empty_domain_is_named_with_its_number(seen):
    seen.nodes = ["/rviz"]
    (finding,) = troubles(seen)
    assert finding.level == ERROR
    assert "domain 7; 1 other" in finding.text
    assert "ROS_DOMAIN_ID" in finding.remedy


def test_a_cloud_that_nobody_publishes_is_named_with_what_there_is(seen):
    seen.publishers["/points"] = []
    (finding,) = troubles(seen)
    assert finding.level == ERROR
    assert "/velodyne_points" in finding.text
    assert "-r points:=" in finding.remedy


def test_policies_that_do_not_fit_are_named(seen):
    reason = "ERROR: Best effort publisher and reliable subscription;"
    seen.connections = [Connection("/points", "/driver", "/encoder", reason)]
    (finding,) = troubles(seen)
    assert (finding.level, "Best effort publisher" in finding.text) == (ERROR, True)
    assert "qos_overrides" in finding.remedy


def test_two_codebooks_are_an_error_that_names_the_stations(seen):
    seen.codebooks[2] = ("other 3", 0xB2)
    (finding,) = troubles(seen)
    assert finding.level == ERROR
    assert "00000000000000a1 of 1; 00000000000000b2 of 2" in finding.text


def test_an_ego_without_peers_is_a_warning(seen):
    del seen.stations[2], seen.codebooks[2]
    (finding,) = troubles(seen)
    assert (finding.level, "no peers heard" in finding.text) == (WARNING, True)


def test_a_station_that_only_announced_itself_is_named(seen):
    seen.codebooks[9] = ("default 1", 0xA1)
    (finding,) = troubles(seen)
    assert "no sweeps heard: 9" in finding.text


def test_a_silent_air_is_an_error(seen):
    seen.stations = {}
    assert ERROR in {finding.level for finding in troubles(seen)}


@pytest.mark.parametrize("others", [[], ["/good"]])
def test_a_publisher_of_another_type_is_named_and_nothing_is_ok_beside_it(seen, others):
    scan = "sensor_msgs/msg/LaserScan"
    seen.types["/points"] = [*CLOUD, scan]
    seen.publishers["/points"] = ["/driver", *others]
    seen.connections = [
        Connection("/points", "/driver", "/encoder", "", scan, CLOUD[0]),
        *(Connection("/points", name, "/encoder", "", CLOUD[0], CLOUD[0]) for name in others),
    ]
    (finding,) = troubles(seen)
    assert (finding.level, finding.subject) == (ERROR, "topic /points")
    assert f"/driver publishes {scan}, /encoder expects {CLOUD[0]}" in finding.text
    well = [item.text for item in judge(seen) if item.level == OK and "/points" in item.subject]
    assert well == [f"{name} → /encoder" for name in others]


def test_an_input_that_cannot_be_heard_is_not_ok(seen):
    seen.connections = [Connection("/points", "/driver", "/encoder", "reliability")]
    assert not any(f.subject == "input /points" for f in judge(seen))


def test_a_topic_of_two_types_is_an_error(seen):
    seen.types["/points"] = [*CLOUD, "sensor_msgs/msg/LaserScan"]
    assert any("has 2 types" in finding.text for finding in troubles(seen))


@pytest.mark.parametrize(("level", "expected"), [(1, WARNING), (2, ERROR)])
def test_what_nodes_complain_of_is_passed_on(seen, level, expected):
    seen.troubles["/fusion"] = (level, "fused 3 frames; dropped 4")
    (finding,) = troubles(seen)
    assert (finding.level, finding.subject) == (expected, "/fusion")
