# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poses from TF."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.mounting import covariance_of
from quantv2x_ros.nodes.base import BaseNode
from quantv2x_ros.nodes.parameters import declare
from quantv2x_ros.nodes.transform_tree import TransformTree

Float64 = npt.NDArray[np.float64]


class TransformPoses:
    """Looks the transform from the sensor's frame to the map up; tf2 interpolates."""

    def __init__(self, tree: TransformTree, map_frame: str, covariance: Float64) -> None:
        """Prepare.

        Args:
            tree: knows the transforms; whoever has it listens.
            map_frame: the target.
            covariance: (36,) that every pose is given: TF has none.
        """
        self._tree = tree
        self._map_frame = map_frame
        self._covariance = covariance

    @classmethod
    def declare(
        cls, node: BaseNode, tree: TransformTree, map_frame: str, used: bool
    ) -> TransformPoses | None:
        """Declare the parameters; return the source where it is to be used.

        Args:
            node: whose parameters.
            tree: of this node.
            map_frame: the target.
            used: whether poses shall come from TF.

        Raises:
            ParameterError: where they shall, but tf2_ros is not installed.
        """
        position = declare(
            node,
            "tf_position_sigma",
            0.1,
            "Standard deviation of positions from tf that others are told [m]; TF has none.",
            low=0.0,
            high=1000.0,
        )
        degrees = declare(
            node,
            "tf_rotation_sigma",
            0.5,
            "Standard deviation of rotations from tf that others are told [degrees].",
            low=0.0,
            high=180.0,
        )
        if not used:
            return None
        tree.require("pose_source", "choose pose or odometry")
        return cls(tree, map_frame, covariance_of(position, float(np.radians(degrees))))

    def connect(self, on_new: Callable[[], object]) -> None:
        """See `PoseSource.connect`; the tree listens by itself."""

    def at(self, stamp_ns: int, frame: str) -> tuple[Float64, Float64]:
        """See `PoseSource.at`."""
        return self._tree.lookup(self._map_frame, frame, stamp_ns), self._covariance

    def clear(self) -> None:
        """See `PoseSource.clear`; static transforms stay."""
        self._tree.clear()

    def sweeps_jumped_back(self, stamp_ns: int) -> None:
        """See `PoseSource.sweeps_jumped_back`; tf2 refuses all that is older until then."""
        self.clear()
