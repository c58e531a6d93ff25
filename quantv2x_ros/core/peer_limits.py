# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How much each station may send before it is refused, and what a refusal is called."""

from __future__ import annotations

from dataclasses import dataclass

#: Why `PeerTable.may_speak` refuses.
RATE_REFUSALS = {
    "rate": "a tracked station sends more messages than max_message_rate",
    "rate_newcomers": "stations not yet tracked send more messages than newcomer_message_rate",
    "load": "a station's messages take more of a processor than max_station_load, and are more "
    "than assured_sweep_rate",
    "load_newcomers": "messages of stations that were not yet fused take more of a processor than "
    "newcomer_load, and are more than assured_sweep_rate",
}


@dataclass(frozen=True)
class PeerLimits:
    """What is granted to stations.

    Attributes:
        max_peers: stations tracked at a time, the own one not counted.
        rate: messages of a tracked station, 1/s.
        newcomer_rate: messages of all stations together that are not tracked yet, 1/s: invented
            station ids share it, however many there are.
        load: share of a processor that the messages of one station may take, which works or is
            verified.
        newcomer_load: the same of all other stations together.
        sweeps: work that neither bound refuses, however slow the machine: sweeps a second of each
            station that works or is verified, and of all others together.
        forget_after: a station silent for so long is forgotten, seconds.
        replay_window: how late a sweep may come behind its station's newest, seconds.
    """

    max_peers: int = 32
    rate: float = 800.0
    newcomer_rate: float = 100.0
    load: float = 0.25
    newcomer_load: float = 0.05
    sweeps: float = 20.0
    forget_after: float = 5.0
    replay_window: float = 1.0

    def __post_init__(self) -> None:
        """Validate.

        Raises:
            ValueError: naming the field.
        """
        if self.max_peers < 1:
            raise ValueError(f"max_peers: got {self.max_peers}, expected 1 or more")
        positive = ("rate", "newcomer_rate", "load", "newcomer_load", "sweeps", "forget_after")
        for name in (*positive, "replay_window"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: got {getattr(self, name)}, expected a positive number")
