# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The steps of cooperative detection, whatever carries them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.results import AgentPyramid, FeatureArray, FusionResult

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
        own: (H, W, C) feature that stays with the agent, for its own pyramid. `None` where that
            pyramid is made of the message, too.
    """

    payload: bytes
    stage_ms: Mapping[str, float]
    own: FeatureArray | None = None


class FusionDetector(Protocol):
    """The ego's part of cooperative detection: index maps of several agents to boxes."""

    def pyramid(
        self,
        indices: IndexArray,
        received: Cells | None = None,
        ego_to_agent: npt.NDArray[np.float64] | None = None,
    ) -> AgentPyramid:
        """Compute one agent's pyramid.

        Args:
            indices: (planes, H, W).
            received: (H, W) cells that arrived; `None` for all.
            ego_to_agent: (4, 4), so that what no box of the ego depends on may be left out; `None`
                computes all.
        """

    def own_pyramid(self, own: FeatureArray) -> AgentPyramid:
        """Compute an agent's pyramid from its feature (H, W, C) as it was before the codebook."""

    def fuse(
        self, pyramids: Sequence[AgentPyramid], ego_to_agent: npt.NDArray[np.float64]
    ) -> FusionResult:
        """Detect from the agents' pyramids, the ego's first; (N, 4, 4) transforms."""


class Detector(FusionDetector, Protocol):
    """All steps of cooperative detection, the senders' among them.

    Attributes:
        bundle: Model that is used.
        precision: `int8` or `fp32`; with `, uncoded` where messages are features as they are.
        sends_features: Whether they are: such messages are of no radio.
    """

    bundle: ModelBundle
    precision: str
    sends_features: bool

    def broadcast(self, points: Cloud) -> Broadcast:
        """Encode one agent's sweep (P, 4), in its own LiDAR frame."""

    def decode(self, payload: bytes) -> Message:
        """Read a message."""

    def columns(self, ego_to_agent: npt.NDArray[np.float64] | None) -> tuple[int, int] | None:
        """Return the columns of an agent's pyramid that `pyramid` computes; `None` for all.

        Pyramids of the same indices and columns are the same.
        """


def pyramid_of(
    detector: FusionDetector,
    message: Message,
    ego_to_agent: npt.NDArray[np.float64] | None = None,
) -> AgentPyramid:
    """Compute the pyramid of a message that arrived wholly, of whatever kind it is.

    Args:
        detector: Computes it.
        message: An index map, or a feature as it is.
        ego_to_agent: See `FusionDetector.pyramid`.
    """
    if isinstance(message, PlainFeature):
        return detector.own_pyramid(message.values)
    return detector.pyramid(message, None, ego_to_agent)
