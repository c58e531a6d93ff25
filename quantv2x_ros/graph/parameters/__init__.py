# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of every node: one frozen dataclass a node, without ROS.

* parameter: ParameterError, Specification, Parameters.
* common: HealthParameters, NodeParameters, StationIdParameters, StationParameters,
  ModelParameters, TrustParameters.
* encoder: PoseParameters, CloudParameters, SendingParameters, ReceiversParameters,
  EncoderParameters.
* fusion: FusionParameters.
* replay: ReplayParameters.
* viewer: ViewerParameters.
* channel: ChannelParameters.
* radio: RadioParameters.
* catalogue: the parameters of each node by its name.
"""
