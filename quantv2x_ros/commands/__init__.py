# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The commands of `python -m quantv2x_ros`, one module each; `quantv2x_ros.cli` finds them."""
