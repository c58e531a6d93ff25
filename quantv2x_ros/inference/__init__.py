# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Model bundles, engine backends and the pipeline from points to boxes. Needs no torch.

* cell_heads: CellHeads.
* detector: CooperativeDetector.
* encoder: AgentEncoder.
* heads: Heads, HostHeads, DeviceHeads.
* peer_views: PeerView, PreparedPeers, PeerViews.
* pose_aligner: PoseAligner, HeldAlignment.
* protocol: MessageError, PlainFeature, Broadcast, FusionDetector, Detector.
* pyramid_engines: PyramidEngines.
* receiver: FusionFrame, Receiver.
* results: PipelineError, StageTimer, EncodedSweep, AgentPyramid, HeadMaps, FusionResult.
* window: HeadWindow.
"""
