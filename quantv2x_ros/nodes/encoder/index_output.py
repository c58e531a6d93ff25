# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The sending of an index map: what is sent of it, and in which messages."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from concurrent.futures import Executor

import numpy as np
import numpy.typing as npt
from rclpy.node import Node

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.peers.key_ring import load_private_key
from quantv2x_ros.core.peers.signing import sign
from quantv2x_ros.core.transport.selection import both, cells_in_range
from quantv2x_ros.core.transport.sweep_sender import RateController, SentSweep, SweepSender
from quantv2x_ros.graph.parameters.encoder import SendingParameters
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.air.index_format import IndexFormat
from quantv2x_ros.nodes.air.indices_subscription import AIR, OWN
from quantv2x_ros.nodes.air.messages import messages_from_tiles
from quantv2x_ros.nodes.air.signed_message import signed_content
from quantv2x_ros.nodes.common import qos


class Signer:
    """Signs messages where a key is configured."""

    def __init__(self, path: str) -> None:
        """Load the key.

        Args:
            path: of the private key's file; empty: nothing is signed.

        Raises:
            ValueError: for a key that cannot be used, or that others may read.
            OSError: for one that cannot be read.
        """
        self._key = load_private_key(path) if path else None

    def sign(self, message: BevIndices) -> None:
        """Sign a message whose other fields are final."""
        if self._key is not None:
            message.signature = array("B", sign(self._key, signed_content(message)))


class IndexOutput:
    """Publishes index maps by its node's parameters."""

    def __init__(
        self,
        node: Node,
        parameters: SendingParameters,
        bundle: ModelBundle,
        pool: Executor | None = None,
        tell_own: bool = False,
    ) -> None:
        """Have sent nothing yet.

        Args:
            node: publishes.
            parameters: what is sent of a sweep, and how.
            bundle: the model whose indices are sent.
            pool: codes messages beside the node's thread; None to code them one after the other.
            tell_own: whether the own sweeps are published in the own namespace, too, while a fusion
                node listens there.

        Raises:
            ValueError: for a key that cannot be used.
            OSError: for one that cannot be read.
        """
        self._format = IndexFormat.of(bundle)
        self._rate = RateController(parameters.max_bytes_per_frame, parameters.max_bitrate)
        self._signer = Signer(parameters.signing_key)
        limit = parameters.interest_range
        self._near = cells_in_range(bundle.grid, limit) if limit else None
        background = bundle.background
        self._sender = SweepSender(self._format.frame, background, parameters.settings, pool)
        self._publisher = node.create_publisher(
            BevIndices,
            AIR,
            qos.indices_output(),
        )
        # for a fusion node of the same namespace, which so knows the own sweeps from a stranger's
        self._own = node.create_publisher(BevIndices, OWN, qos.own_indices()) if tell_own else None
        self._sent: SentSweep | None = None
        self._frames = 0
        self._bytes = 0

    def retune(self, parameters: SendingParameters) -> None:
        """Keep other limits of bytes and bit rate from the next sweep on."""
        self._rate.max_bytes_per_frame = parameters.max_bytes_per_frame
        self._rate.max_bitrate = parameters.max_bitrate

    def send(
        self,
        indices: npt.NDArray[np.uint8],
        template: BevIndices,
        now: float,
        wanted: npt.NDArray[np.bool_] | None = None,
    ) -> int:
        """Publish a sweep.

        Args:
            indices: index map, (planes, H, W) uint8.
            template: message with header, station, sequence and pose.
            now: present time of the steady clock, seconds.
            wanted: (H, W) bool, cells that a receiver can use; None for all.

        Returns:
            Bytes of all payloads.
        """
        frame = self._sender.send(indices, self._rate.budget(now), both(self._near, wanted))
        template.sent_levels = frame.sent_levels
        template.omitted_cells = frame.omitted_cells
        own = self._own if self._own is not None and self._own.get_subscription_count() else None
        for message in messages_from_tiles(frame.tiles, frame.parity, self._format, template):
            self._signer.sign(message)
            if own is not None:
                own.publish(message)
            self._publisher.publish(message)
        self._rate.spend(frame.payload_bytes)
        self._sent = frame
        self._frames += 1
        self._bytes += frame.payload_bytes
        return frame.payload_bytes

    def report(self) -> Mapping[str, str]:
        """Return the numbers of what was sent and left out, for the diagnostics."""
        sent = self._sent
        if sent is None:
            return {}
        return {
            "bytes sent": str(self._bytes),
            "bytes a frame": str(sent.payload_bytes),
            "mean bytes a frame": str(math.ceil(self._bytes / self._frames)),
            "messages a frame": f"{len(sent.tiles)} + {len(sent.parity)} parity",
            "levels sent": f"{sent.sent_levels} of {self._format.levels}",
            "cells left out": str(sent.omitted_cells),
            "cells sent coarser": str(sent.coarse_cells),
        }
