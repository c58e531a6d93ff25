# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The fusion node: index messages in, objects out.

* announcements: Announcements.
* frame_turns: FrameTurns.
* fusion: FusionNode.
* fusion_output: FusionOutput.
* fusion_worker: FusionOutcome, OwnView, FusionWorker.
* indices_input: IndicesInput.
* markers: FusedAgent.
* objects: Contributor, FusedFrame.
* own_input: OwnInput, LevelInput.
* own_objects: OwnObjects.
"""
