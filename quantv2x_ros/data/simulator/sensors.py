# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""LiDAR models: beams, resolution, noise, dropped returns, and their random variation."""

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

    @property
    def beam_angles(self) -> FloatArray:
        """(B,) elevations in radians."""
        return np.deg2rad(np.asarray(self.elevations))

    @property
    def azimuth_offsets(self) -> FloatArray:
        """(B,) azimuth offsets in radians: beams fire staggered in groups of four."""
        index = np.arange(len(self.elevations)) % 4
        return np.deg2rad(self.azimuth_spread) * (index / 3.0 - 0.5)

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
    )
}


def random_sensor(rng: np.random.Generator) -> SensorModel:
    """Draw a model and vary its alignment, noise and reach, as copies of one product vary."""
    model = SENSORS[list(SENSORS)[rng.integers(len(SENSORS))]]
    tilt = rng.normal(0.0, 0.3)
    jitter = rng.normal(0.0, 0.01, len(model.elevations))
    beams = np.sort(np.asarray(model.elevations) * rng.uniform(0.98, 1.02) + tilt + jitter)
    return replace(
        model,
        elevations=tuple(float(v) for v in beams),
        columns=int(model.columns * rng.uniform(0.85, 1.1)),
        range_noise=model.range_noise + float(rng.choice([0.0, rng.uniform(0.0, 0.02)])),
        reach=model.reach * rng.uniform(0.7, 1.3),
        drop=float(np.clip(model.drop + rng.exponential(0.02), 0.0, 0.15)),
    )
