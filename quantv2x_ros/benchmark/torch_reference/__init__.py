# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The published network in plain torch, which times and boxes are compared to.

* plain: PlainFrame, PlainPipeline.
"""
