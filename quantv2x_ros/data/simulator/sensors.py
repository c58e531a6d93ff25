# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""LiDAR models: beams, resolution, noise, dropped returns, and their random variation.

What a product has and what happens to it are two things: :data:`SENSORS` holds the first,
:func:`random_sensor` draws the second, from alignment to dead beams and bad weather.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SensorModel:
    """A spinning LiDAR.

    Attributes:
        name: model name.
        elevations: beam elevations in degrees, ascending.
        columns: azimuth steps in a revolution.
        max_range: farthest return, metres.
        reach: range in metres at which a matt 10 % target seen head-on is lost half the time;
            infinity for a simulator-like sensor that loses nothing.
        range_noise: standard deviation of range, metres.
        drop: probability that any return is lost.
        min_range: nearest return, metres.
        azimuth_spread: largest azimuth offset between beams, degrees (staggered emitters).
        field_of_view: azimuths that are looked at, from right to left, degrees.
        silent: indices of beams that return nothing.
    """

    name: str
    elevations: tuple[float, ...]
    columns: int
    max_range: float
    reach: float
    range_noise: float
    drop: float
    min_range: float = 0.9
    azimuth_spread: float = 0.0
    field_of_view: tuple[float, float] = (-180.0, 180.0)
    silent: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        beams = np.asarray(self.elevations)
        if len(beams) < 1 or np.any(np.diff(beams) <= 0) or np.abs(beams).max() >= 90:
            raise ValueError(f"sensor {self.name}: elevations must ascend within (-90, 90) degrees")
        if self.columns < 8:
            raise ValueError(f"sensor {self.name}: columns is {self.columns}, at least 8 needed")
        if not 0 <= self.drop < 1:
            raise ValueError(f"sensor {self.name}: drop is {self.drop}, allowed is [0, 1)")
        if not 0 < self.min_range < self.max_range or self.reach <= 0 or self.range_noise < 0:
            raise ValueError(f"sensor {self.name}: ranges and noise must be positive and ordered")
        right, left = self.field_of_view
        if not -180 <= right < left <= 180:
            raise ValueError(
                f"sensor {self.name}: field_of_view is {self.field_of_view}, allowed is from a "
                "smaller to a larger azimuth within [-180, 180] degrees"
            )
        if not set(self.silent) < set(range(len(beams))):
            raise ValueError(
                f"sensor {self.name}: silent is {self.silent}, allowed are indices of some of its "
                f"{len(beams)} beams, not all"
            )

    @property
    def _active(self) -> npt.NDArray[np.intp]:
        """Indices of the beams that return anything."""
        return np.setdiff1d(np.arange(len(self.elevations)), self.silent)

    @property
    def beam_angles(self) -> FloatArray:
        """(B,) elevations in radians, without silent beams."""
        return np.deg2rad(np.asarray(self.elevations)[self._active])

    @property
    def azimuth_offsets(self) -> FloatArray:
        """(B,) azimuth offsets in radians: beams fire staggered in groups of four."""
        index = self._active % 4
        return np.deg2rad(self.azimuth_spread) * (index / 3.0 - 0.5)

    def looks_at(self, azimuth: FloatArray) -> npt.NDArray[np.bool_]:
        """Return which azimuths, radians, lie in the field of view."""
        right, left = np.deg2rad(self.field_of_view)
        return np.asarray(np.mod(azimuth - right, 2 * np.pi) <= left - right)

    def keep_probability(
        self, distance: FloatArray, reflectivity: FloatArray, cosine: FloatArray
    ) -> FloatArray:
        """Return the chance of a return: echo power falls with range squared and incidence."""
        if math.isinf(self.reach):
            return np.full(distance.shape, 1.0 - self.drop)
        lost_at = self.reach * np.sqrt(reflectivity / 0.1 * np.clip(cosine, 0.02, 1.0))
        return (1.0 - self.drop) / (1.0 + np.exp((distance / lost_at - 1.0) * 12.0))


def _uniform_beams(low: float, high: float, count: int) -> tuple[float, ...]:
    return tuple(float(v) for v in np.linspace(low, high, count))


def _dense_horizon_beams(low: float, high: float, count: int, gain: float) -> tuple[float, ...]:
    """Beams ``1 + gain`` times as dense at -1 degree as at the ends (VLS-128, VLP-32C)."""
    fine = np.linspace(low, high, 4001)
    density = 1.0 + gain * np.exp(-(((fine + 1.0) / 5.0) ** 2))
    cumulative = np.cumsum(density)
    targets = np.linspace(cumulative[0], cumulative[-1], count)
    return tuple(float(v) for v in np.interp(targets, cumulative, fine))


def _two_blocks() -> tuple[float, ...]:
    """Beams of two blocks of 32: the upper one to -8.3 degrees finer than the lower one."""
    return (*_uniform_beams(-24.33, -8.83, 32), *_uniform_beams(-8.33, 2.0, 32))


def _fine_centre() -> tuple[float, ...]:
    """40 beams: every third of a degree from -6 to 2 degrees, wider and wider beyond."""
    low, high = (-25, -19, -14, -13, -12, -11, -10, -9, -8, -7), (3, 5, 8, 11, 15)
    return (*map(float, low), *_uniform_beams(-6, 2, 25), *map(float, high))


SENSORS: dict[str, SensorModel] = {
    model.name: model
    for model in (
        SensorModel("carla64", _uniform_beams(-25, 2, 64), 1016, 120.0, math.inf, 0.0, 0.001),
        SensorModel("spinning32", _uniform_beams(-30.67, 10.67, 32), 2088, 100.0, 80.0, 0.02, 0.03),
        SensorModel(
            "staggered32",
            _dense_horizon_beams(-25, 15, 32, 3.0),
            1800,
            180.0,
            120.0,
            0.02,
            0.03,
            azimuth_spread=5.6,
        ),
        SensorModel("narrow64", _uniform_beams(-16.6, 16.6, 64), 1536, 120.0, 60.0, 0.015, 0.03),
        SensorModel("wide64", _uniform_beams(-22.5, 22.5, 64), 1536, 150.0, 90.0, 0.012, 0.02),
        SensorModel("wide128", _uniform_beams(-22.5, 22.5, 128), 1024, 150.0, 110.0, 0.012, 0.02),
        SensorModel(
            "dense128",
            _dense_horizon_beams(-25, 15, 128, 2.5),
            1080,
            200.0,
            180.0,
            0.02,
            0.02,
            azimuth_spread=4.2,
        ),
        SensorModel(
            "horizon128",
            _dense_horizon_beams(-25, 15, 128, 14.0),
            1080,
            220.0,
            220.0,
            0.02,
            0.02,
            azimuth_spread=4.2,
        ),
        SensorModel("blocks64", _two_blocks(), 2300, 120.0, 100.0, 0.01, 0.02),
        SensorModel(
            "centre40", _fine_centre(), 1800, 200.0, 150.0, 0.015, 0.02, azimuth_spread=5.0
        ),
        SensorModel(
            "roof64", _dense_horizon_beams(-17.6, 2.4, 64, 1.0), 2600, 75.0, 150.0, 0.01, 0.015
        ),
        SensorModel("corner32", _uniform_beams(-55, 15, 32), 420, 25.0, 40.0, 0.0, 0.02),
        SensorModel(
            "roadside96",
            _uniform_beams(-19, -1, 96),
            1900,
            200.0,
            180.0,
            0.02,
            0.03,
            field_of_view=(-50.0, 50.0),
        ),
    )
}
#: Models that turn alone on a roof or a pole; the others are made for a place of their own.
SINGLE = tuple(name for name in SENSORS if name not in ("roof64", "corner32", "roadside96"))
#: How often they are drawn: those with 35,000 returns less often than those with more than 100,000.
WEIGHTS = {"spinning32": 0.7, "staggered32": 0.7, "carla64": 0.7, "blocks64": 3.0}
#: Shares of sensors with beams that are dead, and in rain, fog or spray.
DEAD_SHARE, WEATHER_SHARE = 0.15, 0.15


def random_sensor(rng: np.random.Generator, name: str = "") -> SensorModel:
    """Draw a model and vary its alignment, noise and reach, as copies of one product vary.

    Args:
        rng: source of randomness.
        name: of :data:`SENSORS`; empty: one of :data:`SINGLE` is drawn.
    """
    weights = np.array([WEIGHTS.get(single, 1.0) for single in SINGLE])
    model = SENSORS[name or SINGLE[rng.choice(len(SINGLE), p=weights / weights.sum())]]
    tilt = rng.normal(0.0, 0.3)
    jitter = rng.normal(0.0, 0.01, len(model.elevations))
    beams = np.sort(np.asarray(model.elevations) * rng.uniform(0.98, 1.02) + tilt + jitter)
    varied = replace(
        model,
        elevations=tuple(float(v) for v in beams),
        columns=int(model.columns * rng.uniform(0.85, 1.1)),
        range_noise=model.range_noise + float(rng.choice([0.0, rng.uniform(0.0, 0.02)])),
        reach=model.reach * rng.uniform(0.7, 1.3),
        drop=float(np.clip(model.drop + rng.exponential(0.02), 0.0, 0.15)),
    )
    return _in_weather(rng, _with_dead_beams(rng, varied))


def _with_dead_beams(rng: np.random.Generator, model: SensorModel) -> SensorModel:
    """Silence some beams at random, every second one, or a row of neighbours; or none."""
    count = len(model.elevations)
    if rng.random() >= DEAD_SHARE:
        return model
    kind = str(rng.choice(["some", "every second", "row"], p=[0.5, 0.25, 0.25]))
    if kind == "some":
        dead = np.nonzero(rng.random(count) < rng.uniform(0.05, 0.4))[0]
    elif kind == "every second":
        dead = np.arange(int(rng.integers(2)), count, 2)
    else:
        size = max(int(count * rng.uniform(0.05, 0.25)), 1)
        dead = int(rng.integers(count - size)) + np.arange(size)
    return replace(model, silent=tuple(int(beam) for beam in dead[: count - 1]))


def _in_weather(rng: np.random.Generator, model: SensorModel) -> SensorModel:
    """Let rain, fog or spray take returns, far and dark ones first; or not."""
    if rng.random() >= WEATHER_SHARE:
        return model
    reach = min(model.reach, model.max_range)  # also of a sensor that loses nothing in clear air
    lost = float(rng.uniform(0.0, 0.35))
    return replace(
        model,
        reach=reach * float(rng.uniform(0.35, 0.8)),
        drop=model.drop + lost * (1 - model.drop),
    )
