# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation may set: who cooperates, and over what link."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from quantv2x_ros.core.channel.channel_model import ChannelSettings
from quantv2x_ros.core.placement.cloud_placement import NOT_MOVED, CloudPlacement
from quantv2x_ros.core.transport.sweep_sender import SendSettings
from quantv2x_ros.data.frame import COMMUNICATION_RANGE
from quantv2x_ros.data.modes import check_mode
from quantv2x_ros.data.scenario import FRAME_PERIOD


class EvaluationSettingError(ValueError):
    """A setting of an evaluation that makes no sense."""


@dataclass(frozen=True)
class Sending:
    """How an agent sends its index map.

    Attributes:
        settings: Tiles, levels, selection and parity; see `SendSettings`.
        max_bytes: Most bytes of a frame; 0 for any number.
        interest_range: Cells further from the sensor are not sent, metres; 0 for no limit.
        interest_of_receivers: Cells that no other agent can use are not sent, see `Receivers`.
    """

    settings: SendSettings = field(default_factory=SendSettings)
    max_bytes: int = 0
    interest_range: float = 0.0
    interest_of_receivers: bool = False

    def __post_init__(self) -> None:
        """Raise EvaluationSettingError for a negative limit."""
        for name in ("max_bytes", "interest_range"):
            if not getattr(self, name) >= 0:
                raise EvaluationSettingError(f"{name} must be 0 or more, got {getattr(self, name)}")

    @property
    def is_whole(self) -> bool:
        """Whether everything is sent."""
        settings = self.settings
        interest = (self.interest_range, self.interest_of_receivers)
        return not any((settings.levels, settings.min_occupancy, self.max_bytes, *interest))


@dataclass(frozen=True)
class Link:
    """What happens to the peers' messages.

    Attributes:
        loss: Probability that a tile of a peer's message is lost, in [0, 1].
        latency_ms: Age of a peer's message when it is fused, with the pose of then.
        pose_noise: Standard deviation of a peer's position in x and y, metres.
        heading_noise: Standard deviation of a peer's heading, degrees; `None`: the number of
            `pose_noise`.
        sending: What is sent, in tiles of what size.
        seed: Of losses and noise.
        conceal: A peer's lost cells are taken from its sweeps up to so long before, seconds; 0 for
            holes. The default is that of the fusion node.
        channel: The air that all agents share, in place of `loss`; `None` for none.
        deadline_ms: Messages that come later than this after a sweep of the ego do not count.
    """

    loss: float = 0.0
    latency_ms: float = 0.0
    pose_noise: float = 0.0
    heading_noise: float | None = None
    sending: Sending = field(default_factory=Sending)
    seed: int = 0
    conceal: float = 0.3
    channel: ChannelSettings | None = None
    deadline_ms: float = 50.0

    def __post_init__(self) -> None:
        """Raise EvaluationSettingError for values out of range."""
        if not 0.0 <= self.loss <= 1.0:
            raise EvaluationSettingError(f"loss must be in [0, 1], got {self.loss}")
        if self.channel is not None and self.loss:
            raise EvaluationSettingError(
                f"loss is {self.loss}, but with a channel the channel's own loss counts; leave one"
                " away"
            )
        for name, value in (
            ("conceal", self.conceal),
            ("deadline_ms", self.deadline_ms),
            ("latency_ms", self.latency_ms),
            ("pose_noise", self.pose_noise),
            ("heading_noise", self.heading_deviation),
        ):
            if not 0.0 <= value < np.inf:
                raise EvaluationSettingError(f"{name} must not be negative, got {value}")

    @property
    def delay(self) -> int:
        """Age of the peers' messages in whole frames."""
        return round(self.latency_ms / (1e3 * FRAME_PERIOD))

    @property
    def is_perfect(self) -> bool:
        """Whether all that is sent arrives, at the age of `latency_ms`."""
        return self.loss == 0.0 and self.channel is None

    @property
    def heading_deviation(self) -> float:
        """Standard deviation of a peer's heading, degrees."""
        return self.pose_noise if self.heading_noise is None else self.heading_noise


@dataclass(frozen=True)
class EvaluationConfig:
    """How to evaluate.

    Attributes:
        agents: Most agents in a frame, the ego included; the nearest peers are taken.
        ego_only: Fuse nothing but the ego's own sweep; the truth stays that of all agents.
        mode: Cooperation mode, see `select_agents`.
        protocol: Order of the detections, see `AveragePrecision`.
        link: State of the link.
        max_frames: Evaluate only so many frames, spread over the dataset; 0 is all.
        communication_range: Agents up to this far from the ego are heard, metres.
        align: Correct peers' poses by the objects that both see.
        compensate: Carry moving objects in peers' late messages on to now.
        turn_grids: Roadside units lay their grids along their receivers' roads, see `GridTurn`.
        level: Agents level their clouds by their ground planes, see `Levelling`.
        placement: How the clouds' frames lie to the LiDARs'.
        skip_broken: Leave frames with damaged files out, and list the files, instead of stopping.
    """

    agents: int = 3
    ego_only: bool = False
    mode: str = "vc"
    protocol: str = "global"
    link: Link = field(default_factory=Link)
    max_frames: int = 0
    communication_range: float = COMMUNICATION_RANGE
    skip_broken: bool = False
    align: bool = False
    compensate: bool = False
    turn_grids: bool = True
    level: bool = True
    placement: CloudPlacement = NOT_MOVED

    def __post_init__(self) -> None:
        """Raise EvaluationSettingError for values out of range, ModeError for unknown modes."""
        check_mode(self.mode)
        if self.agents < 1 or self.max_frames < 0:
            raise EvaluationSettingError(
                f"at least one agent and no negative number of frames, got {self.agents} and"
                f" {self.max_frames}"
            )
        if not self.communication_range >= 0.0:
            raise EvaluationSettingError(
                f"communication_range must be 0 m or more, got {self.communication_range}"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return what a result says of its settings."""
        link = self.link
        return {
            "protocol": self.protocol,
            "mode": self.mode,
            "agents": 1 if self.ego_only else self.agents,
            "communication_range": self.communication_range,
            "loss": link.loss,
            "max_payload_bytes": link.sending.settings.tiles.max_payload_bytes,
            "levels": link.sending.settings.levels,
            "min_occupancy": link.sending.settings.min_occupancy,
            "parity": link.sending.settings.parity,
            "max_bytes": link.sending.max_bytes,
            "interest_range": link.sending.interest_range,
            "interest_of_receivers": link.sending.interest_of_receivers,
            "align": self.align,
            "compensate": self.compensate,
            "turn_grids": self.turn_grids,
            "level": self.level,
            "cloud_mount": self.placement.numbers,
            "cloud_scale": self.placement.scale,
            "latency_ms": 1e3 * FRAME_PERIOD * link.delay,
            "pose_noise": link.pose_noise,
            "heading_noise": link.heading_deviation,
            "seed": link.seed,
            "conceal": link.conceal,
            "channel": None if link.channel is None else asdict(link.channel),
            "deadline_ms": link.deadline_ms,
        }
