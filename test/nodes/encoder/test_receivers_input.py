# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An encoder that leaves out what none of those who are heard can use, over real topics."""

from __future__ import annotations

import contextlib
import time

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.geometry.packed_pose import PoseSpread
from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.core.peers.key_ring import generate_keys
from quantv2x_ros.core.transport.grid_turn import turned_points
from quantv2x_ros.core.transport.packet import PARITY, PacketError
from quantv2x_ros.core.transport.tiles import TilePlace
from quantv2x_ros.graph.parameters.parameter import ParameterError
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.common.conversions import time_message
from quantv2x_ros.nodes.ego import create_ego
from test.nodes.encoder.test_encoder import NO_INTENSITY, SECOND, Vehicle, covariance
from test.nodes.packet_messages import changed, heard, sent_spread, tile_of, without_orientation

FAR = 500.0


def pose_at(x, yaw=0.0):
    """A pose so far ahead; yaw in degrees."""
    return matrix_from_v2x([x, 0, 0, 0, yaw, 0])


class Pole(Vehicle):
    """An encoder beside which another station is heard."""

    def __init__(self, ros, parameters, **values):
        super().__init__(ros, parameters, **{"interest_of_receivers": True, **values})
        self.air = ros.node.create_publisher(BevIndices, "/v2x/bev_indices", 10)
        ros.connect(self.air)
        self.second = 10

    def collect(self):
        """A list that grows with every packet, but for what is none."""
        packets = []

        def add(message):
            with contextlib.suppress(PacketError):
                packets.append(heard(message))

        self.ros.node.create_subscription(BevIndices, "/v2x/bev_indices", add, 10)
        return packets

    def sweep(self):
        """Send a sweep; returns what is published of it."""
        before = len(self.own())
        self.second += 1
        self.send_pose(self.second * SECOND)
        self.send_cloud(self.second * SECOND)
        self.ros.spin_until(lambda: len(self.own()) > before)
        return self.own()[-1]

    def own(self):
        return [message for message in self.indices if message.station_id == 7]

    def hear(self, x, **changes):
        """Let a station be heard that stands so far ahead, with what else is different."""
        values = {"station_id": 8, "pose": pose_at(x), "spread": PoseSpread(), **changes}
        self.air.publish(changed(self.own()[-1].message, **values))
        station = values["station_id"]
        self.ros.spin_until(lambda: station in {m.station_id for m in self.indices})
        self.ros.spin_for(0.05)


@pytest.fixture
def pole(ros, parameters):
    return Pole(ros, parameters, min_occupancy=0.0)


def test_while_nobody_is_heard_a_sweep_is_sent_whole(pole):
    assert pole.sweep().omitted_cells == 0


def test_a_sweep_that_nobody_who_is_heard_can_use_is_left_out(ros, pole, bundle_folder):
    pole.sweep()
    pole.hear(FAR)
    left = pole.sweep()
    assert left.omitted_cells > 0
    bundle = ModelBundle.load(bundle_folder)
    tile = tile_of(left, bundle)
    background = np.array(bundle.manifest.codebook.background)
    assert (tile.indices == background[:, None, None]).all()
    ros.spin_until(lambda: pole.reported("receivers heard") == "1")


def test_a_station_nearby_gets_what_it_can_use(pole):
    whole = pole.sweep()
    pole.hear(2.0)
    near = pole.sweep()
    assert near.omitted_cells == 0
    assert near.payload == whole.payload


def test_while_more_stations_send_than_are_tracked_everything_is_sent(ros, parameters):
    pole = Pole(ros, parameters, min_occupancy=0.0, max_peers=1)
    pole.sweep()
    pole.hear(FAR)
    assert pole.sweep().omitted_cells > 0
    pole.hear(2.0, station_id=9)
    assert pole.sweep().omitted_cells == 0
    ros.spin_until(lambda: pole.reported("receivers' messages refused: too_many_stations") == "1")


def test_a_station_that_hardly_knows_where_it_is_gets_everything(pole):
    pole.sweep()
    pole.hear(FAR, spread=PoseSpread(5.0, 5.0))
    assert pole.sweep().omitted_cells == 0
    pole.ros.spin_until(lambda: pole.reported("receivers heard") == "1")


def test_a_pose_that_is_none_is_refused(ros, pole):
    first = pole.sweep()
    pole.air.publish(without_orientation(changed(first.message, station_id=8)))
    ros.spin_until(lambda: pole.reported("receivers' messages refused: pose") == "1")
    assert pole.sweep().omitted_cells == 0


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"format_id": 5}, "format"),
        ({"stamp_ns": time.time_ns() + 3600 * SECOND}, "future"),
        ({"place": TilePlace(0, 1, 0, 4096, 0, 1)}, "tiles"),
        ({"encoding": PARITY}, "encoding"),
        ({"payload": bytes(60_000)}, "payload_size"),
    ],
)
def test_a_packet_that_fusion_would_refuse_changes_nothing(ros, pole, values, reason):
    pole.sweep()
    pole.hear(FAR, **values)
    assert pole.sweep().omitted_cells == 0
    ros.spin_until(lambda: pole.reported(f"receivers' messages refused: {reason}") == "1")


def test_who_is_not_in_the_key_ring_is_not_heard(ros, parameters, tmp_path):
    generate_keys(tmp_path, 9)
    pole = Pole(ros, parameters, min_occupancy=0.0, key_ring=str(tmp_path), require_signature=True)
    pole.sweep()
    pole.hear(FAR)
    assert pole.sweep().omitted_cells == 0
    ros.spin_until(lambda: pole.reported("receivers' messages refused: unknown_station") == "1")


def test_a_pole_lays_its_grid_along_the_road_of_who_is_heard(ros, parameters, long_bundle_folder):
    values = {"bundle": str(long_bundle_folder), "interest_of_receivers": False}
    pole = Pole(ros, parameters, min_occupancy=0.0, turn_grid=True, **values)
    first = pole.sweep()
    assert first.header.frame_id == "lidar"
    np.testing.assert_array_equal(first.pose, np.eye(4))
    pole.hear(2.0, pose=pose_at(2.0, yaw=90.0))
    turned = pole.sweep()
    assert turned.header.frame_id == "lidar_grid"
    assert turned.header.stamp == time_message(pole.second * SECOND)
    assert turned.stamp_ns == pole.second * SECOND
    bundle = ModelBundle.load(long_bundle_folder)
    tile = tile_of(turned, bundle)
    np.testing.assert_allclose(tile.pose, pose_at(0.0, yaw=90.0), atol=1e-6)
    assert turned.spread == sent_spread(covariance())
    points = turned_points(NO_INTENSITY, np.pi / 2)
    expected = AgentEncoder(bundle, threads=1).encode(points).indices
    np.testing.assert_array_equal(tile.indices, expected)
    ros.spin_until(lambda: pole.reported("grid turned [degrees]") == "90.0")


def test_a_grid_that_is_not_to_be_turned_lies_as_the_sensor_does(pole):
    pole.sweep()
    pole.hear(2.0, pose=pose_at(2.0, yaw=90.0))
    assert pole.sweep().header.frame_id == "lidar"
    assert pole.reported("grid turned [degrees]") is None


def test_a_station_that_fuses_its_own_maps_turns_none(ros, parameters):
    with pytest.raises(ParameterError, match=r"turn_grid: got true.*start an encoder alone"):
        create_ego(parameter_overrides=parameters(station_id=7, turn_grid=True))
