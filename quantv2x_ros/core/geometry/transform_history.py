# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A tree of frames whose transforms change in time, as recorded on /tf and /tf_static."""

from __future__ import annotations

import numpy as np

from quantv2x_ros.core.geometry.pose import Matrix, invert
from quantv2x_ros.core.geometry.pose_buffer import NO_POSE, PoseBuffer, PoseUnavailableError

#: Longest time between two transforms of a frame that is interpolated, seconds; as far back as tf2
#: remembers.
_MAX_GAP = 10.0
#: Transforms of one frame that are kept.
_CAPACITY = 2000
_LONGEST_CHAIN = 100
_NO_COVARIANCE = np.zeros(36)


class TransformHistory:
    """Knows where frames were in each other; between two times it interpolates."""

    def __init__(self) -> None:
        """Start without any frame."""
        self._parents: dict[str, str] = {}
        self._fixed: dict[str, Matrix] = {}
        self._moving: dict[str, PoseBuffer] = {}

    def add(
        self, parent: str, child: str, stamp_ns: int, matrix: Matrix, is_static: bool = False
    ) -> None:
        """Add where a frame is in its parent.

        Args:
            parent: its frame; a leading slash, as ROS 1 had it, does not count.
            child: the frame.
            stamp_ns: when, nanoseconds.
            matrix: (4, 4) child-to-parent.
            is_static: whether it holds for all times.

        Raises:
            PoseError: for a matrix that is no rigid transform.
        """
        parent, child = parent.lstrip("/"), child.lstrip("/")
        if is_static:
            self._fixed[child] = np.asarray(matrix, dtype=np.float64)
            self._moving.pop(child, None)
        else:
            self._fixed.pop(child, None)
            buffer = self._moving.setdefault(child, PoseBuffer(_CAPACITY, _MAX_GAP))
            buffer.add(stamp_ns, matrix, _NO_COVARIANCE)
        self._parents[child] = parent

    def lookup(self, target: str, source: str, stamp_ns: int) -> Matrix:
        """Return source-to-target (4, 4) at a time.

        Args:
            target: a frame.
            source: another one.
            stamp_ns: nanoseconds.

        Raises:
            PoseUnavailableError: where the frames are not connected, or not known at that time.
        """
        target, source = target.lstrip("/"), source.lstrip("/")
        up, down = self._chain(source), self._chain(target)
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            raise PoseUnavailableError(
                NO_POSE,
                f"no transform leads from {source!r} to {target!r}: {source!r} hangs below"
                f" {up[-1]!r}; frames are {', '.join(self._names()) or 'none'}",
            )
        from_source = self._along(up[: up.index(common)], stamp_ns)
        from_target = self._along(down[: down.index(common)], stamp_ns)
        return invert(from_target) @ from_source

    def root(self, frame: str) -> str:
        """Return the frame at the top of what a frame hangs below; itself, if it is not known."""
        return self._chain(frame.lstrip("/"))[-1]

    def _chain(self, frame: str) -> list[str]:
        """Return a frame, its parent, and so on."""
        chain = [frame]
        while chain[-1] in self._parents and len(chain) < _LONGEST_CHAIN:
            chain.append(self._parents[chain[-1]])
        return chain

    def _along(self, frames: list[str], stamp_ns: int) -> Matrix:
        """Return the transform from the first of some frames to the parent of the last."""
        matrix = np.eye(4)
        for frame in frames:
            fixed = self._fixed.get(frame)
            matrix = (self._moving[frame].at(stamp_ns)[0] if fixed is None else fixed) @ matrix
        return matrix

    def _names(self) -> list[str]:
        return sorted({*self._parents, *self._parents.values()})
