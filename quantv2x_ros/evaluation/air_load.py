# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The load of the air by the agents of an evaluation."""

from __future__ import annotations

import numpy as np

from quantv2x_ros.core.transport.sweep_sender import SentSweep
from quantv2x_ros.core.transport.tiles import GEONETWORKING_UNIT
from quantv2x_ros.data.scenario import FRAME_PERIOD


class AirLoad:
    """Counts bytes and packets of all agents' sweeps, sent in one way."""

    def __init__(self) -> None:
        """Start without a sweep."""
        self._bytes: list[int] = []
        self._packets: list[int] = []

    def add(self, frame: SentSweep) -> None:
        """Count a sweep."""
        self._bytes.append(frame.payload_bytes)
        self._packets.append(len(frame.tiles) + len(frame.parity))

    def add_plain(self, size: int) -> None:
        """Count a sweep that is no coded index map, by its number of bytes."""
        self._bytes.append(size)
        self._packets.append(-(-size // GEONETWORKING_UNIT))

    def compute(self) -> dict[str, float]:
        """Return means and medians.

        Returns:
            `bytes_per_frame` (mean), `median_packets`, `most_packets` of a sweep, parity included,
            and `mbit_per_second` of an agent with a sweep each `FRAME_PERIOD`, payloads alone.
        """
        mean = float(np.mean(self._bytes))
        return {
            "bytes_per_frame": mean,
            "median_packets": float(np.median(self._packets)),
            "most_packets": float(max(self._packets)),
            "mbit_per_second": 8e-6 * mean / FRAME_PERIOD,
        }
