# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From a LiDAR's points to the pillar features of a bird's-eye-view grid."""

from quantv2x_ros.core.pillars.cloud import Cloud, CloudError, CloudField
from quantv2x_ros.core.pillars.pillar_net import PillarMap, PillarNet, PillarWeights
from quantv2x_ros.core.pillars.pillars import PillarGrouper, Pillars

__all__ = [
    "Cloud",
    "CloudError",
    "CloudField",
    "PillarGrouper",
    "PillarMap",
    "PillarNet",
    "PillarWeights",
    "Pillars",
]
