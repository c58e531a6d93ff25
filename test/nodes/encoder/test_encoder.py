# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The encoder node, alive, over real topics."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovariance, PoseWithCovarianceStamped, TransformStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from transforms3d.euler import euler2mat

from quantv2x_msgs.msg import Codebook
from quantv2x_ros.core.channel.pacing import sweep_budget
from quantv2x_ros.core.channel.radio import radio_profile
from quantv2x_ros.core.geometry.packed_pose import sent_pose
from quantv2x_ros.core.geometry.pose import invert, matrix_from_v2x
from quantv2x_ros.core.peers.key_ring import KeyRing, generate_keys
from quantv2x_ros.core.peers.signing import is_signed_by
from quantv2x_ros.core.placement.levelling import Levelling, levelled_points, levelled_pose
from quantv2x_ros.core.transport.packet import PacketError, parts
from quantv2x_ros.core.transport.packet_sizes import GEONETWORKING_UNIT, HEADER_BYTES
from quantv2x_ros.core.transport.tiles import TileSettings
from quantv2x_ros.graph.parameters.parameter import ParameterError
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.manifest import BundleError
from quantv2x_ros.nodes.air.index_format import IndexFormat
from quantv2x_ros.nodes.common.conversions import (
    pose_to_message,
    time_message,
    transform_from_message,
)
from quantv2x_ros.nodes.common.point_cloud import message_from_points
from quantv2x_ros.nodes.encoder.encoder import EncoderNode
from test.nodes.packet_messages import sent_spread, tile_of

SECOND = 1_000_000_000
POINTS = np.random.default_rng(5).uniform((-20, -20, -2, 0), (20, 20, 1, 1), (3000, 4))
POINTS = POINTS.astype(np.float32)
NO_INTENSITY = POINTS * np.array([1, 1, 1, 0], np.float32)


def covariance(x=0.04, y=0.09, x_y=0.02, heading=0.0004):
    """Variances of x, y and heading, that of x with y, and more that no packet holds."""
    matrix = np.diag([x, y, 0.01, 0.001, 0.002, heading])
    matrix[0, 1] = matrix[1, 0] = x_y
    return matrix.ravel()


def size_of(packets):
    """Bytes of all packets, with headers and signatures."""
    return sum(len(packet.data) for packet in packets)


class Vehicle:
    """An encoder node, what it publishes, and its sensors."""

    def __init__(self, ros, parameters, **values):
        fixed = {
            "station_id": 7,
            "crop_ego_body": False,
            "pose_timeout": 0.3,
            "min_occupancy": 0.0,
            "radio": "none",
        }
        values = {**fixed, "max_payload_bytes": 0, **values}
        self.ros = ros
        self.node = ros.add(EncoderNode(parameter_overrides=parameters(**values)))
        self.indices = self.collect()
        self.diagnostics = ros.collect(DiagnosticArray, "/diagnostics")
        self.clouds = ros.node.create_publisher(PointCloud2, "points", 10)
        self.poses = ros.node.create_publisher(PoseWithCovarianceStamped, "pose", 10)
        ros.connect(self.clouds, self.poses)

    def collect(self):
        """A list that grows with every packet."""
        return self.ros.collect_packets(qos=100)

    def send_pose(self, stamp_ns, x=0.0, frame="map", z=0.0, spread=None):
        message = PoseWithCovarianceStamped(
            header=Header(stamp=time_message(stamp_ns), frame_id=frame),
            pose=PoseWithCovariance(
                pose=pose_to_message(matrix_from_v2x([x, 0, z, 0, 0, 0])),
                covariance=covariance() if spread is None else spread,
            ),
        )
        self.poses.publish(message)

    def send_cloud(self, stamp_ns, points=POINTS):
        header = Header(stamp=time_message(stamp_ns), frame_id="lidar")
        self.clouds.publish(message_from_points(points, header))

    def reported(self, key):
        """The newest value that the diagnostics give for a key; None where there is none."""
        for message in reversed(self.diagnostics):
            for value in message.status[0].values:
                if value.key == key:
                    return value.value
        return None

    def expect_drop(self, reason):
        self.ros.spin_until(lambda: self.reported(f"dropped: {reason}"))
        return self.reported(f"dropped: {reason}")

    def expect_still_alive(self):
        """A good sweep is still encoded after a bad one."""
        before = len(self.indices)
        self.send_pose(90 * SECOND)
        self.send_cloud(90 * SECOND)
        self.ros.spin_until(lambda: len(self.indices) > before)


@pytest.fixture
def vehicle(ros, parameters):
    return Vehicle(ros, parameters)


def test_a_sweep_is_sent_as_the_indices_that_the_pipeline_gives(ros, vehicle, bundle_folder):
    bundle = ModelBundle.load(bundle_folder)
    vehicle.send_pose(10 * SECOND, x=3.0)
    vehicle.send_cloud(10 * SECOND)
    ros.spin_until(lambda: vehicle.indices)
    (message,) = vehicle.indices
    tile = tile_of(message, bundle)
    expected = AgentEncoder(bundle, threads=1).encode(NO_INTENSITY).indices
    np.testing.assert_array_equal(tile.indices, expected)
    assert (tile.station_id, tile.sequence, tile.frame_id) == (7, 0, "lidar")
    assert tile.stamp_ns == 10 * SECOND
    assert message.header.stamp == time_message(10 * SECOND)
    assert tile.pose[0, 3] == pytest.approx(3.0)
    assert message.spread == sent_spread(covariance())
    assert (message.signature_kind, parts(message.data)[1]) == (0, b"")


@pytest.mark.parametrize(("used", "points"), [(True, POINTS), (False, NO_INTENSITY)])
def test_intensity_reaches_the_model_where_it_is_asked_for(
    ros, parameters, bundle_folder, used, points
):
    vehicle = Vehicle(ros, parameters, use_intensity=used)
    vehicle.send_pose(10 * SECOND)
    vehicle.send_cloud(10 * SECOND)
    ros.spin_until(lambda: vehicle.indices)
    bundle = ModelBundle.load(bundle_folder)
    tile = tile_of(vehicle.indices[0], bundle)
    encoder = AgentEncoder(bundle, threads=1)
    np.testing.assert_array_equal(tile.indices, encoder.encode(points).indices)
    other = NO_INTENSITY if used else POINTS
    assert not np.array_equal(tile.indices, encoder.encode(other).indices)


def tilted_street(degrees, height=1.6):
    """Ground and a few objects on it, as a sensor sees them that is mounted with a tilt."""
    rng = np.random.default_rng(1)
    points = rng.uniform((-30, -30, 0, 0), (30, 30, 0, 0), (8000, 4))
    points[:800, 2] += rng.uniform(0.2, 2.0, 800)
    points[:, 2] -= height
    points[:, :3] = points[:, :3] @ euler2mat(0.0, np.radians(degrees), 0.0).T
    return points.astype(np.float32)


def test_a_tilted_cloud_is_levelled_and_sent_with_the_pose_of_the_levelled_frame(
    ros, parameters, bundle_folder
):
    vehicle = Vehicle(ros, parameters)
    levels = ros.collect(TransformStamped, "level")
    cloud = tilted_street(3.0)
    vehicle.send_pose(10 * SECOND, x=3.0)
    vehicle.send_cloud(10 * SECOND, cloud)
    ros.spin_until(lambda: vehicle.indices and levels)
    bundle = ModelBundle.load(bundle_folder)
    level = Levelling(bundle.sensor_heights).update(cloud, 10.0)
    tile = tile_of(vehicle.indices[0], bundle)
    expected = AgentEncoder(bundle, threads=1).encode(levelled_points(cloud, level)).indices
    np.testing.assert_array_equal(tile.indices, expected)
    assert tile.frame_id == "lidar_level"
    lidar = matrix_from_v2x([3.0, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(tile.pose, sent_pose(levelled_pose(lidar, level)), atol=1e-9)
    assert np.abs(tile.pose - lidar).max() > 0.05
    (told,) = levels
    assert (told.header.frame_id, told.child_frame_id) == ("lidar", "lidar_level")
    assert told.header.stamp == time_message(10 * SECOND)
    np.testing.assert_allclose(transform_from_message(told.transform), invert(level), atol=1e-6)
    ros.spin_until(lambda: vehicle.reported("ground tilt [degrees]"))
    assert vehicle.reported("ground tilt [degrees]") == "3.0"
    assert float(vehicle.reported("sensor above ground [m]")) == pytest.approx(1.6, abs=0.05)


def test_a_cloud_is_left_as_it_is_where_that_is_asked_for(ros, parameters, bundle_folder):
    vehicle = Vehicle(ros, parameters, level=False)
    vehicle.send_pose(10 * SECOND)
    vehicle.send_cloud(10 * SECOND, tilted_street(3.0))
    ros.spin_until(lambda: vehicle.indices)
    bundle = ModelBundle.load(bundle_folder)
    tile = tile_of(vehicle.indices[0], bundle)
    expected = AgentEncoder(bundle, threads=1).encode(tilted_street(3.0)).indices
    np.testing.assert_array_equal(tile.indices, expected)
    assert tile.frame_id == "lidar"


def test_sequence_numbers_count_up(ros, vehicle):
    for number in range(3):
        vehicle.send_pose((10 + number) * SECOND)
        vehicle.send_cloud((10 + number) * SECOND)
        ros.spin_until(lambda wanted=number + 1: len(vehicle.indices) == wanted)
    assert [message.sequence for message in vehicle.indices] == [0, 1, 2]


def test_a_pose_between_two_is_interpolated(ros, vehicle):
    vehicle.send_pose(10 * SECOND, x=0.0)
    vehicle.send_pose(10 * SECOND + SECOND // 10, x=2.0)
    vehicle.send_cloud(10 * SECOND + SECOND // 20)
    ros.spin_until(lambda: vehicle.indices)
    assert vehicle.indices[0].pose[0, 3] == pytest.approx(1.0)


def test_a_sweep_waits_for_its_pose(ros, vehicle):
    vehicle.send_cloud(10 * SECOND)
    ros.spin_for(0.1)
    assert vehicle.indices == []
    vehicle.send_pose(10 * SECOND)
    ros.spin_until(lambda: vehicle.indices)


def test_a_sweep_without_a_pose_is_dropped_and_counted(ros, vehicle):
    vehicle.send_cloud(10 * SECOND)
    assert vehicle.expect_drop("no_pose").startswith("1 ")
    vehicle.send_pose(11 * SECOND)
    vehicle.send_cloud(12 * SECOND)
    assert "1.000 s older" in vehicle.expect_drop("pose_not_yet")
    vehicle.expect_still_alive()
    assert len(vehicle.indices) == 1


def test_a_pose_that_is_not_finite_is_dropped_and_counted(ros, vehicle):
    vehicle.send_pose(10 * SECOND, x=0.0)
    message = PoseWithCovarianceStamped(header=Header(frame_id="map"))
    message.pose.pose.position.x = float("nan")
    vehicle.poses.publish(message)
    assert "not finite" in vehicle.expect_drop("pose")
    vehicle.expect_still_alive()


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ({"spread": covariance(x=-0.04)}, "not one of x, y and heading"),
        ({"spread": covariance(x_y=1.0)}, "not one of x, y and heading"),
        ({"spread": covariance(heading=-1e-6)}, "not one of x, y and heading"),
        ({"spread": covariance(heading=np.nan)}, "not finite"),
        ({"spread": covariance(y=np.inf)}, "not finite"),
        ({"z": 9000.0}, "a packet holds up to 8388.61 m"),
    ],
    ids=["variance", "correlation", "heading", "not a number", "infinite", "height"],
)
def test_a_pose_that_no_packet_holds_is_dropped_and_counted(vehicle, broken, text):
    vehicle.send_pose(10 * SECOND, **broken)
    vehicle.send_cloud(10 * SECOND)
    dropped = vehicle.expect_drop("pose")
    assert dropped.startswith("1 (")
    assert text in dropped
    assert vehicle.indices == []
    vehicle.expect_still_alive()
    assert [message.sequence for message in vehicle.indices] == [0], "the lost one has no number"


def test_a_pose_in_another_frame_is_dropped_and_counted(vehicle):
    vehicle.send_pose(10 * SECOND, frame="odom")
    assert "'odom', expected 'map'" in vehicle.expect_drop("pose_frame")


def test_a_cloud_with_no_x_field_is_dropped_and_counted(vehicle):
    vehicle.send_pose(10 * SECOND)
    message = message_from_points(POINTS, Header(stamp=time_message(10 * SECOND)))
    message.fields = message.fields[1:]
    vehicle.clouds.publish(message)
    assert "no field x" in vehicle.expect_drop("cloud")
    vehicle.expect_still_alive()


@pytest.mark.parametrize(
    "points",
    [
        np.empty((0, 4), np.float32),
        np.full((100, 4), np.nan, np.float32),
        POINTS + np.float32(1e6),
        np.full((10, 4), 3e38, np.float32),
    ],
    ids=["empty", "all NaN", "far outside", "near the largest float"],
)
def test_a_cloud_without_a_point_in_range_is_an_empty_sweep(ros, vehicle, bundle_folder, points):
    vehicle.send_pose(10 * SECOND)
    vehicle.send_cloud(10 * SECOND, points)
    ros.spin_until(lambda: vehicle.indices)
    bundle = ModelBundle.load(bundle_folder)
    tile = tile_of(vehicle.indices[0], bundle)
    empty = AgentEncoder(bundle, threads=1).encode(np.empty((0, 4), np.float32)).indices
    np.testing.assert_array_equal(tile.indices, empty)
    vehicle.expect_still_alive()


def test_the_own_vehicle_is_cut_out(ros, parameters, bundle_folder):
    vehicle = Vehicle(ros, parameters, crop_ego_body=True, ego_body_box=[-15.0, -15.0, 15.0, 15.0])
    vehicle.send_pose(10 * SECOND)
    vehicle.send_cloud(10 * SECOND)
    ros.spin_until(lambda: vehicle.indices)
    bundle = ModelBundle.load(bundle_folder)
    tile = tile_of(vehicle.indices[0], bundle)
    outer = NO_INTENSITY[np.abs(POINTS[:, :2]).max(axis=1) > 15.0]
    expected = AgentEncoder(bundle, threads=1).encode(outer).indices
    np.testing.assert_array_equal(tile.indices, expected)


def test_a_sweep_is_split_into_payloads_of_the_size_given(ros, parameters):
    vehicle = Vehicle(ros, parameters, max_payload_bytes=1398, parity=0.1)
    vehicle.send_pose(10 * SECOND)
    vehicle.send_cloud(10 * SECOND)
    ros.spin_until(lambda: vehicle.indices)
    first = vehicle.indices[0]
    total = first.tile_count + first.parity_count
    assert first.tile_count > 1
    assert first.parity_count >= 1
    ros.spin_until(lambda: len(vehicle.indices) == total)
    assert [message.tile_index for message in vehicle.indices] == list(range(total))
    assert {message.sequence for message in vehicle.indices} == {0}
    assert max(len(message.payload) for message in vehicle.indices) <= 1398
    assert all(len(m.data) == HEADER_BYTES + len(m.payload) for m in vehicle.indices)


@pytest.mark.parametrize(("kind", "number"), [("ed25519", 1), ("ecdsa_p256", 2)])
def test_with_a_key_every_packet_is_signed_and_fits_a_frame_of_geonetworking(
    ros, parameters, tmp_path, kind, number
):
    key, _ = generate_keys(tmp_path, 7, kind=kind)
    default = {"max_payload_bytes": TileSettings.max_payload_bytes}
    vehicle = Vehicle(ros, parameters, signing_key=str(key), parity=0.1, **default)
    vehicle.send_pose(10 * SECOND)
    vehicle.send_cloud(10 * SECOND)
    ros.spin_until(lambda: vehicle.indices)
    first = vehicle.indices[0]
    ros.spin_until(lambda: len(vehicle.indices) == first.tile_count + first.parity_count)
    public = KeyRing.load(tmp_path)[7]
    for message in vehicle.indices:
        content, signature = parts(message.data)
        assert message.signature_kind == number
        assert len(signature) == 64
        assert is_signed_by(public, signature, content)
        assert not is_signed_by(public, signature, content[:-1] + b"?")
        assert len(message.data) <= GEONETWORKING_UNIT
    ros.spin_until(lambda: vehicle.reported("bytes a frame") == str(size_of(vehicle.indices)))


def test_a_sweep_keeps_to_its_budget_and_says_what_it_left_out(ros, parameters):
    vehicle = Vehicle(ros, parameters, max_payload_bytes=1398, max_bytes_per_frame=2500)
    vehicle.send_pose(10 * SECOND)
    vehicle.send_cloud(10 * SECOND)
    ros.spin_until(lambda: vehicle.indices)
    message = vehicle.indices[0]
    ros.spin_until(lambda: len(vehicle.indices) == message.tile_count)
    assert 0 < size_of(vehicle.indices) <= 2500
    assert message.sent_levels == message.place.levels == 1
    assert message.omitted_cells > 0
    ros.spin_until(lambda: vehicle.reported("levels sent") == "1 of 3")
    assert vehicle.reported("cells left out") == str(message.omitted_cells)


def test_a_radios_law_cuts_a_sweep_and_all_that_is_left_goes(ros, parameters):
    vehicle = Vehicle(ros, parameters, max_payload_bytes=700, radio="its_g5_6")
    vehicle.send_pose(10 * SECOND)
    vehicle.send_cloud(10 * SECOND)
    ros.spin_until(lambda: vehicle.indices)
    count = vehicle.indices[0].tile_count
    assert count > 1
    ros.spin_until(lambda: len(vehicle.indices) == count)
    assert [message.tile_index for message in vehicle.indices] == list(range(count))
    law = radio_profile("its_g5_6")
    assert size_of(vehicle.indices) <= sweep_budget(law, 0.1, 700, HEADER_BYTES)
    ros.spin_until(lambda: vehicle.reported("radio") == "its_g5_6")
    assert 0 < int(vehicle.reported("allowed airtime used").split()[0]) <= 100
    vehicle.node.trigger_deactivate()
    vehicle.node.trigger_activate()
    vehicle.send_pose(11 * SECOND)
    vehicle.send_cloud(11 * SECOND)
    ros.spin_until(lambda: len(vehicle.indices) > count)


def test_a_radio_that_is_not_known_is_refused(ros, parameters):
    with pytest.raises(ParameterError, match="radio"):
        EncoderNode(parameter_overrides=parameters(station_id=7, radio="wifi"))


def test_the_codebook_is_announced_to_late_subscribers(ros, vehicle, bundle_folder):
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    announcements = ros.collect(Codebook, "/v2x/codebook", latched)
    ros.spin_until(lambda: announcements)
    bundle = ModelBundle.load(bundle_folder)
    assert announcements[0].station_id == 7
    assert announcements[0].codebook_id == bundle.codebook_id
    assert announcements[0].bundle_name == bundle.name
    assert announcements[0].map_frame == "map"
    assert announcements[0].format_id == IndexFormat.of(bundle, "map").format_id
    vehicle.send_pose(10 * SECOND)
    vehicle.send_cloud(10 * SECOND)
    ros.spin_until(lambda: vehicle.indices)
    assert vehicle.indices[0].format_id == announcements[0].format_id


def test_packets_of_another_map_frame_are_of_another_format(ros, parameters, bundle_folder):
    vehicle = Vehicle(ros, parameters, map_frame="utm")
    vehicle.send_pose(10 * SECOND, frame="utm")
    vehicle.send_cloud(10 * SECOND)
    ros.spin_until(lambda: vehicle.indices)
    bundle = ModelBundle.load(bundle_folder)
    assert tile_of(vehicle.indices[0], bundle, "utm").station_id == 7
    with pytest.raises(PacketError) as caught:
        tile_of(vehicle.indices[0], bundle, "map")
    assert caught.value.reason == "format"


def test_diagnostics_tell_rate_bytes_and_stages(ros, vehicle):
    for number in range(5):
        vehicle.send_pose((10 + number) * SECOND)
        vehicle.send_cloud((10 + number) * SECOND)
        ros.spin_until(lambda wanted=number + 1: len(vehicle.indices) == wanted)
    ros.spin_until(lambda: vehicle.reported("rate [Hz]") not in (None, "0.00"))
    assert int(vehicle.reported("bytes a frame")) == len(vehicle.indices[0].data)
    total = size_of(vehicle.indices)
    ros.spin_until(lambda: vehicle.reported("bytes sent") == str(total))
    assert vehicle.reported("packets a frame") == "1 + 0 parity"
    assert int(vehicle.reported("points received")) == len(POINTS)
    assert 0 < int(vehicle.reported("pillars")) <= int(vehicle.reported("points in range"))
    assert int(vehicle.reported("points in range")) <= len(POINTS)
    for stage in ("convert", "pillars", "encoder", "codebook", "wire", "total"):
        assert float(vehicle.reported(f"{stage} p50 [ms]")) >= 0.0


def test_a_damaged_bundle_ends_the_start_with_a_clear_error(ros, parameters, tmp_path):
    with pytest.raises(BundleError, match="missing"):
        EncoderNode(parameter_overrides=parameters(bundle=str(tmp_path)))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"backend": "abacus"}, "'abacus', allowed are auto, openvino, tensorrt"),
        ({"levels": 9}, "levels.*0 to 8"),
        ({"parity": -0.1}, "parity"),
        ({"station_id": -2}, "station_id"),
        ({"station_id": "one"}, "station_id"),
    ],
)
def test_a_parameter_out_of_bounds_ends_the_start_with_its_name(ros, parameters, values, text):
    with pytest.raises(ParameterError, match=text):
        EncoderNode(parameter_overrides=parameters(**values))


def test_a_bad_body_box_ends_the_start(ros, parameters):
    with pytest.raises(ValueError, match="box"):
        EncoderNode(parameter_overrides=parameters(ego_body_box=[1.0, 2.0]))
