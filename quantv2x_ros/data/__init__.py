# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Datasets on disk, bags and the simulator: NumPy only."""
