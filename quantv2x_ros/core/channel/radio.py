# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a radio's law allows a station to send: airtime of a packet, gap, share of a second.

ITS-G5 is bound by EN 302 571, 4.2.10.2: at most 4 ms on the air at a time, at least 25 ms between
the end of one frame and the start of the next, at most 3 % of any second. The adaptive approach of
TS 102 687 has the same 3 % as its upper limit.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

#: Frames that a law is looked back on, seconds.
WINDOW = 1.0
#: What rounding may add to a sum of times, seconds.
_ROUNDING = 1e-9


class RadioError(ValueError):
    """A radio that is not known, or a packet that no law lets pass."""


@dataclass(frozen=True)
class RadioProfile:
    """A radio and its law.

    Attributes:
        name: as parameters and options name it.
        symbol_bits: bits of an OFDM symbol of 8 us; 0 where a packet takes the time of its bits.
        bit_rate: bit/s of a station where packets take the time of their bits.
        header_bytes: what MAC, LLC, GeoNetworking and BTP put around a payload, bytes.
        longest_frame: most time on the air of a frame, seconds.
        least_gap: least time from the end of a frame to the start of the next, seconds.
        most_share: largest share of `WINDOW` on the air.
    """

    name: str
    symbol_bits: int = 0
    bit_rate: float = math.inf
    header_bytes: int = 0
    longest_frame: float = math.inf
    least_gap: float = 0.0
    most_share: float = 1.0

    @property
    def limits(self) -> bool:
        """Whether it limits anything."""
        return bool(self.symbol_bits) or math.isfinite(self.bit_rate)

    def airtime(self, payload: int) -> float:
        """Return the time on the air of a packet, seconds.

        Args:
            payload: bytes, without the radio's own headers.
        """
        size = payload + self.header_bytes
        if self.symbol_bits:  # preamble, then service and tail bits with the content
            return 40e-6 + 8e-6 * math.ceil((22 + 8 * size) / self.symbol_bits)
        return 8 * size / self.bit_rate

    def most_payload(self, airtime: float) -> int:
        """Return the largest payload of a packet that takes no longer, bytes; 0 if none does.

        Args:
            airtime: seconds.
        """
        airtime = min(airtime, self.longest_frame) + _ROUNDING
        if not (self.limits and math.isfinite(airtime)):
            raise RadioError(f"radio {self.name} limits no packet")
        if self.symbol_bits:
            symbols = math.floor((airtime - 40e-6) / 8e-6)
            size = (symbols * self.symbol_bits - 22) // 8
        else:
            size = math.floor(airtime * self.bit_rate / 8)
        return max(0, size - self.header_bytes)


_ITS_G5 = {"header_bytes": 82, "longest_frame": 4e-3, "least_gap": 25e-3, "most_share": 0.03}
#: Radios by name. Of LTE-V2X the rate is that of a link as it was measured in the field.
PROFILES = {
    profile.name: profile
    for profile in (
        RadioProfile("none"),
        RadioProfile("its_g5_6", symbol_bits=48, **_ITS_G5),  # type: ignore[arg-type]
        RadioProfile("its_g5_12", symbol_bits=96, **_ITS_G5),  # type: ignore[arg-type]
        RadioProfile("lte_v2x", bit_rate=1.6e6),
    )
}


#: What senders keep unless they are told otherwise: what is legal there is so on all of them.
DEFAULT_RADIO = "its_g5_6"


def radio_profile(name: str) -> RadioProfile:
    """Return a radio by its name.

    Raises:
        RadioError: for a name that is not in `PROFILES`.
    """
    if name not in PROFILES:
        raise RadioError(f"radio: got {name!r}, allowed are {', '.join(PROFILES)}")
    return PROFILES[name]


class RadioAllowance:
    """Keeps account of what a station has sent, and tells when it may send again.

    Times are seconds of one clock.
    """

    def __init__(self, profile: RadioProfile) -> None:
        """Have sent nothing yet."""
        self.profile = profile
        self._frames: deque[tuple[float, float]] = deque()

    def earliest(self, payload: int, now: float) -> float:
        """Return when a packet may begin at the earliest, ``now`` or later.

        Raises:
            RadioError: for a packet that takes longer than any frame may.
        """
        law = self.profile
        if not law.limits:
            return now
        airtime = law.airtime(payload)
        if airtime > law.longest_frame + _ROUNDING:
            raise RadioError(
                f"a packet of {payload} bytes takes {1e3 * airtime:.2f} ms on {law.name}, a frame "
                f"may take {1e3 * law.longest_frame:g} ms: at most "
                f"{law.most_payload(law.longest_frame)} bytes"
            )
        start = max(now, self._frames[-1][1] + law.least_gap) if self._frames else now
        # of all windows that hold the packet, the one that ends with it holds most
        begin = start + airtime - WINDOW
        excess = self._busy(begin, start) + airtime - law.most_share * WINDOW
        return start + self._slide(begin, excess)

    def spend(self, payload: int, start: float) -> None:
        """Book a packet.

        Args:
            payload: bytes.
            start: when it began; must not run back.
        """
        if not self.profile.limits:
            return
        end = start + self.profile.airtime(payload)
        self._frames.append((start, end))
        while self._frames[0][1] < end - 2 * WINDOW:
            self._frames.popleft()

    def used(self, now: float) -> float:
        """Return how much of the allowed share the last `WINDOW` has taken, 0 to 1 where lawful."""
        return self._busy(now - WINDOW, now) / (self.profile.most_share * WINDOW)

    def _busy(self, begin: float, end: float) -> float:
        """Return the time on the air between two times."""
        return sum(max(0.0, min(e, end) - max(s, begin)) for s, e in self._frames)

    def _slide(self, begin: float, excess: float) -> float:
        """Return how much later a window must begin, to hold so much less time on the air."""
        at = begin
        for start, end in self._frames:
            if excess <= _ROUNDING:
                break
            if end > at:
                freed = min(excess, end - max(start, at))
                at = max(start, at) + freed
                excess -= freed
        return at - begin
