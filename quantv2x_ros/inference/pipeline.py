# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From points to indices (every agent) and from indices to boxes (the ego)."""

from __future__ import annotations
