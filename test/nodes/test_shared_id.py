# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stations that share an id, over real topics: found, named, and not mixed."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from diagnostic_msgs.msg import DiagnosticArray

from quantv2x_msgs.msg import BevIndices, Codebook, DetectedObject3DArray
from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.core.peers.host_station import HOST_STATIONS
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.ego import create_ego
from quantv2x_ros.nodes.encoder.encoder import EncoderNode
from quantv2x_ros.nodes.fusion.fusion import FusionNode
from test.nodes.packet_messages import changed

#: Numbers of another station's sweeps.
SEQUENCES = itertools.count(1000)


class Diagnostics:
    """What the nodes say, by their names."""

    def __init__(self, ros):
        self.ros, self._all = ros, ros.collect(DiagnosticArray, "/diagnostics")

    def latest(self, name):
        """Level, message and values of a node's newest report."""
        for message in reversed(self._all):
            status = message.status[0]
            if status.name == name:
                level = int.from_bytes(status.level, "little")
                return level, status.message, {item.key: item.value for item in status.values}
        return 0, "", {}

    def expect(self, name, text):
        def is_told():
            level, message, values = self.latest(name)
            return level and text in " ".join([message, *values, *values.values()])

        self.ros.spin_until(is_told)
        return self.latest(name)


@pytest.fixture
def diagnostics(ros):
    return Diagnostics(ros)


@pytest.fixture
def air(ros):
    """Publishes what another station sends."""
    return ros.node.create_publisher(BevIndices, "/v2x/bev_indices", qos.indices_output())


def resent(packet, stamp_ns, x, **values):
    """What another car with the same id sends: the same map from elsewhere."""
    pose = matrix_from_v2x([x, 0, 0, 0, 0, 0])
    sequence = next(SEQUENCES)
    return changed(packet.message, stamp_ns=stamp_ns, pose=pose, sequence=sequence, **values)


def values(parameters, **changes):
    return parameters(
        **{"crop_ego_body": False, "clock_tolerance": 60.0, "max_payload_bytes": 0, **changes}
    )


def now_s(ros):
    return ros.node.get_clock().now().nanoseconds // 10**9


def test_both_nodes_of_a_host_have_its_own_id_by_default(ros, parameters, tmp_path):
    encoder = ros.add(EncoderNode(parameter_overrides=parameters()))
    fusion = ros.add(FusionNode(parameter_overrides=parameters()))
    station = encoder.report_id()
    assert station == fusion.report_id()
    assert int(station.split()[1]) in HOST_STATIONS


def test_another_cars_sweeps_are_not_taken_for_ones_own(ros, parameters, sensors, diagnostics, air):
    ros.add(EncoderNode(parameter_overrides=values(parameters, station_id=1)))
    ros.add(FusionNode(parameter_overrides=values(parameters, station_id=1)))
    objects = ros.collect(DetectedObject3DArray, "objects")
    sensors.connect()
    ros.spin_for(1.0)
    start = now_s(ros)
    for number in range(3):
        own = sensors.heard(start + number)
        ros.spin_until(lambda number=number: len(objects) == number + 1)
        assert objects[-1].header.stamp.sec == start + number
        air.publish(resent(own, (start + number) * 10**9 + 5 * 10**8, 45.0))
        ros.spin_for(0.2)
    _, _, reported = diagnostics.expect("/fusion", "shared_id")
    text = reported["dropped: shared_id"]
    assert "from (45.0, 0.0) m, this station is at (0.0, 0.0) m" in text
    assert "station_id" in text
    assert len(objects) == 3, "none of the other car's frames"


def test_ego_counts_another_car_with_its_id(ros, parameters, sensors, diagnostics, air):
    for node in create_ego(parameter_overrides=values(parameters, station_id=1)):
        ros.add(node)
    sensors.connect()
    start = now_s(ros)
    own = sensors.heard(start)
    ros.spin_for(1.5)
    assert "dropped: shared_id" not in diagnostics.latest("/fusion")[2], "it hears itself"
    air.publish(resent(own, (start + 1) * 10**9, -30.0))
    _, _, reported = diagnostics.expect("/fusion", "shared_id")
    assert "from (-30.0, 0.0) m" in reported["dropped: shared_id"]


def test_without_an_encoder_own_sweeps_come_from_the_air_as_of_a_bag(ros, parameters, sensors, air):
    encoder = ros.add(EncoderNode(parameter_overrides=values(parameters, station_id=1)))
    sensors.connect()
    start = now_s(ros)
    recorded = sensors.heard(start)
    ros.remove(encoder)
    ros.add(FusionNode(parameter_overrides=values(parameters, station_id=1)))
    objects = ros.collect(DetectedObject3DArray, "objects")
    ros.connect(air)
    ros.spin_for(1.0)
    air.publish(resent(recorded, (start + 1) * 10**9, 45.0))
    ros.spin_until(lambda: objects)
    assert list(objects[-1].contributing_stations) == [1]


def test_two_peers_with_one_id_are_named_with_both_places_and_the_first_is_fused(
    ros, parameters, sensors, diagnostics, air
):
    for node in create_ego(parameter_overrides=values(parameters, station_id=1, peer_wait=0.0)):
        ros.add(node)
    objects = ros.collect(DetectedObject3DArray, "objects")
    sensors.connect()
    start = now_s(ros)
    peer = sensors.heard(start)
    ros.spin_until(lambda: objects)
    for number in range(1, 4):
        second = (start + number) * 10**9
        ros.spin_for(0.3)  # no frame is in work then, and everything is read as it comes
        air.publish(resent(peer, second - 10**8, -20.0, station_id=2))
        air.publish(resent(peer, second - 5 * 10**7, 22.0, station_id=2))
        diagnostics.expect("/fusion", f"{number} (station 2 is in two places")
        before = len(objects)
        sensors.send(start + number)
        ros.spin_until(lambda before=before: len(objects) > before)
        assert list(objects[-1].contributing_stations) == [1, 2]
    _, _, reported = diagnostics.expect("/fusion", "shared_id")
    text = reported["dropped: shared_id"]
    assert text.startswith("3 (station 2 is in two places")
    assert "(-20.0, 0.0) m and (22.0, 0.0) m, 42 m apart" in text


def test_an_encoder_hears_another_one_announce_itself_under_its_id(ros, parameters, diagnostics):
    ros.add(EncoderNode(parameter_overrides=values(parameters, station_id=1)))
    announced = ros.collect(Codebook, "/v2x/codebook", qos.latched_input())
    ros.spin_for(1.0)
    assert diagnostics.latest("/encoder")[0] == 0, "its own announcement is no other station's"
    ros.add(EncoderNode(namespace="other", parameter_overrides=values(parameters, station_id=1)))
    for name in ("/encoder", "/other/encoder"):
        _, message, _ = diagnostics.expect(name, "under this station's id 1")
        assert "station_id" in message
    assert len(announced) < 10, "they do not answer each other without end"
