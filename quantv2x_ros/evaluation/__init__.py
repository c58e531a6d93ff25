# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detection on datasets without ROS, and what it is measured by.

* agent_grids: AgentGrids.
* air: Air, IndependentLoss, SharedChannel.
* consistency_trial: Suspect, ConsistencyTrial.
* details: RatedFrame, Details.
* detect: Input, DetectionResult.
* detector: EngineDetector.
* evaluation: Evaluation.
* inbox: ReceivedSweep, Inbox.
* index_recorder: IndexRecorder.
* lies: ClaimedSweep, LieInput, Lie, Honest, WrongPose, Elsewhere, InventedCar.
* frame_history: Sent, FrameState, FrameHistory.
* plots: Panel.
* radio: Radio.
* receiver: Heard, EgoView, Receiver.
* picture_content: PictureContent, PictureArea.
* scores: Scores.
* session: Request.
* settings: EvaluationSettingError, Sending, Link, EvaluationConfig.
* streaming: StreamingPrecision.
* series: Variant.
* air_load: AirLoad.
"""
