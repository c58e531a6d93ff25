# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cooperative 3D object detection over V2X with quantized codebook indices."""

__version__ = "0.1.0"
