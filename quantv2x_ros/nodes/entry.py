# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The executables. Imports that take a while happen inside, where Ctrl-C is already handled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from quantv2x_ros.nodes.common.runner import run

if TYPE_CHECKING:
    from quantv2x_ros.nodes.common.base import BaseNode


def encoder() -> int:
    """Run the encoder of one agent."""

    def create() -> Sequence[BaseNode]:
        from quantv2x_ros.nodes.encoder.encoder import EncoderNode

        return [EncoderNode()]

    return run(create)


def fusion() -> int:
    """Run fusion alone; its own indices come from a separate encoder over DDS."""

    def create() -> Sequence[BaseNode]:
        from quantv2x_ros.nodes.fusion.fusion import FusionNode

        return [FusionNode()]

    return run(create)


def ego() -> int:
    """Run encoder and fusion in one process; own indices are passed on directly."""

    def create() -> Sequence[BaseNode]:
        from quantv2x_ros.nodes.ego import create_ego

        return create_ego()

    return run(create)


def channel() -> int:
    """Simulate a bad radio channel between two topics."""

    def create() -> Sequence[BaseNode]:
        from quantv2x_ros.nodes.channel import ChannelNode

        return [ChannelNode()]

    return run(create)


def radio() -> int:
    """Send and receive packets as UDP datagrams."""

    def create() -> Sequence[BaseNode]:
        from quantv2x_ros.nodes.radio import RadioNode

        return [RadioNode()]

    return run(create)


def replay() -> int:
    """Play a dataset folder or a rosbag2 as topics."""

    def create() -> Sequence[BaseNode]:
        from quantv2x_ros.nodes.replay.replay import ReplayNode

        return [ReplayNode()]

    return run(create)


def viewer() -> int:
    """Show the live scene in a browser."""

    def create() -> Sequence[BaseNode]:
        from quantv2x_ros.nodes.viewer import ViewerNode

        return [ViewerNode()]

    return run(create)
