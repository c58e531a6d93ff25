# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Who cooperates with whom: the modes of V2X-Real's evaluation (arXiv 2403.16034, section 5)."""

from __future__ import annotations

from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.frame import COMMUNICATION_RANGE, Frame

MODES = ("vc", "ic", "v2v", "i2i")
"""Vehicle-centric, infrastructure-centric, vehicles only, infrastructure only."""


class ModeError(ValueError):
    """A cooperation mode that there is not."""


def check_mode(mode: str) -> str:
    """Return the mode if it is one of :data:`MODES`, else raise ModeError."""
    if mode not in MODES:
        raise ModeError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    return mode


def possible_egos(frame: Frame, mode: str) -> list[str]:
    """Return the agents that a mode allows as ego: vehicles (vc, v2v) or roadside units (ic, i2i).

    Raises:
        ModeError: For an unknown mode.
    """
    roadside = check_mode(mode) in ("ic", "i2i")
    return [name for name, item in frame.agents.items() if item.infrastructure == roadside]


def select_agents(
    frame: Frame, mode: str = "vc", ego: str | None = None, limit: float = COMMUNICATION_RANGE
) -> list[str]:
    """Return who takes part in a cooperation mode, the ego first.

    Args:
        frame: Frame of the dataset.
        mode: `vc` and `v2v` have a vehicle as ego, `ic` and `i2i` a roadside unit; `vc` and `ic`
            hear everyone, `v2v` and `i2i` only their own kind.
        ego: Name of the ego; the first agent of the mode's kind where `None`.
        limit: Communication range, metres.

    Raises:
        ModeError: For an unknown mode.
        DatasetError: If no agent, or not the chosen one, can be this mode's ego.
    """
    candidates = possible_egos(frame, mode)
    roadside = mode in ("ic", "i2i")
    kind = "roadside unit" if roadside else "vehicle"
    if not candidates:
        raise DatasetError(
            frame.folder,
            f"mode {mode} needs a {kind} as ego, there is none at {frame.timestamp}",
            "Choose another mode",
        )
    if ego is not None and frame[ego].infrastructure != roadside:
        raise DatasetError(
            frame.folder,
            f"mode {mode} needs a {kind} as ego, agent {ego} is none",
            f"Choose one of {', '.join(candidates)}, or another mode",
        )
    heard = frame.agents_in_range(ego or candidates[0], limit)
    return [name for name in heard if mode in ("vc", "ic") or name in candidates]
