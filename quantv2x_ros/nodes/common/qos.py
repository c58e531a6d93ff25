# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service of every topic, and why. Each can be overridden by ``qos_overrides.*``."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions


def sensor_input() -> QoSProfile:
    """Sweeps in: only the newest counts, and any driver's publisher must match."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT
    )


def sensor_output() -> QoSProfile:
    """Sweeps out (replay): reliable, so that both kinds of subscribers match."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.RELIABLE
    )


def pose_input() -> QoSProfile:
    """Poses in: several may arrive while a sweep is worked on, and each helps to interpolate."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=50, reliability=ReliabilityPolicy.BEST_EFFORT
    )


def pose_output() -> QoSProfile:
    """Poses out (replay): reliable, so that both kinds of subscribers match."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=50, reliability=ReliabilityPolicy.RELIABLE
    )


def indices_input() -> QoSProfile:
    """Indices of other stations: a broadcast.

    Best effort, as on the air: a sweep that was sent again would come too late. Depth 1000: a
    sweep is some ten messages, those of several peers arrive within milliseconds, and a flood of
    10,000 a second must not push them out while the receiver pauses (see indices_subscription).
    """
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=1000, reliability=ReliabilityPolicy.BEST_EFFORT
    )


def indices_output() -> QoSProfile:
    """Indices for other stations: offered reliably, so that recorders match, too.

    What is sent to a best-effort subscriber is best effort all the same, and with keep-last a slow
    reliable one holds nobody up.
    """
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=200, reliability=ReliabilityPolicy.RELIABLE
    )


def own_indices() -> QoSProfile:
    """The own sweeps from encoder to fusion, where they are processes of one host: none is lost."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=200, reliability=ReliabilityPolicy.RELIABLE
    )


def channel_input() -> QoSProfile:
    """What stations send through a simulated channel: the channel alone decides what is lost."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=1000, reliability=ReliabilityPolicy.RELIABLE
    )


def channel_output() -> QoSProfile:
    """What a simulated channel lets pass, of all stations together."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=100, reliability=ReliabilityPolicy.RELIABLE
    )


def latched() -> QoSProfile:
    """The newest message is also delivered to whoever subscribes later."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )


def latched_input() -> QoSProfile:
    """Latched messages of several publishers."""
    profile = latched()
    profile.depth = 64
    return profile


def clock_output() -> QoSProfile:
    """Simulated time: only the newest counts; reliable, so that both kinds of subscribers match."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE
    )


def output() -> QoSProfile:
    """Results: reliable, so that recorders and displays miss none."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.RELIABLE
    )


def overridable() -> QoSOverridingOptions:
    """Let history, depth and reliability be set by parameters."""
    return QoSOverridingOptions.with_default_policies()
