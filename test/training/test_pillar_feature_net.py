# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pillar features of crops with next to nothing in them."""

from __future__ import annotations

import pytest
import torch

from quantv2x_ros.training.blocks import PillarFeatureNet


@pytest.mark.parametrize("points", [0, 1])
def test_a_crop_with_a_point_or_none_trains_and_spoils_no_statistics(points):
    """Such crops come up once in ten thousand, and must not end a night's training."""
    net = PillarFeatureNet(8).train()
    before = net.norm.running_mean.clone(), net.norm.running_var.clone()
    features = torch.ones((points, 10), requires_grad=True)
    index = torch.zeros(points, dtype=torch.int32)
    pillars = net(features, index, torch.ones(points, dtype=torch.int64))
    assert pillars.shape == (points, 8)
    pillars.sum().backward()
    assert torch.isfinite(net.linear.weight.grad).all()
    torch.testing.assert_close(net.norm.running_mean, before[0])
    torch.testing.assert_close(net.norm.running_var, before[1])
