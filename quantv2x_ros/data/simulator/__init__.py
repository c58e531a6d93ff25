# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""LiDAR simulator: rays cast into generated traffic scenes, as V2X-Real cooperative data.

`scene.simulate_scene` yields frames in memory, `writer.write_scenario` writes the V2X-Real layout.
"""

from quantv2x_ros.data.simulator.scene import (
    SimulatedAgent,
    SimulatedFrame,
    SimulatedObject,
    simulate_scene,
)
from quantv2x_ros.data.simulator.writer import write_scenario

__all__ = [
    "SimulatedAgent",
    "SimulatedFrame",
    "SimulatedObject",
    "simulate_scene",
    "write_scenario",
]
