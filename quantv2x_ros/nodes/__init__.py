# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 nodes: parameters, QoS, conversion and timing; the algorithms are in core.

* channel: ChannelNode.
* documentation: DocumentationError.
* radio: RadioNode.
* viewer: ViewerNode.
"""
