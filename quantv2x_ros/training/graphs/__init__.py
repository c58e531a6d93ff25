# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The network as a graph of integer convolutions: its scales, its execution, its ONNX.

* executor: GraphExecutor.
* graph: Convolution, Concatenation, Score, TensorSpec, LayerGraph.
* network_graphs: NetworkGraphs.
* onnx_writer: GraphBuilder.
* pruning: PruningError.
* scales: QuantizationError, TensorScale, QuantizedWeight.
"""
