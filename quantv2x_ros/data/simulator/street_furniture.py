# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Things on the pavement: poles, bins, bicycles and motorbikes without riders, benches, shelters.

Each stands around the origin with its long side along x. None of it is annotated.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from quantv2x_ros.data.simulator.assembly import Assembly
from quantv2x_ros.data.simulator.primitives import PartSet
from quantv2x_ros.data.simulator.vegetation import add_shrub

Maker = Callable[[np.random.Generator, Assembly], None]


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _lamp(rng: np.random.Generator, thing: Assembly) -> None:
    thing.post(0, 0, _uniform(rng, 4.0, 9.0), _uniform(rng, 0.1, 0.28))
    thing.box((0, 0, 0.3), (0.35, 0.35, 0.6))


def _sign(rng: np.random.Generator, thing: Assembly) -> None:
    height = _uniform(rng, 2.0, 3.0)
    thing.post(0, 0, height, _uniform(rng, 0.06, 0.1))
    size = (0.04, _uniform(rng, 0.4, 1.2), _uniform(rng, 0.4, 0.9))
    thing.box((0, 0, height - 0.3), size, _uniform(rng, 0, np.pi), reflectivity=0.9)


def _signal(rng: np.random.Generator, thing: Assembly) -> None:
    thing.post(0, 0, 4.5, _uniform(rng, 0.12, 0.25))
    thing.box((0, 0, 3.6), (0.35, 0.35, 0.95))
    thing.box((0, 0, 1.3), (0.3, 0.25, 0.6))


def _bollards(rng: np.random.Generator, thing: Assembly) -> None:
    height, width, pitch = _uniform(rng, 0.5, 1.1), _uniform(rng, 0.1, 0.3), _uniform(rng, 0.9, 2.0)
    for index in range(int(rng.integers(1, 6))):
        thing.post(index * pitch, 0, height, width)


def _bins(rng: np.random.Generator, thing: Assembly) -> None:
    """Wheeled bins in a row, or heaped sacks."""
    x = 0.0
    for _ in range(int(rng.integers(1, 6))):
        if rng.random() < 0.75:
            big = rng.random() < 0.2
            width = _uniform(rng, 1.0, 1.35) if big else _uniform(rng, 0.45, 0.65)
            size = (width, _uniform(rng, 0.5, 0.8), _uniform(rng, 0.9, 1.4 if big else 1.15))
            yaw = _uniform(rng, -0.3, 0.3)
            thing.box((x + width / 2, 0, size[2] / 2), size, yaw, reflectivity=0.2)
            x += width + _uniform(rng, 0.05, 0.4)
        else:
            radius = _uniform(rng, 0.25, 0.5)
            thing.ellipsoid((x + radius, 0, 0.6 * radius), (radius, radius, 0.8 * radius))
            x += 1.3 * radius


def _two_wheeler(rng: np.random.Generator, thing: Assembly, x: float, *, motor: bool) -> None:
    """Add one across x, as in a rack, leaning or turned a little."""
    length = _uniform(rng, 1.75, 2.2) if motor else _uniform(rng, 1.5, 1.85)
    yaw, y = np.pi / 2 + _uniform(rng, -0.25, 0.25), _uniform(rng, -0.2, 0.2)
    cosine, sine = float(np.cos(yaw)), float(np.sin(yaw))

    def put(along: float, z: float, size: tuple[float, float, float], porosity: float) -> None:
        place = (x + along * cosine, y + along * sine, z)
        thing.box(place, size, yaw, reflectivity=0.2, porosity=porosity)

    radius, thick = (0.3, 0.14) if motor else (0.34, 0.05)
    for end in (-1.0, 1.0):
        put(end * (length / 2 - radius), radius, (1.7 * radius, thick, 1.9 * radius), 0.35)
    put(0.0, 0.6, (0.6 * length, 0.32 if motor else 0.06, 0.5), 0.0 if motor else 0.45)
    put(0.27 * length, 1.0, (0.1, 0.65, 0.12), 0.0)  # handlebar
    put(-0.2 * length, 0.85, (0.3, 0.2, 0.12), 0.0)  # saddle
    if motor and rng.random() < 0.4:
        put(-0.42 * length, 1.0, (0.4, 0.4, 0.35), 0.0)  # top case
    if not motor and rng.random() < 0.3:
        put(0.35 * length, 0.9, (0.35, 0.35, 0.25), 0.4)  # basket


def _cycle_stand(rng: np.random.Generator, thing: Assembly) -> None:
    motor, pitch = rng.random() < 0.3, _uniform(rng, 0.45, 0.9)
    for index in range(int(rng.integers(1, 10))):
        if rng.random() < 0.8:
            _two_wheeler(rng, thing, index * pitch, motor=motor)
        if not motor and rng.random() < 0.4:
            thing.box((index * pitch, 0, 0.4), (0.05, 0.7, 0.8), porosity=0.6)


def _cabinet(rng: np.random.Generator, thing: Assembly) -> None:
    size = (_uniform(rng, 0.5, 1.8), _uniform(rng, 0.3, 0.6), _uniform(rng, 0.7, 1.8))
    thing.box((0, 0, size[2] / 2), size, reflectivity=0.35)


def _bench(rng: np.random.Generator, thing: Assembly) -> None:
    length = _uniform(rng, 1.4, 2.4)
    thing.box((0, 0, 0.43), (length, 0.45, 0.06))
    thing.box((0, 0.22, 0.65), (length, 0.05, 0.4), porosity=0.4)
    for side in (-1, 1):
        thing.box((side * 0.4 * length, 0, 0.2), (0.08, 0.4, 0.4))


def _planter(rng: np.random.Generator, thing: Assembly) -> None:
    size = (_uniform(rng, 0.5, 2.0), _uniform(rng, 0.4, 0.9), _uniform(rng, 0.3, 0.8))
    thing.box((0, 0, size[2] / 2), size, reflectivity=0.4)
    height = _uniform(rng, 0.3, 1.4)
    plants = Assembly()
    for x in np.arange(-size[0] / 2 + 0.25, size[0] / 2, 0.5):
        add_shrub(rng, plants, float(x), 0.0, 0.35, height)
    thing.extend(plants, (0.0, 0.0, size[2] - 0.1))


def _cafe(rng: np.random.Generator, thing: Assembly) -> None:
    """Tables, chairs and a parasol."""
    for index in range(int(rng.integers(1, 4))):
        x = 2.0 * index
        thing.post(x, 0, 0.72, 0.08)
        thing.box((x, 0, 0.74), (0.7, 0.7, 0.04))
        for side in (-1, 1):
            thing.box((x + 0.6 * side, 0, 0.44), (0.42, 0.42, 0.05))
            thing.box((x + 0.8 * side, 0, 0.68), (0.05, 0.4, 0.45), porosity=0.4)
            thing.box((x + 0.6 * side, 0, 0.22), (0.35, 0.35, 0.44), porosity=0.75)
        if rng.random() < 0.4:
            thing.post(x, 0.2, 2.5, 0.06)
            thing.ellipsoid((x, 0.2, 2.4), (1.3, 1.3, 0.3), porosity=0.02)


def _kiosk_column(rng: np.random.Generator, thing: Assembly) -> None:
    """An advertising column or a panel."""
    if rng.random() < 0.4:
        width, height = _uniform(rng, 0.9, 1.3), _uniform(rng, 2.4, 3.4)
        for yaw in (0.0, np.pi / 4):
            thing.box((0, 0, height / 2), (0.92 * width, 0.92 * width, height), yaw)
        return
    thing.box((0, 0, 1.5), (_uniform(rng, 1.0, 1.6), 0.2, _uniform(rng, 1.6, 2.0)))
    thing.box((0, 0, 0.3), (0.5, 0.15, 0.6))


def _pallets(rng: np.random.Generator, thing: Assembly) -> None:
    """Pallets, boxes and rubble in a heap."""
    for _ in range(int(rng.integers(1, 5))):
        x, y = _uniform(rng, -1.5, 1.5), _uniform(rng, -0.4, 0.4)
        height, yaw = _uniform(rng, 0.3, 1.6), _uniform(rng, 0, np.pi)
        if rng.random() < 0.6:
            size = (_uniform(rng, 0.5, 1.2), _uniform(rng, 0.4, 0.8), height)
            thing.box((x, y, height / 2), size, yaw)
        else:
            thing.ellipsoid((x, y, 0.1), (0.9, 0.6, 0.6 * height), porosity=0.001)


def _shelter(rng: np.random.Generator, thing: Assembly) -> None:
    """A bus shelter: posts, glass at the back and sides, a bench, an advertisement."""
    length, deep = _uniform(rng, 2.5, 5.0), _uniform(rng, 1.0, 1.6)
    share, top = _uniform(rng, 0.75, 0.95), _uniform(rng, 2.2, 2.6)
    thing.box((0, 0, top + 0.06), (length + 0.3, deep + 0.3, 0.12))
    thing.box((0, deep / 2, top / 2 + 0.1), (length, 0.03, top - 0.2), porosity=share)
    thing.box((-length / 2, 0.15, top / 2 + 0.1), (0.03, deep * 0.7, top - 0.2), porosity=share)
    thing.box((length / 2, 0.0, 1.3), (0.18, deep, 2.0), reflectivity=0.4)
    thing.box((0, 0.3 * deep, 0.45), (0.6 * length, 0.35, 0.06))
    for x in np.linspace(-length / 2, length / 2, 4):
        thing.post(float(x), deep / 2, top, 0.08)


_MAKERS: dict[str, tuple[Maker, float]] = {
    "lamp": (_lamp, 0.12),
    "sign": (_sign, 0.13),
    "signal": (_signal, 0.03),
    "bollards": (_bollards, 0.08),
    "bins": (_bins, 0.13),
    "cycles": (_cycle_stand, 0.15),
    "cabinet": (_cabinet, 0.08),
    "bench": (_bench, 0.05),
    "planter": (_planter, 0.08),
    "cafe": (_cafe, 0.04),
    "advertisement": (_kiosk_column, 0.03),
    "pallets": (_pallets, 0.05),
    "shelter": (_shelter, 0.03),
}
FURNITURE = tuple(_MAKERS)


def furniture(rng: np.random.Generator, kind: str | None = None) -> PartSet:
    """Return one of ``FURNITURE``, drawn at random when None."""
    names, shares = list(_MAKERS), np.array([share for _, share in _MAKERS.values()])
    name = kind or str(rng.choice(names, p=shares / shares.sum()))
    thing = Assembly()
    _MAKERS[name][0](rng, thing)
    return thing.parts()


def pole(rng: np.random.Generator) -> PartSet:
    """Return a street lamp, traffic light, sign post or bollard."""
    return furniture(rng, str(rng.choice(["lamp", "sign", "signal", "bollards"])))
