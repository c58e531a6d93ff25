# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ground of a scene (gentle waves, maybe a raster), and poses of things that stand on it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.data.simulator.heightfield import HeightField
from quantv2x_ros.data.simulator.primitives import PartSet
from quantv2x_ros.data.simulator.raycast import ground_height
from quantv2x_ros.data.simulator.terrain import CELL, NODES, REACH

FloatArray = npt.NDArray[np.float64]
Pose6 = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Ground:
    """A plane with waves: z = z0 + gx x + gy y + sum of a sin(kx x + ky y + phase).

    Attributes:
        parameters: (1 + waves, 4) float64: (z0, gx, gy, 0), then (a, kx, ky, phase).
        terrain: the ground as a raster, which then holds instead of the plane and its waves.
        has_relief: whether the land beside the streets rises or falls.
    """

    parameters: FloatArray
    terrain: HeightField | None = None
    has_relief: bool = False

    def __post_init__(self) -> None:
        if self.parameters.ndim != 2 or self.parameters.shape[1] != 4:
            raise ValueError(f"Ground.parameters is {self.parameters.shape}, expected (waves, 4)")

    @classmethod
    def random(cls, rng: np.random.Generator) -> Ground:
        """Draw a slope of mostly below 1 % and three waves of up to 0.2 m."""
        slope, direction = abs(rng.normal(0, 0.005)), rng.uniform(0, 2 * np.pi)
        rows = [[0.0, slope * np.cos(direction), slope * np.sin(direction), 0.0]]
        for _ in range(3):
            length, angle = rng.uniform(35, 140), rng.uniform(0, 2 * np.pi)
            number = 2 * np.pi / length
            rows.append(
                [
                    rng.uniform(0, 0.0016) * length,
                    number * np.cos(angle),
                    number * np.sin(angle),
                    rng.uniform(0, 2 * np.pi),
                ]
            )
        return cls(np.array(rows))

    def with_relief(self, relief: FloatArray) -> Ground:
        """Return this ground with ``relief`` (NODES, NODES), metres, added to it."""
        return replace(self.with_heights(relief), has_relief=True)

    def with_heights(self, added: FloatArray) -> Ground:
        """Return this ground with heights (NODES, NODES), metres, added to it."""
        axis = np.linspace(-REACH, REACH, NODES)
        x, y = axis[None, :], axis[:, None]
        heights = self.parameters[0, 0] + self.parameters[0, 1] * x + self.parameters[0, 2] * y
        for height, kx, ky, phase in self.parameters[1:]:  # the sine of a sum: no sine of all nodes
            heights = heights + (height * np.sin(kx * x + phase)) * np.cos(ky * y)
            heights += (height * np.cos(kx * x + phase)) * np.sin(ky * y)
        field = HeightField.from_heights(heights + added, (-REACH, -REACH, CELL))
        return Ground(self.parameters, field, self.has_relief)

    def lowest(self, x: float, y: float, yaw: float, length: float, depth: float) -> float:
        """Return the lowest ground under a footprint with its front centre at (x, y), metres."""
        cosine, sine = np.cos(yaw), np.sin(yaw)
        return min(
            self.height(x + cosine * a - sine * b, y + sine * a + cosine * b)
            for a in (-length / 2, 0.0, length / 2)
            for b in (0.0, depth / 2, depth)
        )

    def height(self, x: float, y: float) -> float:
        """Return z of the ground at (x, y), metres."""
        if self.terrain is not None:
            return self.terrain.height(x, y)
        return float(ground_height(x, y, self.parameters))

    def standing_pose(
        self, x: float, y: float, yaw: float, length: float, width: float, lift: float
    ) -> Pose6:
        """Return the pose of a body resting on the ground under its four corners.

        Args:
            x: position, metres.
            y: position, metres.
            yaw: heading, radians.
            length: footprint over which the slope is taken, metres.
            width: its width, metres.
            lift: height of the pose's origin over the ground, metres.

        Returns:
            (x, y, z, roll, yaw, pitch), angles in degrees in the V2X convention (pitch is
            positive with the nose up, roll is positive with the right side up).
        """
        cosine, sine = np.cos(yaw), np.sin(yaw)
        front = self.height(x + cosine * length / 2, y + sine * length / 2)
        rear = self.height(x - cosine * length / 2, y - sine * length / 2)
        left = self.height(x - sine * width / 2, y + cosine * width / 2)
        right = self.height(x + sine * width / 2, y - cosine * width / 2)
        pitch = np.degrees(np.arctan2(front - rear, length))
        roll = np.degrees(np.arctan2(right - left, width))
        base = (front + rear + left + right) / 4
        return (x, y, base + lift, float(roll), float(np.degrees(yaw)), float(pitch))

    def place(
        self, parts: PartSet, x: float, y: float, yaw: float, *, length: float = 0.0
    ) -> PartSet:
        """Move scenery onto the ground: upright, or along the slope over ``length`` metres."""
        if length > 0:
            pose = self.standing_pose(x, y, yaw, length, 0.5, 0.0)
        else:
            pose = (x, y, self.height(x, y), 0.0, float(np.degrees(yaw)), 0.0)
        return parts.transformed(matrix_from_v2x(np.array(pose)))
