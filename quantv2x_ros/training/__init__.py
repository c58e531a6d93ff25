# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The offline companion: torch network, training, quantization and export.

* blocks: BasicBlock, NormedConvolution, Bottleneck, SegmentMax, PillarFeatureNet.
* bundle_network: BundleNetwork.
* codebook: Quantized, Noise, CodebookLevel, TrainableCodebook.
* codebook_usage: CodebookUsage.
* config: TrainingConfigError, GridSection, NetworkSection, SampleSection, OptimizerSection,
  CodebookSection, TrainingConfig.
* cooperative_frame: AgentView, CooperativeFrame.
* data_module: EpochSampler, SplitModule.
* detector: DetectorNetwork, MessageFormat, IndexMessages, FeatureMessages, TorchDetector.
* firing: FiringChannels, ChannelHealth.
* head_outputs: HeadOutputs.
* light: ConvNorm, Block, Downsample, Upsample, LightBackbone, LightPyramid, Tower, LightHead.
* loader: StepSampler, SampleLoader.
* losses: LossWeights, TargetBatch.
* module: ValidationMetric, DivergedError, StageModule.
* network: NetworkConfigError, NetworkConfig, QuantV2XNetwork.
* points: PillarInput.
* published: CheckpointError.
* pyramid: PyramidMaps, Pyramid, PublishedPyramid.
* revqom: RunningCodewords, ReVQomCodebook.
* safe_files: SafeCheckpointIO, LastState.
* samples: SampleError, SampleConfig, Sample, SampleMaker.
* second: SecondError, SecondEncoder, SecondNetwork.
* stage: EndOnTermination, ProgressLines, Devices, StageRun.
* stream: SampleStream, ValidationSamples.
* targets: AnchorTargets, TargetAssigner.
"""
