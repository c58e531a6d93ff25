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
from quantv2x_ros.core.transport.sweep_sender import (
    RateController,
    SendSettings,
    SentSweep,
    SweepSender,
)
from quantv2x_ros.core.transport.tiles import GEONETWORKING_UNIT, TileSettings
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.air.index_format import IndexFormat
from quantv2x_ros.nodes.air.indices_subscription import AIR, OWN
from quantv2x_ros.nodes.air.messages import messages_from_tiles
from quantv2x_ros.nodes.air.signed_message import signed_content
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.parameters import declare


class Signer:
    """Signs messages where a key is configured."""

    def __init__(self, node: Node) -> None:
        """Declare the parameter and load the key.

        Raises:
            ValueError: for a key that cannot be used, or that others may read.
            OSError: for one that cannot be read.
        """
        path = declare(
            node,
            "signing_key",
            "",
            "Private key (made by `keys`) that signs every message; empty: they are not signed.",
        )
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
        bundle: ModelBundle,
        pool: Executor | None = None,
        tell_own: bool = False,
    ) -> None:
        """Declare the parameters.

        Args:
            node: node that declares the parameters.
            bundle: model bundle whose indices are sent.
            pool: threads that code messages; None to code them one after the other.
            tell_own: whether sweeps are also published in the own namespace, while a fusion node
                listens there.

        Raises:
            ValueError: for a parameter that cannot be used.
        """
        self._node = node
        self._format = IndexFormat.of(bundle)
        settings = self._declare_settings()
        self._rate = self._declare_rate()
        self._signer = Signer(node)
        limit = declare(
            node,
            "interest_range",
            0.0,
            "Cells further from the sensor are not sent [m]; 0 sends all.",
            low=0.0,
            high=10_000.0,
        )
        self._near = cells_in_range(bundle.grid, limit) if limit else None
        background = np.array(bundle.manifest.codebook.background, np.uint8)
        self._sender = SweepSender(self._format.frame, background, settings, pool)
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

    def _declare_settings(self) -> SendSettings:
        node = self._node
        unit = declare(
            node,
            "max_payload_bytes",
            GEONETWORKING_UNIT,
            "Largest payload of a message; 0 sends each sweep as one message.",
            low=0,
            high=1 << 24,
        )
        coarse_first = declare(
            node,
            "coarse_first",
            False,
            "Send the coarsest level of all cells first, in messages of its own; takes more bytes.",
        )
        levels = declare(node, "levels", 0, "Residual levels sent at most; 0: all.", low=0, high=8)
        occupancy = declare(
            node,
            "min_occupancy",
            SendSettings.min_occupancy,
            "Cells where an object is less likely than this are not sent; 0 sends all.",
            low=0.0,
            high=0.99,
        )
        parity = declare(
            node,
            "parity",
            0.0,
            "Parity messages for each message of a sweep, rounded up; they replace lost ones.",
            low=0.0,
            high=2.0,
        )
        return SendSettings(TileSettings(unit, coarse_first), levels, occupancy, parity)

    def _declare_rate(self) -> RateController:
        most = declare(
            self._node,
            "max_bytes_per_frame",
            0,
            "Most bytes of a sweep's payloads; what is worth least is left out. 0: no limit.",
            low=0,
            high=1 << 24,
            on_change=lambda limit: setattr(self._rate, "max_bytes_per_frame", limit),
        )
        bitrate = declare(
            self._node,
            "max_bitrate",
            0.0,
            "Mean bit rate of the payloads that is not exceeded [bit/s]; 0: no limit.",
            low=0.0,
            high=1e9,
            on_change=lambda limit: setattr(self._rate, "max_bitrate", limit),
        )
        return RateController(most, bitrate)

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
