# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""LiDAR simulator: rays cast into generated traffic scenes, as V2X-Real cooperative data."""
