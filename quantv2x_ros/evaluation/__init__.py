# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detection on datasets without ROS, and what it is measured by.

* agent_grids: AgentGrids, AgentLevels, RoadsideGrids.
* air: Air, Outgoing, Departures, IndependentLoss, SharedChannel.
* consistency_trial: Suspect, ConsistencyTrial.
* details: RatedFrame, Details.
* detect: Input, DetectionResult.
* detector: EngineDetector.
* evaluation: Evaluation.
* index_recorder: IndexRecorder.
* lies: ClaimedSweep, LieInput, Lie, Honest, WrongPose, Elsewhere, InventedCar.
* frame_state: Sent, OwnView, FrameState, ScenarioAgents.
* box_link: BoxMessage, BoxLink.
* hybrid_playback: HybridPlayback.
* late_playback: LatePlayback.
* playback: EgoView, Playback.
* pyramid_cache: PyramidCache.
* senders: Senders, AirLoad.
* settings_file: Measure, Clouds.
* plots: Panel.
* scores: Scores, StreamingPrecision.
* session: Request.
* thresholds: choose_thresholds, install_thresholds.
* tracking: TrackingScore.
* settings: EvaluationSettingError, Sending, Link, EvaluationConfig.
* series: Variant.
* drawing: PictureContent, PictureArea.
"""
