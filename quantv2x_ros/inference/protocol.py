# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The steps of cooperative detection, whatever carries them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.inference.model.bundle import ModelBundle

Cloud = npt.NDArray[np.float32]
IndexArray = npt.NDArray[np.uint8]
Cells = npt.NDArray[np.bool_]


class MessageError(ValueError):
    """A message of another kind than a step works on: a feature as it is, or an index map."""

    def __init__(self) -> None:
        """Say what such a message asks for."""
        super().__init__(
            "uncoded features are not sent in tiles: leave loss, selection, budget and channel "
            "away, or choose another precision"
        )


@dataclass(frozen=True, eq=False)
class PlainFeature:
    """A message that holds an agent's feature as it is, without a codebook.

    Attributes:
        values: (H, W, C) float32.
    """

    values: npt.NDArray[np.float32]


#: What a receiver reads of the bytes on the air: an index map (planes, H, W), or a feature.
Message = IndexArray | PlainFeature


def indices_of(message: Message) -> IndexArray:
    """Return a message's index map (planes, H, W).

    Raises:
        MessageError: For a message that has none.
    """
    if isinstance(message, PlainFeature):
        raise MessageError
    return message


@dataclass(frozen=True, eq=False)
class Broadcast:
    """What one agent sends for one sweep.

    Attributes:
        payload: The bytes on the air.
        stage_ms: Time of each stage that made them, milliseconds.
        own: What stays with the agent, for its own pyramid; only the detector that made it can read
            it. `None` where that pyramid is made of the message, too.
    """

    payload: bytes
    stage_ms: Mapping[str, float]
    own: Any = None


@dataclass(frozen=True, eq=False)
class AgentFeatures:
    """What the ego makes of one agent's message before it fuses.

    Attributes:
        content: Only the detector that made it can read it.
        stage_ms: Time of each stage that made it, milliseconds.
    """

    content: Any
    stage_ms: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Fused:
    """What the ego makes of its own sweep and its peers' messages.

    Attributes:
        detections: Boxes in the ego's LiDAR frame.
        stage_ms: Time of each stage, milliseconds, without those of the agents' features.
    """

    detections: Detections
    stage_ms: Mapping[str, float]


class Detector(Protocol):
    """The steps of cooperative detection.

    Attributes:
        bundle: Model that is used.
        precision: `int8` or `fp32`; with `, uncoded` where messages are features as they are.
    """

    bundle: ModelBundle
    precision: str

    def broadcast(self, points: Cloud) -> Broadcast:
        """Encode one agent's sweep (P, 4), in its own LiDAR frame."""

    def decode(self, payload: bytes) -> Message:
        """Read a message."""

    def extract(
        self,
        message: Message,
        received: Cells | None = None,
        ego_to_agent: npt.NDArray[np.float64] | None = None,
    ) -> AgentFeatures:
        """Compute one agent's part.

        Args:
            message: Of a kind that the detector itself sends, as decoded or put together of tiles.
            received: (H, W) cells that arrived; `None` for all.
            ego_to_agent: (4, 4), so that what no box of the ego depends on may be left out; `None`
                computes all.

        Raises:
            MessageError: For a message of another kind, or cells lost of one that is not sent in
                tiles.
        """

    def extract_own(self, own: Any) -> AgentFeatures:
        """Compute the ego's part from what `Broadcast.own` holds."""

    def fuse(
        self, all_features: Sequence[AgentFeatures], ego_to_agents: npt.NDArray[np.float64]
    ) -> Fused:
        """Detect from the agents' features, the ego's first; (N, 4, 4) transforms."""
