# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Timing of the package, beside the plain torch network in the same run."""
