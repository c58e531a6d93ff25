# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Engines on a CPU, by OpenVINO, and what its INT8 kernels need.

* engine: ModelPart, OpenVinoEngine.
* row_engine: RowEngine.
* row_parts: RowPart.
* group_width: TableLookup.
"""
