# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An agent's sweep as codebook indices: what encoders hand to fusion, whole or in tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class AgentSweep:
    """A coded sweep with where and when it was taken.

    Attributes:
        station_id: ETSI StationID of the agent, 0 to 2**32 - 1.
        sequence: the agent's sweep number.
        stamp_ns: time of the sweep, nanoseconds.
        frame_id: name of the agent's LiDAR frame.
        pose: (4, 4) float64 sensor-to-map at that time, metres.
        indices: (planes, H, W) uint8 codebook indices.
        received_rows: (H,) bool, False for rows whose tile was lost.
        payload_bytes: size of the encoded indices, bytes.
        arrived: when it was complete here, seconds of a steady clock.
    """

    station_id: int
    sequence: int
    stamp_ns: int
    frame_id: str
    pose: npt.NDArray[np.float64]
    indices: npt.NDArray[np.uint8]
    received_rows: npt.NDArray[np.bool_]
    payload_bytes: int
    arrived: float

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
        if self.received_rows.shape != self.indices.shape[1:2]:
            raise ValueError(
                f"received_rows: got shape {self.received_rows.shape}, expected "
                f"{self.indices.shape[1:2]}"
            )
        if self.pose.shape != (4, 4):
            raise ValueError(f"pose: got shape {self.pose.shape}, expected (4, 4)")


@dataclass(frozen=True, eq=False)
class Tile:
    """A band of rows of a sweep, as received, checked and decoded.

    Attributes:
        station_id: of the sender.
        sequence: sweep number of the sender.
        stamp_ns: time of the sweep, nanoseconds.
        frame_id: the sender's LiDAR frame.
        pose: (4, 4) sensor-to-map, metres.
        first_row: first row of the map that it holds.
        tile_index: its number among tile_count.
        tile_count: tiles of the sweep.
        indices: (planes, tile rows, W) uint8.
        payload_bytes: encoded size.
    """

    station_id: int
    sequence: int
    stamp_ns: int
    frame_id: str
    pose: npt.NDArray[np.float64]
    first_row: int
    tile_index: int
    tile_count: int
    indices: npt.NDArray[np.uint8]
    payload_bytes: int
