# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an evaluation may set: who cooperates, and over what link."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from quantv2x_ros.core.channel.channel_model import ChannelSettings
from quantv2x_ros.core.channel.pacing import sweep_budget
from quantv2x_ros.core.channel.radio import DEFAULT_RADIO, RadioError, radio_profile
from quantv2x_ros.core.placement.cloud_placement import NOT_MOVED, CloudPlacement
from quantv2x_ros.core.receiver_settings import ReceiverSettings
from quantv2x_ros.core.transport.sweep_sender import SendSettings, tightest
from quantv2x_ros.data.frame import COMMUNICATION_RANGE
from quantv2x_ros.data.modes import check_mode
from quantv2x_ros.data.scenario import FRAME_PERIOD

#: What agents send: features as codebook indices, or the boxes that each has found alone.
FUSIONS = ("features", "late", "hybrid")


class EvaluationSettingError(ValueError):
    """A setting of an evaluation that makes no sense."""


@dataclass(frozen=True)
class Sending:
    """How an agent sends its index map.

    Attributes:
        settings: Tiles, levels, selection and parity; see `SendSettings`.
        max_bytes: Most bytes of a frame; 0 for any number.
        interest_range: Cells further from the sensor are not sent, metres; 0 for no limit.
        interest_of_receivers: Cells that no other agent can use are not sent.
        radio: Whose law is kept: none, its_g5_6, its_g5_12 or lte_v2x; see `core.channel.radio`.
    """

    settings: SendSettings = field(default_factory=SendSettings)
    max_bytes: int = 0
    interest_range: float = 0.0
    interest_of_receivers: bool = False
    radio: str = DEFAULT_RADIO

    def __post_init__(self) -> None:
        """Raise EvaluationSettingError for a negative limit."""
        for name in ("max_bytes", "interest_range"):
            if not getattr(self, name) >= 0:
                raise EvaluationSettingError(f"{name} must be 0 or more, got {getattr(self, name)}")
        try:
            radio_profile(self.radio)
        except RadioError as error:
            raise EvaluationSettingError(str(error)) from None

    @property
    def budget(self) -> int | None:
        """Most bytes of a sweep's packets at `FRAME_PERIOD`; None for any number."""
        return self.budget_beside(())

    def budget_beside(self, reserved: Sequence[int]) -> int | None:
        """Return what `budget` leaves beside packets of these sizes, bytes."""
        unit = self.settings.tiles.max_payload_bytes
        law = radio_profile(self.radio)
        lawful = sweep_budget(law, FRAME_PERIOD, unit, reserved=reserved)
        given = max(1, self.max_bytes - sum(reserved)) if self.max_bytes else None
        return tightest(given, lawful)


@dataclass(frozen=True)
class Link:
    """What happens to the peers' messages.

    Attributes:
        loss: Probability that a tile of a peer's message is lost, in [0, 1].
        latency_ms: Time that every message takes.
        pose_noise: Standard deviation of a peer's position in x and y, metres.
        heading_noise: Standard deviation of a peer's heading, degrees; null: the number of
            pose_noise.
        sending: What is sent, in tiles of what size.
        seed: Seed of losses and noise.
        channel: The air that all agents share, in place of `loss`; `None` for none.
        own_delay_ms: Time from the ego's sweep until its own encoder has handed it to the fusion;
            from then on peers' messages that are due are waited for, for receiver.peer_wait.
        objects_delay_ms: Time from then, and from when a peer sends its features, until what each
            has found alone, or the ego in fused features, is there.
    """

    loss: float = 0.0
    latency_ms: float = 0.0
    pose_noise: float = 0.0
    heading_noise: float | None = None
    sending: Sending = field(default_factory=Sending)
    seed: int = 0
    channel: ChannelSettings | None = None
    own_delay_ms: float = 20.0
    objects_delay_ms: float = 30.0

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
            ("own_delay_ms", self.own_delay_ms),
            ("objects_delay_ms", self.objects_delay_ms),
            ("latency_ms", self.latency_ms),
            ("pose_noise", self.pose_noise),
            ("heading_noise", self.heading_deviation),
        ):
            if not 0.0 <= value < np.inf:
                raise EvaluationSettingError(f"{name} must not be negative, got {value}")

    @property
    def delay(self) -> int:
        """Frames that a message takes, begun ones counted."""
        return math.ceil(self.latency_ms / (1e3 * FRAME_PERIOD) - 1e-9)

    @property
    def carries_features(self) -> bool:
        """Whether a feature that no codebook has touched may be sent: it has no tiles to lose."""
        free = Sending(radio="none")
        return self.loss == 0.0 and self.channel is None and self.sending == free

    @property
    def heading_deviation(self) -> float:
        """Standard deviation of a peer's heading, degrees."""
        return self.pose_noise if self.heading_noise is None else self.heading_noise


@dataclass(frozen=True)
class EvaluationConfig:
    """How to evaluate.

    Attributes:
        agents: Most agents in a frame, the ego included; the nearest peers are taken. 0 for as many
            as the bundle fuses.
        ego_only: Fuse nothing but the ego's own sweep; the truth stays that of all agents.
        mode: Who is ego and who is heard: vc (a vehicle, all), ic, v2v or i2i.
        protocol: Order of the detections: global ranks all, v2xreal those of a frame.
        link: State of the link.
        max_frames: Evaluate only so many frames, spread over the dataset; 0 is all.
        communication_range: Agents up to this far from the ego are heard, metres.
        receiver: What the ego does with what it hears.
        turn_grids: Roadside units lay their grids along their receivers' roads.
        level: Agents level their clouds by their ground planes.
        placement: How the clouds' frames lie to the LiDARs'.
        fusion: What agents send and the ego fuses: features; late for the boxes that each has found
            alone, in collective perception messages; hybrid for both, boxes first where bytes are
            limited, in packets of this project.
        skip_broken: Leave frames with damaged files out, and list the files, instead of stopping.
    """

    agents: int = 0
    ego_only: bool = False
    mode: str = "vc"
    protocol: str = "global"
    link: Link = field(default_factory=Link)
    max_frames: int = 0
    communication_range: float = COMMUNICATION_RANGE
    skip_broken: bool = False
    receiver: ReceiverSettings = field(default_factory=ReceiverSettings)
    turn_grids: bool = True
    level: bool = True
    placement: CloudPlacement = NOT_MOVED
    fusion: str = "hybrid"

    def __post_init__(self) -> None:
        """Raise EvaluationSettingError for values out of range, ModeError for unknown modes."""
        check_mode(self.mode)
        if self.fusion not in FUSIONS:
            raise EvaluationSettingError(
                f"fusion: got {self.fusion!r}, allowed are {', '.join(FUSIONS)}"
            )
        if self.agents < 0 or self.max_frames < 0:
            raise EvaluationSettingError(
                f"agents and max_frames must be 0 or more, got {self.agents} and {self.max_frames}"
            )
        if not self.communication_range >= 0.0:
            raise EvaluationSettingError(
                f"communication_range must be 0 m or more, got {self.communication_range}"
            )

    @property
    def traffic(self) -> tuple[str, Sending]:
        """What decides on the bytes of an agent's sweep."""
        return self.fusion, self.link.sending

    def resolved(self, most_agents: int, sends_features: bool = False) -> EvaluationConfig:
        """Return the same with nothing left open.

        Args:
            most_agents: Agents that the bundle fuses: so many are where no number is given.
            sends_features: Whether agents send features that no codebook has touched. No radio
                carries them: unless something else is asked for, they arrive whole and alone.
        """
        config = self if self.agents else replace(self, agents=most_agents)
        default = EvaluationConfig()
        is_open = (self.fusion, self.link.sending) == (default.fusion, default.link.sending)
        if sends_features and is_open:
            free = replace(self.link, sending=replace(self.link.sending, radio="none"))
            return replace(config, fusion=FUSIONS[0], link=free)
        return config

    def as_dict(self) -> dict[str, Any]:
        """Return what a result says of its settings."""
        link = self.link
        return {
            "protocol": self.protocol,
            "mode": self.mode,
            "fusion": self.fusion,
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
            "radio": link.sending.radio,
            **asdict(self.receiver),
            "turn_grids": self.turn_grids,
            "level": self.level,
            "cloud_mount": self.placement.numbers,
            "cloud_scale": self.placement.scale,
            "latency_ms": link.latency_ms,
            "pose_noise": link.pose_noise,
            "heading_noise": link.heading_deviation,
            "seed": link.seed,
            "channel": None if link.channel is None else asdict(link.channel),
            "own_delay_ms": link.own_delay_ms,
        }
