# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a cloud lies around its sensor, in metres: else the model sees nothing of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.placement.cloud_placement import PlacementRemedy

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

#: Least share of the points that a model sees of a cloud that lies where it is expected.
LEAST_SHARE = 0.01
#: Metres in units that clouds are found in by mistake.
UNITS = {"millimetres": 0.001, "centimetres": 0.01, "kilometres": 1000.0}
#: Median distances of points from a LiDAR on a street, metres.
_USUAL = (2.0, 80.0)
_TYPICAL = 12.0
#: The middle of a cloud in map coordinates is further away than this [m], and than so many times
#: the extent of the cloud.
_FAR, _FAR_RATIO = 300.0, 4.0


def misplacement(
    points: Float32,
    lidar_range: Sequence[float],
    remedy: PlacementRemedy,
    *,
    sensor: Float64 | None = None,
) -> str:
    """Say how a cloud lies that does not lie around its sensor; empty where it does.

    Args:
        points: (P, 3 or more) float32 x, y, z, finite, as the model is to see them.
        lidar_range: range of the model, x, y, z minimum, then maximum, metres.
        remedy: says what to set.
        sensor: (3,) where the sensor is in the map, where that is known.
    """
    if not len(points):
        return "the cloud has no point whose x, y and z are finite: look at the driver"
    places = points[:, :3].astype(np.float64)
    distances = np.linalg.norm(places, axis=1)
    share, median = _share(places, lidar_range), float(np.median(distances))
    if share >= LEAST_SHARE and median >= _USUAL[0] / 4:
        return ""
    low_x, low_y, low_z, high_x, high_y, high_z = lidar_range
    seen = (
        f"{100.0 * share:.1f} % of {len(points):,} points lie in the model's range (x {low_x:g} to "
        f"{high_x:g}, y {low_y:g} to {high_y:g}, z {low_z:g} to {high_z:g} m)"
    )
    middle = np.median(places, axis=0)
    extent = float(np.median(np.linalg.norm(places - middle, axis=1)))
    away = float(np.linalg.norm(middle))
    if away > max(_FAR, _FAR_RATIO * extent):
        return _in_map(middle, extent, sensor, seen)
    unit = _unit(places, median, lidar_range)
    if unit:
        factor = UNITS[unit]
        return (
            f"the cloud seems to be in {unit}: its points are {median:,.3g} from the sensor in the "
            f"median, {factor * median:,.1f} m if that is so; {seen}; clouds are in metres "
            f"(REP 103): correct the driver, or set {remedy.scale(factor)}"
        )
    if share >= LEAST_SHARE:
        return ""  # a sensor in a narrow place
    quarters = np.percentile(places, (25, 75), axis=0).T
    where = ", ".join(
        f"{n} {a:,.1f} to {b:,.1f}" for n, (a, b) in zip("xyz", quarters, strict=True)
    )
    return (
        f"{seen}; its middle half lies at {where} m: is it in another frame than a LiDAR's? Say "
        "where a LiDAR would be in it by the cloud's mount"
    )


def _in_map(middle: Float64, extent: float, sensor: Float64 | None, seen: str) -> str:
    place = ", ".join(f"{value:,.1f}" for value in middle)
    text = (
        f"the cloud seems to be in map or UTM coordinates: its middle is at ({place}) m, and half "
        f"of its points within {extent:,.1f} m of that, where a LiDAR's lie around 0"
    )
    if sensor is not None:
        known = ", ".join(f"{value:,.1f}" for value in sensor)
        text += f"; the pose says that the sensor is at ({known}) m in the map"
    return f"{text}; {seen}; publish it in the LiDAR's own frame"


def _share(places: Float64, lidar_range: Sequence[float]) -> float:
    low, high = np.asarray(lidar_range[:3]), np.asarray(lidar_range[3:])
    return float(((places >= low) & (places < high)).all(axis=1).mean())


def _unit(places: Float64, median: float, lidar_range: Sequence[float]) -> str:
    """Return the unit in which a cloud would lie around its sensor; empty where there is none."""
    fitting = {
        name: abs(np.log(factor * median / _TYPICAL))
        for name, factor in UNITS.items()
        if _USUAL[0] <= factor * median <= _USUAL[1] and _share(factor * places, lidar_range) >= 0.2
    }
    return min(fitting, key=lambda name: fitting[name]) if fitting else ""
