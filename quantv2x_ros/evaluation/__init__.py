# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detection on datasets without ROS, and what it is measured by.

* agent_grids: AgentGrids.
* air: Air, IndependentLoss, SharedChannel.
* consistency_trial: Suspect, ConsistencyTrial.
* details: RatedFrame, Details.
* detect: Input, Outcome.
* detector: EngineDetector.
* evaluation: Evaluation.
* inbox: Letter, Inbox.
* index_recorder: IndexRecorder.
* lies: Told, Scene, Lie, Honest, WrongPose, Elsewhere, InventedCar.
* moments: Sent, Moment, Moments.
* plots: Panel.
* radio: Radio.
* receiver: Heard, View, Receiver.
* scene: Scene, View.
* scores: Scores.
* session: Request.
* settings: EvaluationSettingError, Sending, Link, EvaluationConfig.
* streaming: StreamingPrecision.
* sweeps: Variant.
* traffic: Traffic.
"""
