# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Model bundles, engine backends and the pipeline from points to boxes. Needs no torch."""
