# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The residual codebook: features to indices and back, and what names it."""

from quantv2x_ros.core.codebook.codebook import ResidualCodebook, RowEncoder
from quantv2x_ros.core.codebook.folding import CodebookError
from quantv2x_ros.core.codebook.normalisation import GroupNormalisation
from quantv2x_ros.core.codebook.own_feature import OwnFeature

__all__ = ["CodebookError", "GroupNormalisation", "OwnFeature", "ResidualCodebook", "RowEncoder"]
