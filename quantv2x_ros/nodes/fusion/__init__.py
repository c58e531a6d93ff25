# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The fusion node: index messages in, objects out.

* announcements: Announcements.
* frame_turns: FrameTurns.
* fusion: FusionNode.
* fusion_output: FusionOutput, FusedFrame.
* fusion_worker: FusionOutcome, FusionWorker.
* indices_input: IndicesInput.
* markers: FusedAgent.
* own_input: OwnInput, LevelInput.
"""
