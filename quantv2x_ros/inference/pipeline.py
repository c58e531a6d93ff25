# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From points to indices (every agent) and from indices to boxes (the ego)."""

from __future__ import annotations

from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.results import (
    AgentPyramid,
    EncodedSweep,
    FusionResult,
    PipelineError,
)

__all__ = [
    "AgentEncoder",
    "AgentPyramid",
    "CooperativeDetector",
    "EncodedSweep",
    "FusionResult",
    "PipelineError",
]
