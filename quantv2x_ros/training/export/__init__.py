# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Export of trained networks as model bundles: folding, quantization, ONNX.

* bundle_writer: BundleSettings.
* measurement: Measurement.
"""
