# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The whole path in one process, without ROS: detection, evaluation, pictures."""
