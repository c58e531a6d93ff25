# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scales, rounding, folding and grouping of the export."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quantv2x_ros.training.graphs.executor import (
    GraphExecutor,
    depth_to_space,
    round_to_scale,
)
from quantv2x_ros.training.graphs.folding import _deblock
from quantv2x_ros.training.graphs.graph import Convolution, LayerGraph, TensorSpec
from quantv2x_ros.training.graphs.scales import (
    TensorScale,
    quantize_weight,
)
from quantv2x_ros.training.pyramid import PublishedPyramid
from quantv2x_ros.training.quantization.calibration import Histogram


def convolution(groups: int = 1, channels: int = 128, size: int = 3, seed: int = 0) -> Convolution:
    generator = np.random.default_rng(seed)
    weight = generator.standard_normal((channels, channels // groups, size, size))
    bias = generator.standard_normal(channels)
    return Convolution(
        "c", "x", "y", weight.astype(np.float32), bias.astype(np.float32), groups=groups
    )


def run(node: Convolution, value: torch.Tensor) -> torch.Tensor:
    graph = LayerGraph("g", (TensorSpec("x", 1),), (node,), (TensorSpec("y", 1),))
    return GraphExecutor(graph, dtype=torch.float64)({"x": value})["y"]


@pytest.mark.parametrize("groups", [1, 2, 16, 32])
def test_widened_groups_compute_the_same(groups: int) -> None:
    node = convolution(groups)
    wide = node.widened()
    assert wide.weight.shape[1] >= min(64, 128)
    value = torch.randn(1, 128, 6, 5, dtype=torch.float64)
    torch.testing.assert_close(run(wide, value), run(node, value))


def test_a_transposed_convolution_is_a_convolution_and_a_pixel_shuffle() -> None:
    torch.manual_seed(0)
    pyramid = PublishedPyramid().eval()
    for index, block in enumerate(pyramid.deblocks):
        assert isinstance(block, torch.nn.Sequential)
        norm = block[1]
        assert isinstance(norm, torch.nn.BatchNorm2d)
        torch.nn.init.normal_(norm.running_mean)  # type: ignore[arg-type]
        torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)  # type: ignore[arg-type]
        node = _deblock(block, index)
        value = torch.randn(1, node.weight.shape[1], 4, 5)
        graph = LayerGraph(
            "g", (TensorSpec(node.source, 1),), (node,), (TensorSpec(node.target, 128),)
        )
        actual = GraphExecutor(graph)({node.source: value})[node.target]
        with torch.no_grad():
            torch.testing.assert_close(actual, block(value), rtol=1e-4, atol=1e-5)


def test_depth_to_space_puts_each_block_where_its_number_says() -> None:
    value = torch.arange(8.0).view(1, 8, 1, 1)  # 2 x 2 cells of 2 channels
    expected = torch.tensor([[[[0.0, 2.0], [4.0, 6.0]], [[1.0, 3.0], [5.0, 7.0]]]])
    assert torch.equal(depth_to_space(value, 2), expected)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), st.sampled_from(["mse", "minmax"]))
def test_weights_are_symmetric_int8_close_to_the_originals(seed: int, method: str) -> None:
    node = convolution(channels=8, seed=seed)
    quantized = quantize_weight(node, method=method)
    assert quantized.values.dtype == np.int8
    assert np.abs(quantized.values).max() <= 63
    error = np.abs(quantized.dequantized() - node.weight)
    step = quantized.scales[:, None, None, None]
    inside = np.abs(node.weight) <= 63 * step
    assert (error[inside] <= (0.5001 * np.broadcast_to(step, error.shape))[inside]).all()
    if method == "minmax":
        assert inside.mean() > 0.99


def test_mse_clips_only_where_that_lowers_the_error() -> None:
    node = convolution(channels=16)
    errors = {
        method: ((quantize_weight(node, method=method, bits=4).dequantized() - node.weight) ** 2)
        for method in ("mse", "minmax")
    }
    assert errors["mse"].sum() < errors["minmax"].sum()


def test_a_histogram_counts_every_value_whatever_the_order_of_ranges() -> None:
    generator = np.random.default_rng(0)
    batches = [np.abs(generator.standard_normal(1000)).astype(np.float32) * s for s in (1, 30, 5)]
    histogram = Histogram()
    for batch in batches:
        histogram.add(batch)
    values = np.concatenate(batches)
    assert histogram.counts.sum() == values.size
    assert histogram.maximum == pytest.approx(values.max())
    assert histogram.scale("minmax").scale == pytest.approx(values.max() / 255)
    width = histogram.range / Histogram.BINS
    median = (np.searchsorted(np.cumsum(histogram.counts), values.size / 2) + 0.5) * width
    assert median == pytest.approx(np.median(values), abs=2 * width)


def test_a_lone_outlier_is_clipped_by_mse_and_kept_by_minmax() -> None:
    values = np.random.default_rng(0).random(1_000_000).astype(np.float32)
    values[0] = 2.0
    histogram = Histogram()
    histogram.add(values)
    assert histogram.scale("minmax").scale == pytest.approx(2 / 255)
    assert histogram.scale("mse").scale < 1.4 / 255


def test_divergence_keeps_what_few_steps_can_tell_apart() -> None:
    values = np.abs(np.random.default_rng(0).laplace(size=200_000)).astype(np.float32)
    histogram = Histogram()
    histogram.add(values)
    wide, narrow = (histogram.scale("kl", bits) for bits in (8, 4))
    assert wide.scale * 255 > narrow.scale * 15, "fewer steps are worth more clipping"
    assert narrow.scale * 15 < histogram.maximum
    uniform = Histogram()
    uniform.add(np.random.default_rng(0).random(200_000).astype(np.float32))
    # nothing to clip where all values are alike frequent
    assert uniform.scale("kl").scale * 255 > 0.9


def test_four_bits_have_sixteen_levels() -> None:
    value = torch.linspace(-2.0, 2.0, 1000)
    unsigned = round_to_scale(value, TensorScale(0.1, bits=4))
    signed = round_to_scale(value, TensorScale(0.1, signed=True, bits=4))
    assert len(unsigned.unique()) == len(signed.unique()) == 16
    assert float(unsigned.max()) == pytest.approx(1.5)
    assert float(signed.min()) == pytest.approx(-0.8)


def test_a_higher_power_clips_less() -> None:
    values = np.abs(np.random.default_rng(0).laplace(size=200_000)).astype(np.float32)
    histogram = Histogram()
    histogram.add(values)
    scales = [histogram.scale(method).scale for method in ("mse", "l3", "l4", "minmax")]
    assert scales == sorted(scales)
    assert scales[0] < scales[-1]


def test_signs_decide_between_uint8_and_int8() -> None:
    histogram = Histogram()
    histogram.add(np.array([0.0, 127.0], np.float32))
    assert histogram.scale("minmax") == TensorScale(127 / 255)
    histogram.add(np.array([-127.0], np.float32))
    assert histogram.scale("minmax") == TensorScale(1.0, signed=True)


def test_rounding_is_half_to_even_and_saturates() -> None:
    value = torch.tensor([-3.0, 0.25, 0.75, 1.25, 1000.0])
    expected = torch.tensor([0.0, 0.0, 1.0, 1.0, 127.5])
    assert torch.equal(round_to_scale(value, TensorScale(0.5)), expected)


def test_a_tensor_of_zeros_or_not_finite_values_cannot_be_calibrated() -> None:
    histogram = Histogram()
    histogram.add(np.zeros(4, np.float32))
    with pytest.raises(ValueError, match="was 0 throughout"):
        histogram.scale()
    with pytest.raises(ValueError, match="not finite"):
        histogram.add(np.array([np.nan], np.float32))
    histogram.add(np.ones(4, np.float32))
    with pytest.raises(ValueError, match="method 'median'"):
        histogram.scale("median")
    with pytest.raises(ValueError, match="method 'median'"):
        quantize_weight(convolution(), method="median")


def test_a_graph_that_uses_what_nothing_makes_is_refused() -> None:
    with pytest.raises(ValueError, match="needs \\['x'\\]"):
        LayerGraph("g", (TensorSpec("z", 1),), (convolution(),), ())
