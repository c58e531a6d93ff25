# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the encoder node."""

from __future__ import annotations

from dataclasses import dataclass, field

from quantv2x_ros.core.channel.radio import DEFAULT_RADIO, PROFILES
from quantv2x_ros.core.transport.packet_sizes import FIELD_BYTES, MAX_PACKET_BYTES
from quantv2x_ros.core.transport.sweep_sender import RateController, SendSettings
from quantv2x_ros.core.transport.tiles import TileSettings
from quantv2x_ros.data.bag_topics import POSE_SOURCES
from quantv2x_ros.graph.parameters.common import (
    HealthParameters,
    ModelParameters,
    NodeParameters,
    StationParameters,
    TrustParameters,
)
from quantv2x_ros.graph.parameters.parameter import Parameters, parameter

#: What comes first where a computer cannot do all: the ego's boxes, or every sweep on the air.
PRIORITIES = ("fusion", "broadcast")


@dataclass(frozen=True)
class PoseParameters(Parameters):
    """Source of the sweeps' poses."""

    pose_timeout: float = parameter(
        0.1,
        "Longest wait for the pose of a sweep before it is dropped [s].",
        low=0.0,
        high=10.0,
        live=True,
    )
    pose_source: str = parameter(
        POSE_SOURCES[0],
        "Where the LiDAR's pose comes from: the topic pose (PoseWithCovarianceStamped), the topic "
        "odometry (nav_msgs/Odometry), or tf from map_frame to the cloud's frame (needs tf2_ros).",
        choices=POSE_SOURCES,
    )
    pose_max_gap: float = parameter(
        0.5,
        "Longest time between two poses that is interpolated [s]; of tf, tf2 decides.",
        low=0.001,
        high=10.0,
    )
    sensor_mount: tuple[float, ...] = parameter(
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        "Where the frame of the clouds is in the frame that pose or odometry is of: x, y, z "
        "[m], roll, pitch, yaw [degrees]; all 0: they are of that frame. Of tf, TF knows.",
    )
    tf_position_sigma: float = parameter(
        0.1,
        "Standard deviation of positions from tf that others are told [m]; TF has none.",
        low=0.0,
        high=1000.0,
    )
    tf_rotation_sigma: float = parameter(
        0.5,
        "Standard deviation of rotations from tf that others are told [degrees].",
        low=0.0,
        high=180.0,
    )


@dataclass(frozen=True)
class CloudParameters(Parameters):
    """Placement of clouds, and what is done to them before they are encoded."""

    cloud_mount: tuple[float, ...] = parameter(
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        "Where the frame that the model expects (x forward, y left, z up, a LiDAR's height "
        "above the ground) is in the clouds' frame, or in lidar_frame: x, y, z [m], roll, "
        "pitch, yaw [degrees]; all 0: it is that frame.",
    )
    cloud_scale: float = parameter(
        1.0, "Metres in a unit of the clouds: 0.001 for millimetres.", low=1e-6, high=1e6
    )
    lidar_frame: str = parameter(
        "",
        "Frame that clouds are brought to by TF (needs tf2_ros), before cloud_mount; empty: "
        "they stay in their own.",
    )
    crop_ego_body: bool = parameter(True, "Drop the points on the own vehicle (ego_body_box).")
    ego_body_box: tuple[float, ...] = parameter(
        (-1.95, -1.1, 2.95, 1.1),
        "Where the LiDAR sees its own vehicle: minimum x, y, maximum x, y [m], in the frame "
        "that the model sees clouds in (cloud_mount).",
    )
    use_intensity: bool = parameter(
        False,
        "Give the model the cloud's intensity, for a model trained so; else it is set to 0, "
        "as in V2X-Real.",
    )
    check_clouds: bool = parameter(
        True,
        "Say on /diagnostics where clouds seem to lie otherwise than the model expects: by "
        "their extent, their ground, the way that the station moves, their frames and who "
        "publishes them.",
    )
    level: bool = parameter(
        True,
        "Level each cloud by its own ground plane, as the model knows ground: its maps are "
        "then in a frame of their own, the LiDAR's name and _level. A bundle with parity has "
        "none levelled.",
    )


@dataclass(frozen=True)
class SendingParameters(Parameters):
    """Selection and tiles of an index map that is sent."""

    max_payload_bytes: int = parameter(
        TileSettings.max_payload_bytes,
        "Largest payload of a packet, which has up to 128 bytes more; 0 sends each sweep as one "
        "packet, which holds up to 65,379.",
        low=0,
        high=MAX_PACKET_BYTES - FIELD_BYTES,
    )
    coarse_first: bool = parameter(
        TileSettings.coarse_first,
        "Send the coarsest level of all cells first, in messages of its own; takes more bytes.",
    )
    levels: int = parameter(
        SendSettings.levels, "Residual levels sent at most; 0: all.", low=0, high=8
    )
    min_occupancy: float = parameter(
        SendSettings.min_occupancy,
        "Cells where an object is less likely than this are not sent; 0 sends all.",
        low=0.0,
        high=0.99,
    )
    parity: float = parameter(
        SendSettings.parity,
        "Parity messages for each message of a sweep, rounded up; they replace lost ones.",
        low=0.0,
        high=2.0,
    )
    max_bytes_per_frame: int = parameter(
        RateController.max_bytes_per_frame,
        "Most bytes of a sweep's payloads; what is worth least is left out. 0: no limit.",
        low=0,
        high=1 << 24,
        live=True,
    )
    max_bitrate: float = parameter(
        RateController.max_bitrate,
        "Mean bit rate of the payloads that is not exceeded [bit/s]; 0: no limit.",
        low=0.0,
        high=1e9,
        live=True,
    )
    radio: str = parameter(
        DEFAULT_RADIO,
        "Radio whose law is kept: airtime of a packet, gap, share of a second; sweeps are cut to "
        "it and their messages go one by one. none: no law.",
        choices=tuple(PROFILES),
    )
    send_objects: bool = parameter(
        True,
        "Send what the own fusion node finds in the own sweeps alone, too, in packets of their "
        "own: stations with any model use them. They have the first claim on what the radio's law "
        "or a limit of bytes allows. Without a fusion node in the own namespace none are sent.",
    )
    signing_key: str = parameter(
        "", "Private key (made by `keys`) that signs every message; empty: they are not signed."
    )
    interest_range: float = parameter(
        0.0,
        "Cells further from the sensor are not sent [m]; 0 sends all.",
        low=0.0,
        high=10_000.0,
    )

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: for a value out of range, or a payload too small for its parity.
        """
        super().__post_init__()
        _ = self.settings

    @property
    def settings(self) -> SendSettings:
        """Return the settings of sending a sweep."""
        return SendSettings(
            TileSettings(self.max_payload_bytes, self.coarse_first),
            self.levels,
            self.min_occupancy,
            self.parity,
        )


@dataclass(frozen=True)
class ReceiversParameters(Parameters):
    """Effects of the stations heard lately on what is sent, and which stations are heard."""

    interest_of_receivers: bool = parameter(
        False,
        "Cells outside the detection ranges of all stations heard lately are not sent; while "
        "none is heard, all are.",
    )
    turn_grid: bool = parameter(
        False,
        "Lay the grid along the roads of the stations heard lately, for a roadside unit that "
        "only sends: its maps are then in a frame of their own, the LiDAR's name and _grid.",
    )
    trust: TrustParameters = field(default=TrustParameters())


@dataclass(frozen=True)
class EncoderParameters(NodeParameters):
    """Parameters of the encoder node."""

    # of a sensor with 10 Hz: slower than its period, sweeps are superseded
    health: HealthParameters = field(
        default=HealthParameters(min_rate=1.0, stage_limits="total=100")
    )
    station: StationParameters = field(default=StationParameters())
    model: ModelParameters = field(default=ModelParameters())
    priority: str = parameter(
        PRIORITIES[0],
        "What comes first in `ego` where its computer cannot do all: fusion encodes no sweep "
        "that it could not fuse, broadcast encodes and sends every one.",
        choices=PRIORITIES,
    )
    poses: PoseParameters = field(default=PoseParameters())
    clouds: CloudParameters = field(default=CloudParameters())
    sending: SendingParameters = field(default=SendingParameters())
    receivers: ReceiversParameters = field(default=ReceiversParameters())
