# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all nodes have: parameters, life cycle, diagnostics, QoS, conversions.

* base: BaseNode.
* conversions: MessageRefusedError.
* health: Health.
* managed: NodeError, ManagedNode.
* topic_watch: QosWatch, TypeWatch.
* rclpy_private: RefusingLifecycleNode.
* sim_clock: SimClockWatch.
* wake: Wake.
"""
