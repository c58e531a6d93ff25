# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds two stations that share an id: nobody is in two places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: No station is faster, metres a second.
MAX_SPEED = 70.0
#: What poses may be off besides, metres.
SLACK = 10.0
#: A station that was not heard where it was for so long may be anywhere, seconds.
FORGET_AFTER = 1.0

Float64 = npt.NDArray[np.float64]


class SharedIdError(ValueError):
    """A message from another place than its station can be.

    Attributes:
        reason: ``shared_id``.
    """

    reason = "shared_id"


@dataclass(frozen=True)
class _Place:
    stamp_ns: int
    position: Float64
    heard: float


class Whereabouts:
    """Knows where a station was last. Whoever was first keeps the id while it is heard."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._last: _Place | None = None

    def check(self, station_id: int, stamp_ns: int, position: Float64, now: float) -> None:
        """Check that a station can be where a message says.

        Args:
            station_id: its id, to name it.
            stamp_ns: time of the sweep, nanoseconds.
            position: (3,) of the sensor in the map, metres.
            now: seconds of a steady clock.

        Raises:
            SharedIdError: if it was too far away too shortly before, with both places.
        """
        known = self._last
        if known is None or now - known.heard > FORGET_AFTER:
            return
        seconds = abs(stamp_ns - known.stamp_ns) / 1e9
        distance = float(np.linalg.norm(position - known.position))
        if distance > SLACK + MAX_SPEED * seconds:
            raise SharedIdError(
                f"station {station_id} is in two places within {seconds:.2f} s: "
                f"{place_text(known.position)} and {place_text(position)}, {distance:,.0f} m "
                "apart. Two stations share this id, of which the first is heard: give each its own "
                "station_id (-1: its host's); or its localization has jumped"
            )

    def note(self, stamp_ns: int, position: Float64, now: float) -> None:
        """Note where the station is, after all other checks; see `check`."""
        self._last = _Place(stamp_ns, position, now)


def shared_text(station_id: int, other: npt.ArrayLike, own: npt.ArrayLike | None) -> str:
    """Return what is to be said of another station that has the own id.

    Args:
        station_id: the id of both.
        other: x and y where the other is in the map, metres.
        own: where this one is; None where that is not known.
    """
    here = "" if own is None else f", this station is at {place_text(own)}"
    return (
        f"another station sends under this station's id {station_id}, from {place_text(other)}"
        f"{here}; it is not heard, and others hear one of the two. Give each its own station_id "
        "(-1: its host's)"
    )


def place_text(position: npt.ArrayLike) -> str:
    """Return a place in the map in words: x and y, metres."""
    x, y = np.asarray(position, dtype=np.float64)[:2]
    return f"({x:,.1f}, {y:,.1f}) m"
