# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Small datasets, written by the package itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from quantv2x_ros.data.v2x_real import write_agent_frame


@dataclass(frozen=True)
class LabelledObject:
    """What write_agent_frame takes for an object."""

    object_id: int
    obj_type: str
    location: tuple[float, float, float]
    angle: tuple[float, float, float] = (0.0, 0.0, 0.0)
    extent: tuple[float, float, float] = (2.0, 1.0, 0.75)


@pytest.fixture
def labelled_object() -> type[LabelledObject]:
    return LabelledObject


@pytest.fixture
def small_scenario(tmp_path: Path) -> Callable[..., Path]:
    """Two vehicles facing each other 30 m apart, a roadside unit, and what they see."""

    def write(frames: int = 2, far_agent: bool = False) -> Path:
        root = tmp_path / "test" / "crossing"
        generator = np.random.default_rng(1)
        cars = {
            # the first two are the agents' own vehicles
            "1": LabelledObject(11, "Car", (10.0, 20.0, 0.8), (0.0, 0.0, 0.0)),
            "2": LabelledObject(12, "Car", (40.0, 20.0, 0.8), (0.0, 180.0, 0.0)),
        }
        seen = {
            "1": [cars["2"], LabelledObject(13, "Pedestrian", (20.0, 25.0, 0.9))],
            "2": [cars["1"], LabelledObject(14, "Bus", (20.0, 15.0, 1.6), (0.0, 90.0, 0.0))],
            "-1": [*cars.values(), LabelledObject(15, "Tree", (0.0, 0.0, 2.0))],
        }
        poses = {
            "1": (10.0, 20.0, 1.9, 0.0, 0.0, 0.0),
            "2": (40.0, 20.0, 1.9, 0.0, 180.0, 0.0),
            "-1": (30.0 + 1000.0 * far_agent, 10.0, 5.0, 0.0, 90.0, 0.0),
        }
        for index in range(frames):
            for agent, pose in poses.items():
                write_agent_frame(
                    root / agent,
                    f"{index:06d}",
                    generator.uniform(-30.0, 30.0, (500, 4)).astype(np.float32),
                    lidar_pose=pose,
                    objects=seen[agent],
                    infrastructure=agent == "-1",
                )
        return root

    return write
