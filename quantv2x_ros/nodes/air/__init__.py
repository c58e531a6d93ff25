# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages on the air: their format, signature and checks.

* index_format: IndexFormat.
* indices_subscription: IndicesSubscription.
* trust: ClockTolerance, Trust.
"""
