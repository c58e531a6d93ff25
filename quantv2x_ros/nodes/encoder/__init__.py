# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The encoder node: clouds in, index messages out.

* cloud_checks: CloudChecks.
* cloud_frame: CloudPlace, CloudFrame.
* encoder: OwnFusion, EncoderNode.
* index_output: Signer, IndexOutput.
* level_output: LevelOutput.
* paced_output: PacedOutput.
* pose_sources: TransformPoses, PoseSource, TopicPoses.
* posed_sweeps: SweepInput, WaitingSweep, PosedSweep, PosedSweeps.
* receivers_input: ReceiversInput.
* transform_tree: TransformTree.
"""
