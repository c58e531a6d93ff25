# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stations announce is read, but for a flood of it."""

from __future__ import annotations

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from quantv2x_msgs.msg import Codebook
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.air.index_format import IndexFormat, announcement
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.base import BaseNode
from quantv2x_ros.nodes.fusion import announcements
from quantv2x_ros.nodes.fusion.announcements import Announcements


@pytest.fixture
def bundle(bundle_folder):
    return ModelBundle.load(bundle_folder)


class Station:
    """A node that listens to announcements, and a publisher of them."""

    def __init__(self, ros, bundle):
        self.ros, self.bundle = ros, bundle
        self.heard = []
        self.node = ros.add(BaseNode("listener"))
        self.format = IndexFormat.of(bundle, "map")
        self.announcements = Announcements(self.node, 1, self.format, self.heard.append)
        self.air = ros.node.create_publisher(Codebook, "/v2x/codebook", qos.latched_input())
        ros.connect(self.air)

    def announce(self, station, **changes):
        message = announcement(self.format, self.bundle, station, self.node.get_clock().now())
        for name, value in changes.items():
            setattr(message, name, value)
        self.air.publish(message)

    def dropped(self):
        return {reason: count for reason, count, _ in self.node._drops.items()}


def test_each_station_that_will_be_understood_is_heard_once(ros, bundle):
    station = Station(ros, bundle)
    station.announce(1)
    station.announce(2)
    station.announce(2)
    station.announce(3, codebook_id=5)
    station.announce(4)
    station.announce(5, columns=65)
    station.announce(6, map_frame="utm")
    station.announce(7, format_id=5)
    station.announce(8)
    ros.spin_until(lambda: len(station.heard) >= 3)
    ros.spin_for(0.2)
    assert station.heard == [2, 4, 8], (
        "neither the own one nor one with another codebook, grid, map frame or format"
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"codebook_id": 5}, "station 3 has codebook 0000000000000005, this station has"),
        ({"columns": 65}, "station 3 has levels, segments, entries, rows, columns"),
        ({"map_frame": "utm"}, "station 3 gives its pose in 'utm', this station in 'map'"),
        ({"format_id": 5}, "packets are of format 0000000000000005, by its announcement they are"),
    ],
)
def test_who_will_not_be_understood_is_named_with_both_values(ros, bundle, values, text, capfd):
    station = Station(ros, bundle)
    station.announce(3, **values)
    station.announce(4)
    ros.spin_until(lambda: station.heard == [4])
    error = capfd.readouterr().err
    assert f"will not be understood, model {bundle.name} {bundle.version}: " in error
    assert text in error


def test_a_flood_ends_the_subscription_and_latched_ones_come_again(ros, bundle, monkeypatch):
    monkeypatch.setattr(announcements, "_DEAF", 0.5)
    monkeypatch.setattr(announcements, "_BURST", 30.0)
    station = Station(ros, bundle)
    for number in range(200):
        station.announce(1000 + number)
        ros.executor.spin_once(timeout_sec=0.001)
    ros.spin_until(lambda: station.dropped().get("announcements"))
    assert len(station.heard) <= 9, "a flood does not delay fusion again and again"
    ros.spin_until(lambda: station.announcements._subscription is not None)
    assert station.air.get_subscription_count() <= 1
