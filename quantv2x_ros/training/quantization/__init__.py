# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Quantization of trained networks: calibration, reconstruction, and training with it."""
