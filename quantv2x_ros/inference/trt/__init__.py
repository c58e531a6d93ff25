# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Engines on an NVIDIA GPU, by TensorRT.

* api: TensorRt.
* cuda: Gpu, Buffer, CudaGraph.
* engine: TensorRtEngine.
* layers: EngineLayer.
* plan: BuiltPlan, ForeignPlanError, PlanOrigin.
* profile: Profile.
"""
