# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a station's own sweeps have that receivers refuse by default: it says so itself."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy.typing as npt

from quantv2x_ros.core.geometry.pose import PoseUncertaintyError, check_uncertainty
from quantv2x_ros.core.peers.clock_offset import LagMinimum
from quantv2x_ros.core.receiver_settings import ReceiverSettings

#: What receivers that are not told otherwise accept.
_RECEIVER = ReceiverSettings()
#: Looked back at, seconds.
_WINDOW = 5.0
#: Sweeps older than this when they are encoded are called so, seconds: what a slow sensor driver
#: and localization take is less.
BEHIND = 1.0
#: Seconds that time scales are ahead of UTC (since 2017), and what they are called.
_SCALES = {37.0: "TAI", 18.0: "GPS time"}
#: So far off, it is no clock, seconds.
_A_BAG = 86_400.0


class SelfCheck:
    """Looks at every sweep that is sent."""

    def __init__(self) -> None:
        """Nothing was sent yet."""
        self.reset()

    def reset(self) -> None:
        """Forget everything, as after a jump in time."""
        self._lags = LagMinimum(_WINDOW)
        self._uncertain = ""

    def note(self, lag: float, covariance: npt.ArrayLike, now: float) -> None:
        """Note a sweep.

        Args:
            lag: by how much its stamp is behind this computer's clock, seconds.
            covariance: covariance of its pose, 36 numbers.
            now: seconds of a steady clock.
        """
        self._lags.add(lag, now)
        heading = math.radians(_RECEIVER.max_heading_sigma)
        try:
            check_uncertainty(covariance, _RECEIVER.max_position_sigma, heading, "this station")
            self._uncertain = ""
        except PoseUncertaintyError as error:
            self._uncertain = str(error)

    def findings(self, now: float) -> Mapping[str, str]:
        """Return what receivers will not take, by a short name: with both values and a remedy.

        Args:
            now: seconds of a steady clock.
        """
        found = {}
        lag = self._lags.value(now)
        if lag is not None and lag < -_RECEIVER.clock_tolerance:
            found["own_stamps"] = _ahead(-lag)
        elif lag is not None and lag > BEHIND:
            found["own_stamps"] = _behind(lag)
        if self._uncertain:
            found["own_pose"] = (
                f"{self._uncertain}, by its localization's own covariance: receivers refuse such "
                "sweeps by default (max_position_sigma, max_heading_sigma). Improve the "
                "localization, or correct what it publishes"
            )
        return found


def _ahead(seconds: float) -> str:
    scale = next((f" ({s})" for offset, s in _SCALES.items() if abs(seconds - offset) < 1.0), "")
    return (
        f"own sweeps are stamped {seconds:,.1f} s ahead of this computer's clock{scale}: receivers "
        f"refuse more than {_RECEIVER.clock_tolerance} s by default (clock_tolerance). Let LiDAR "
        "and computer have UTC, by PTP, GNSS or NTP; TAI is 37 s ahead of it, GPS time 18 s"
    )


def _behind(seconds: float) -> str:
    bag = "; of a bag: use_sim_time and its clock" if seconds > _A_BAG else ""
    return (
        f"own sweeps are stamped {seconds:,.1f} s behind this computer's clock: receivers refuse "
        f"what is more than {_RECEIVER.peer_timeout} s older than theirs by default "
        f"(peer_timeout). Let LiDAR and computer have the same time, by PTP, GNSS or NTP{bag}"
    )
