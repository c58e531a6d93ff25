# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An agent's sweep as codebook indices: what encoders hand to fusion, whole or in tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.transport.tiles import TilePlace


@dataclass(frozen=True, eq=False)
class AgentSweep:
    """A coded sweep with where and when it was taken.

    Attributes:
        station_id: ETSI StationID of the agent, 0 to 2**32 - 1.
        sequence: the agent's sweep number.
        stamp_ns: time of the sweep, nanoseconds.
        frame_id: name of the frame that boxes of this agent are given in: its LiDAR's.
        pose: (4, 4) float64 sensor-to-map at that time, metres.
        indices: (planes, H, W) uint8 codebook indices.
        received: (H, W) bool, False for cells whose coarsest level is in no tile that arrived.
        payload_bytes: size of the encoded indices, bytes.
        arrived: when it was complete here, seconds of a steady clock.
        own: (H, W, C) the feature behind the indices, where the agent is the ego and its pyramid is
            computed of that; see `OwnFeature`.
        period_ns: time between two sweeps of the sensor where it is known, nanoseconds: of those
            that come here some may have been skipped.
        to_frame: (4, 4) float64 from the frame of `pose` and `indices` to that of `frame_id`, where
            a cloud was put into another frame for the model; None where they are the same.
    """

    station_id: int
    sequence: int
    stamp_ns: int
    frame_id: str
    pose: npt.NDArray[np.float64]
    indices: npt.NDArray[np.uint8]
    received: npt.NDArray[np.bool_]
    payload_bytes: int
    arrived: float
    own: npt.NDArray[Any] | None = None
    period_ns: int | None = None
    to_frame: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Validate the shapes.

        Raises:
            ValueError: naming the field.
        """
        if self.indices.ndim != 3 or self.indices.dtype != np.uint8:
            raise ValueError(
                f"indices: got {self.indices.dtype} {self.indices.shape}, expected uint8 (planes, "
                "H, W)"
            )
        if self.received.shape != self.indices.shape[1:]:
            raise ValueError(
                f"received: got shape {self.received.shape}, expected {self.indices.shape[1:]}"
            )
        if self.own is not None and self.own.shape[:2] != self.indices.shape[1:]:
            raise ValueError(
                f"own: got shape {self.own.shape}, expected {self.indices.shape[1:]} and channels"
            )
        if self.pose.shape != (4, 4):
            raise ValueError(f"pose: got shape {self.pose.shape}, expected (4, 4)")


@dataclass(frozen=True, eq=False)
class Tile:
    """A part of a sweep, as received and checked.

    Attributes:
        station_id: ETSI StationID of the sender.
        sequence: sequence number of the sweep.
        stamp_ns: time of the sweep, nanoseconds.
        frame_id: the sender's LiDAR frame.
        pose: (4, 4) sensor-to-map, metres.
        tile_index: number of the tile; from tile_count on, it is a parity tile.
        tile_count: tiles of the sweep that hold indices.
        parity_count: parity tiles of the sweep.
        payload: the payload's bytes.
        place: levels and cells that the tile holds; None for a parity tile.
        indices: (planes, rows, columns) uint8 indices of those; None for a parity tile.
    """

    station_id: int
    sequence: int
    stamp_ns: int
    frame_id: str
    pose: npt.NDArray[np.float64]
    tile_index: int
    tile_count: int
    parity_count: int
    payload: bytes
    place: TilePlace | None
    indices: npt.NDArray[np.uint8] | None

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: for a tile without indices that is no parity tile, or the reverse.
        """
        holds = (self.place is not None, self.indices is not None)
        if holds != (self.tile_index < self.tile_count,) * 2:
            raise ValueError(
                f"tile {self.tile_index} of {self.tile_count} has (place, indices): {holds}; tiles "
                "have both, parity tiles neither"
            )
