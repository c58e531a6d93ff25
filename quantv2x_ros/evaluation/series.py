# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Series of settings over which an evaluation runs: a link that becomes worse step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from quantv2x_ros.core.channel.channel_model import ChannelSettings
from quantv2x_ros.core.channel.radio import PROFILES
from quantv2x_ros.evaluation.settings import EvaluationConfig, EvaluationSettingError, Link, Sending

STEPS: dict[str, tuple[float, ...]] = {
    "latency_ms": (0.0, 100.0, 200.0, 300.0, 400.0),
    "pose_noise": (0.0, 0.2, 0.4, 0.6, 0.8),
    "pose_error": (0.0, 0.2, 0.4, 0.6, 0.8),
    "heading_noise": (0.0, 0.2, 0.4, 0.6, 0.8),
    "loss": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    "max_bytes": (250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16000.0),
    "min_occupancy": (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5),
    "interest_range": (0.0, 20.0, 30.0, 40.0, 50.0, 70.0),
    "interest_of_receivers": (0.0, 1.0),
    "loss_holes": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    "burst_loss": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    "stations": (0.0, 25.0, 50.0, 75.0, 100.0),
    "radio": tuple(map(float, range(len(PROFILES)))),
}
"""Name of a sweep and its values; see `_changed` for what they set."""

AGENTS = "agents"
"""A sweep over the number of agents, from the ego alone to all, on the truth of all."""

ERROR = "pose_error"
"""Positions [m] and headings [degrees] wrong by the same number."""

ALIGNED = "pose_error_aligned"
"""The sweep over `pose_error` once more, with poses corrected by the objects that both see."""

UNCOMPENSATED = "latency_ms_uncompensated"
"""The sweep over `latency_ms` once more, with moving objects left where they were."""

_TREATED: dict[str, tuple[str, dict[str, Any]]] = {
    # errors are drawn anew for each sweep, so a correction must not outlive it
    ALIGNED: (ERROR, {"align_poses": True, "align_period": 0.0}),
    UNCOMPENSATED: ("latency_ms", {"compensate_motion": False}),
}

LEVELS = "levels"
"""The residual levels of the codebook that are sent, from one to all."""

BUDGETS = "max_bytes"
OCCUPANCY = "min_occupancy"
INTEREST = "interest_range"
RECEIVERS = "interest_of_receivers"
"""The sweeps over how much is sent: a limit of bytes, likely cells, near cells, cells that somebody
can use; with LEVELS, points of the rate-accuracy curve."""

LOSSES = ("loss", "loss_holes", "burst_loss")
"""Lost tiles: each for itself, the same without concealment, and in bursts of the same share."""

STATIONS = "stations"
"""Further stations on the air of a channel with 6 Mbit/s, or with the given channel's rate."""

RADIO = "radio"
"""The law of each radio of `RADIOS`, by its number."""

RADIO_LATE, RADIO_HYBRID = "radio_late", "radio_hybrid"

BOXES = {
    f"{series}_{fusion}": (series, fusion)
    for series in (RADIO, "loss", "latency_ms", ERROR)
    for fusion in ("late", "hybrid")
}
"""Sweeps once more with boxes instead of features (late), and with both (hybrid)."""

RADIOS = tuple(PROFILES)

#: Packets that a burst lasts on the mean.
_BURST_PACKETS = 5.0
_BIT_RATE = 6.0

SWEEPS = (AGENTS, *STEPS, *_TREATED, LEVELS, RADIO_LATE, RADIO_HYBRID)

RATES = (LEVELS, OCCUPANCY, INTEREST, RECEIVERS, BUDGETS)

LINK = (*LOSSES, STATIONS, *RATES, RADIO, RADIO_LATE, RADIO_HYBRID)
"""What the name `link` stands for: all that concerns bytes and losses."""

ALONE = "alone"


@dataclass(frozen=True)
class Variant:
    """One point of a sweep.

    Attributes:
        sweep: Name of the sweep, ALONE for the ego without peers.
        value: What the field of the link, or the number of agents, is set to; of the ego alone:
            `first_number`.
        config: The settings.
        first_number: Frames of a scenario before this one do not count, so that all points of a
            series are measured on the same frames, with messages of the full age, and by a receiver
            that knows its peers: a vehicle drives for hours.
    """

    sweep: str
    value: float
    config: EvaluationConfig
    first_number: int = 0


def parse_sweeps(text: str) -> tuple[str, ...]:
    """Read a list of sweeps.

    Args:
        text: Names separated by commas, `all`, `link`, `none`, or nothing.

    Raises:
        EvaluationSettingError: For a name that there is not.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if names == ("all",):
        return SWEEPS
    if names == ("link",):
        return LINK
    if names == ("none",):
        return ()
    known = dict.fromkeys((*SWEEPS, *BOXES))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise EvaluationSettingError(
            f"sweep must be all, link, none or some of {', '.join(known)}, got {', '.join(unknown)}"
        )
    return names


def alone_variants(base: EvaluationConfig, others: Sequence[Variant]) -> list[Variant]:
    """Return the ego without peers, on each set of frames that the other points are measured on."""
    numbers = sorted({0, *(variant.first_number for variant in others)})
    config = replace(base, ego_only=True)
    return [Variant(ALONE, float(number), config, number) for number in numbers]


def make_variants(
    base: EvaluationConfig, sweeps: Sequence[str], longest: int, levels: int
) -> tuple[list[Variant], list[str]]:
    """Return the points of some sweeps around a base, and notes on what cannot be measured.

    Args:
        base: The settings of which one is changed at a time.
        sweeps: Names of the sweeps.
        longest: Frames of the longest scenario: more latency than it lasts cannot be measured.
        levels: Of the codebook.
    """
    variants, notes = [], []
    for sweep in sweeps:
        if sweep == AGENTS:
            variants += [
                Variant(sweep, float(count), replace(base, agents=count))
                for count in range(1, base.agents + 1)
            ]
            continue
        if sweep == LEVELS:
            variants += [
                Variant(sweep, float(count), replace(base, link=_changed(base.link, sweep, count)))
                for count in range(1, levels + 1)
            ]
            continue
        if sweep in BOXES:
            series, fusion = BOXES[sweep]
            variants += [
                replace(variant, sweep=sweep, config=replace(variant.config, fusion=fusion))
                for variant in make_variants(base, (series,), longest, levels)[0]
            ]
            continue
        if sweep in _TREATED:
            untreated, treatment = _TREATED[sweep]
            variants += [
                replace(variant, sweep=sweep, config=_treated(variant.config, treatment))
                for variant in make_variants(base, (untreated,), longest, levels)[0]
            ]
            continue
        links = [(value, _changed(base.link, sweep, value)) for value in STEPS[sweep]]
        changed = _treated(base, {"conceal": 0.0}) if sweep == "loss_holes" else base
        kept = [(value, link) for value, link in links if link.delay < longest]
        if len(kept) < len(links):
            notes.append(
                f"{sweep} above {kept[-1][0]:g} is left out: no scenario has more than"
                f" {longest} frames"
            )
        first = _first_number(sweep, [link for _, link in kept])
        variants += [
            Variant(sweep, value, replace(changed, link=link), first) for value, link in kept
        ]
    return variants, notes


def _first_number(sweep: str, links: Sequence[Link]) -> int:
    """Return the first frame of a scenario that counts for all points of a series."""
    if sweep == "latency_ms":
        return max(link.delay for link in links)
    # in the first frame a peer's sweep is not waited for, since nobody knows of it yet
    return 1 if sweep in (*LOSSES, STATIONS, RADIO) else 0


def _treated(config: EvaluationConfig, treatment: Mapping[str, Any]) -> EvaluationConfig:
    """Return settings whose receiver does something else."""
    return replace(config, receiver=replace(config.receiver, **treatment))


def _changed(link: Link, sweep: str, value: float) -> Link:
    if sweep == "latency_ms":
        return replace(link, latency_ms=value)
    if sweep in ("loss", "loss_holes"):
        return replace(link, loss=value, channel=None)
    if sweep == "burst_loss":
        return replace(link, loss=0.0, channel=_with_bursts(link.channel, value))
    if sweep == STATIONS:
        return replace(link, loss=0.0, channel=_with_stations(link.channel, int(value)))
    if sweep in (*RATES, RADIO):
        return replace(link, sending=_sending(link.sending, sweep, value))
    if sweep == ERROR:
        return replace(link, pose_noise=value, heading_noise=value)
    heading = link.heading_deviation  # position and heading are swept one without the other
    if sweep == "heading_noise":
        return replace(link, heading_noise=value)
    return replace(link, pose_noise=value, heading_noise=heading)


def _sending(sending: Sending, sweep: str, value: float) -> Sending:
    if sweep == BUDGETS:
        return replace(sending, max_bytes=int(value))
    if sweep == RADIO:
        return replace(sending, radio=RADIOS[int(value)])
    if sweep == INTEREST:
        return replace(sending, interest_range=value)
    if sweep == RECEIVERS:
        return replace(sending, interest_of_receivers=bool(value))
    if sweep == LEVELS:
        return replace(sending, settings=replace(sending.settings, levels=int(value)))
    return replace(sending, settings=replace(sending.settings, min_occupancy=value))


def _with_bursts(channel: ChannelSettings | None, share: float) -> ChannelSettings:
    """Lose a share of the packets, all in bursts."""
    end = 1.0 / _BURST_PACKETS
    start = share * end / (1.0 - share)
    return replace(
        channel or ChannelSettings(), loss=0.0, burst_start=start, burst_end=end, burst_loss=1.0
    )


def _with_stations(channel: ChannelSettings | None, count: int) -> ChannelSettings:
    settings = channel or ChannelSettings()
    return replace(
        settings, bit_rate_mbps=settings.bit_rate_mbps or _BIT_RATE, other_stations=count
    )
