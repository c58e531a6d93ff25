# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets on the air: their messages, format and signatures.

* heard_packet: HeardPacket.
* index_format: IndexFormat.
* indices_subscription: IndicesSubscription.
* trust: ClockTolerance, Trust.
"""
