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
* index_recorder: IndexRecorder.
* lies: ClaimedSweep, LieInput, Lie, Honest, WrongPose, Elsewhere, InventedCar.
* frame_state: Sent, FrameState, ScenarioAgents.
* playback: EgoView, Playback.
* pyramid_cache: PyramidCache.
* senders: Senders.
* settings_file: Measure, Clouds.
* plots: Panel.
* picture_content: PictureContent, PictureArea.
* scores: Scores.
* session: Request.
* settings: EvaluationSettingError, Sending, Link, EvaluationConfig.
* streaming: StreamingPrecision.
* series: Variant.
* air_load: AirLoad.
"""
