# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Poses are corrected by what the engines detect in each agent's map alone."""

from __future__ import annotations

import numpy as np
import pytest

from quantv2x_ros.core.fusion.fusion_steps import FusedPeer
from quantv2x_ros.core.fusion.pose_alignment import AlignmentSettings
from quantv2x_ros.core.geometry.pose import matrix_from_v2x, transform_between
from quantv2x_ros.core.transport.sweep import AgentSweep
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.peer_views import PeerView
from quantv2x_ros.inference.pose_aligner import HeldAlignment, PoseAligner

POSE = matrix_from_v2x([100.0, 50.0, 1.8, 0.0, 30.0, 0.0])


@pytest.fixture(scope="module")
def bundle(bundle_folder):
    return ModelBundle.load(bundle_folder)


@pytest.fixture(scope="module")
def detector(bundle):
    return CooperativeDetector(bundle, threads=1)


@pytest.fixture(scope="module")
def sweep(bundle):
    """A sweep in which the untrained network finds boxes, whatever they mean."""
    rng = np.random.default_rng(9)
    cloud = rng.uniform((-20, -20, -2, 0), (20, 20, 1, 0), (4000, 4)).astype(np.float32)
    return AgentEncoder(bundle, threads=1).encode(cloud).indices


def moved(dx, dy):
    pose = POSE.copy()
    pose[:2, 3] += [dx, dy]
    return pose


def agent(station, indices, pose, stamp_ns=0):
    received = np.ones(indices.shape[1:], bool)
    return AgentSweep(station, 0, stamp_ns, f"lidar_{station}", pose, indices, received, 1, 0.0)


@pytest.fixture
def aligner(detector):
    return PoseAligner(detector, AlignmentSettings(min_score=0.0, significance=1.0, gate=1.0))


def test_two_agents_that_see_the_same_stand_at_the_same_place(aligner, detector, sweep):
    pyramid = detector.pyramid(sweep)
    wrong = np.stack([np.eye(4), transform_between(POSE, moved(0.4, -0.3))])
    corrected, (alignment,) = aligner.align(pyramid, [pyramid], wrong)
    assert alignment.pairs >= 3
    assert np.linalg.norm(wrong[1][:2, 3]) == pytest.approx(0.5)
    assert np.linalg.norm(corrected[1][:2, 3]) < 0.1
    np.testing.assert_array_equal(corrected[0], np.eye(4))


def test_a_correction_holds_in_the_map_until_the_next(aligner, detector, sweep):
    held = HeldAlignment(aligner, period=1.0)
    pyramid = detector.pyramid(sweep)
    record = FusedPeer()
    first = held.poses(
        (agent(1, sweep, POSE), pyramid),
        [PeerView(agent(2, sweep, moved(0.4, -0.3)), pyramid, record)],
    )
    np.testing.assert_array_equal(first[0], POSE)
    np.testing.assert_allclose(first[1][:2, 3], POSE[:2, 3], atol=0.1)
    assert record.alignment.shift == pytest.approx(0.5, abs=0.1)
    # half a second later the peer has driven on, and nothing is detected again
    second = held.poses(
        (agent(1, sweep, POSE, 500_000_000), pyramid),
        [PeerView(agent(2, sweep, moved(5.4, -0.3)), pyramid, record)],
    )
    np.testing.assert_allclose(second[1][:2, 3] - first[1][:2, 3], [5.0, 0.0], atol=0.01)


def test_a_peer_that_cannot_be_aligned_keeps_its_pose(detector, sweep):
    held = HeldAlignment(PoseAligner(detector, AlignmentSettings(min_pairs=10_000)), 1.0)
    pyramid = detector.pyramid(sweep)
    record = FusedPeer()
    poses = held.poses(
        (agent(1, sweep, POSE), pyramid),
        [PeerView(agent(2, sweep, moved(0.4, 0.0)), pyramid, record)],
    )
    np.testing.assert_array_equal(poses[1], moved(0.4, 0.0))
    assert record.alignment.pairs == 0
