# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The encoder node: clouds in, index messages out.

* cloud_checks: CloudChecks.
* cloud_frame: CloudPlace, CloudFrame.
* encoder: OwnFusion, EncoderNode.
* index_output: IndexOutput.
* level_output: LevelOutput.
* own_objects: OwnObjectsOutput.
* paced_output: PacedOutput.
* pose_sources: TransformPoses, PoseSource, TopicPoses.
* posed_sweeps: SweepInput, WaitingSweep, PosedSweep, PosedSweeps.
* receivers_input: ReceiversInput.
* signer: Signer.
* transform_tree: TransformTree.
"""
