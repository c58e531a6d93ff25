# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Quantization of trained networks: calibration, reconstruction, and training with it.

* alignment: FusedMapAlignment.
* aware_training: StudentOutputs, Student, AwareTrainingConfig, AwareTraining.
* block_learning: ReconstructionConfig, BlockTask.
* blocks: Block.
* calibration: Histogram, Calibration.
* calibration_data: CalibrationFrames.
* comparison: RecordingDetector, BoxDifference.
* crops: Crop, CropMaker.
* health: ReluInputs.
* learnable: Straight, AdaptiveRounding, LearnedWeight, LearnedStep, LearnableNodes.
* post_training: QuantizationConfig.
* reconstruction: BlockResult, Reconstruction.
* simulation: CalibrationFrame, SimulatedNetwork.
* streams: Stream.
* workflow: Workflow, Cost.
"""
