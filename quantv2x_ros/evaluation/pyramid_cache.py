# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pyramids that many settings of an evaluation share are computed once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from quantv2x_ros.inference.protocol import Cells, Detector, IndexArray
from quantv2x_ros.inference.results import AgentPyramid, FeatureArray, FusionResult

#: Pyramids that are kept: those of some frames of five agents.
_KEPT = 64


class PyramidCache:
    """Passes a detector's work through, and remembers the last pyramids; a `FusionDetector`.

    A pyramid keeps the milliseconds that it took when it was computed.
    """

    def __init__(self, detector: Detector) -> None:
        """Remember nothing yet."""
        self._detector = detector
        self._known: OrderedDict[Hashable, AgentPyramid] = OrderedDict()

    def pyramid(
        self,
        indices: IndexArray,
        received: Cells | None = None,
        ego_to_agent: npt.NDArray[np.float64] | None = None,
    ) -> AgentPyramid:
        """See `FusionDetector`."""
        lost = b"" if received is None else _digest(received)
        key = _digest(indices), lost, self._detector.columns(ego_to_agent)
        return self._get(key, lambda: self._detector.pyramid(indices, received, ego_to_agent))

    def own_pyramid(self, own: FeatureArray) -> AgentPyramid:
        """See `FusionDetector`."""
        return self._get(_digest(own), lambda: self._detector.own_pyramid(own))

    def fuse(
        self, pyramids: Sequence[AgentPyramid], ego_to_agent: npt.NDArray[np.float64]
    ) -> FusionResult:
        """See `FusionDetector`."""
        return self._detector.fuse(pyramids, ego_to_agent)

    def _get(self, key: Hashable, compute: Callable[[], AgentPyramid]) -> AgentPyramid:
        if key not in self._known:
            self._known[key] = compute()
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]


def _digest(values: npt.NDArray[np.generic]) -> bytes:
    return blake2b(np.ascontiguousarray(values).data, digest_size=16).digest()
