# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Timing of the package, beside the plain torch network in the same run.

* frames: BenchmarkFrame.
* gpu_check: Step.
* gpu_engine: GpuCheckError.
* gpu_steps: GpuCheckSettings.
* node_times: FrameTimes.
* nodes: NodeObserver, NodeBenchmarkSettings.
* ours: OurPipeline.
* roofline: EngineCost, StageCost, Ceilings.
* run: Pipeline.
* samples: Samples.
* settings: BenchmarkError, BenchmarkSettings.
"""
