# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Object models fill their annotated box and stay inside it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.data.simulator import cars, people, vehicles
from quantv2x_ros.data.simulator.raycast import cast_sweep
from quantv2x_ros.data.simulator.shape import Shape

Model = Callable[[np.random.Generator], Shape]
MODELS: dict[str, Model] = {
    "car": cars.car,
    "van": vehicles.van,
    "truck": vehicles.truck,
    "concrete_truck": vehicles.concrete_truck,
    "bus": vehicles.bus,
    "container": vehicles.container,
    "pedestrian": people.pedestrian,
    "bicycle_rider": people.bicycle_rider,
    "scooter_rider": people.scooter_rider,
    "motorcycle": lambda rng: people.motorcycle(rng, rider=False),
    "motorcycle_rider": lambda rng: people.motorcycle(rng, rider=True),
}
COLUMNS = 900
BURIED = np.array([[-100.0, 0.0, 0.0, 0.0]])


def surface(shape: Shape) -> np.ndarray:
    """Return points on a model seen from eight sides, in its box frame."""
    clouds = []
    reach = max(shape.size) + 3.0
    for azimuth in range(0, 360, 45):
        angle = np.radians(azimuth)
        pose = matrix_from_v2x(
            np.array([reach * np.cos(angle), reach * np.sin(angle), 1.0, 0.0, 0.0, 0.0])
        )
        elevations = np.deg2rad(np.linspace(-50, 30, 100))
        depth, part, _ = cast_sweep(
            shape.parts,
            pose,
            BURIED,
            elevations=elevations,
            azimuth_offsets=np.zeros(100),
            columns=COLUMNS,
            phase=0.0,
            max_range=60.0,
            roughness=0.0,
            salt=1,
        )
        beam, column = np.nonzero(part >= 0)
        flat = depth[beam, column] * np.cos(elevations[beam])
        turn = column * 2 * np.pi / COLUMNS
        z = depth[beam, column] * np.sin(elevations[beam])
        clouds.append(np.stack([flat * np.cos(turn), flat * np.sin(turn), z], 1) + pose[:3, 3])
    return np.concatenate(clouds)


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("seed", range(4))
def test_a_model_touches_the_sides_of_its_box_from_within(name: str, seed: int) -> None:
    shape = MODELS[name](np.random.default_rng(seed))
    points, half = surface(shape), np.array(shape.size) / 2
    assert np.all(np.abs(points) <= half + 1e-6), np.abs(points).max(0) - half
    missing = np.concatenate([half - points.max(0), half + points.min(0)])
    tolerance = np.tile(np.maximum(0.08, 0.06 * half), 2)  # feet and mirrors are thin
    assert np.all(missing <= tolerance), missing


@pytest.mark.parametrize("name", ["car", "van", "truck", "bus"])
def test_vehicles_leave_a_gap_between_their_wheels(name: str) -> None:
    shape = MODELS[name](np.random.default_rng(3))
    length, _, height = shape.size
    underneath = np.array([[0.0, 0.0, -height / 2 + 0.1], [-length * 0.05, 0.2, -height / 2 + 0.1]])
    assert not shape.parts.contains(underneath).any()


def test_a_car_is_not_a_box() -> None:
    shape = cars.car(np.random.default_rng(1))
    half = np.array(shape.size) / 2
    corners = np.array([[x, y, 0.9] for x in (-0.98, 0.98) for y in (-0.9, 0.9)]) * half
    assert not shape.parts.contains(corners).any()
    assert shape.parts.contains(np.array([[0.0, 0.0, -0.1 * half[2]]])).all()


def test_object_types_are_those_of_v2x_real() -> None:
    from quantv2x_ros.data.v2x_real import OBJECT_TYPES

    rng = np.random.default_rng(0)
    drawn = {model(rng).obj_type for model in MODELS.values() for _ in range(40)}
    assert drawn <= set(OBJECT_TYPES)
    assert {"Car", "LongVehicle", "Truck", "Van", "Bus", "Pedestrian", "ScooterRider"} <= drawn
