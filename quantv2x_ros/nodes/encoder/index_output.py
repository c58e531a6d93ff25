# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The sending of an index map: what is sent of it, and in which messages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import Executor

import numpy as np
import numpy.typing as npt

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.transport.packet_sizes import HEADER_BYTES, SIGNATURE_BYTES
from quantv2x_ros.core.transport.packet_tiles import SweepSource, packets_of
from quantv2x_ros.core.transport.selection import both, cells_in_range
from quantv2x_ros.core.transport.sweep_sender import (
    RateController,
    SentSweep,
    SweepSender,
    tightest,
)
from quantv2x_ros.graph.parameters.encoder import SendingParameters
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.air.heard_packet import message_of
from quantv2x_ros.nodes.air.index_format import IndexFormat
from quantv2x_ros.nodes.air.indices_subscription import AIR, OWN
from quantv2x_ros.nodes.common import qos
from quantv2x_ros.nodes.common.base import BaseNode
from quantv2x_ros.nodes.encoder.own_objects import OwnObjectsOutput
from quantv2x_ros.nodes.encoder.paced_output import PacedOutput
from quantv2x_ros.nodes.encoder.signer import Signer


class IndexOutput:
    """Publishes index maps by its node's parameters.

    Attributes:
        paced: publishes their messages; to be started and stopped with the node's work.
    """

    def __init__(
        self,
        node: BaseNode,
        station: int,
        parameters: SendingParameters,
        bundle: ModelBundle,
        index_format: IndexFormat,
        pool: Executor | None = None,
        tell_own: bool = False,
    ) -> None:
        """Have sent nothing yet.

        Args:
            node: publishes.
            station: id of the own station.
            parameters: what is sent of a sweep, and how.
            bundle: the model whose indices are sent.
            index_format: their format.
            pool: codes messages beside the node's thread; None to code them one after the other.
            tell_own: whether the own sweeps are published in the own namespace, too, while a fusion
                node listens there: at once and whole, as no radio is between.

        Raises:
            ValueError: for a key that cannot be used.
            OSError: for one that cannot be read.
        """
        self._format = index_format
        self._rate = RateController(parameters.max_bytes_per_frame, parameters.max_bitrate)
        self._signer = Signer(parameters.signing_key)
        limit = parameters.interest_range
        self._near = cells_in_range(bundle.grid, limit) if limit else None
        self._overhead = HEADER_BYTES + SIGNATURE_BYTES[self._signer.kind]
        self._sender = SweepSender(
            self._format.frame, bundle.background, parameters.settings, pool, self._overhead
        )
        self._publisher = node.create_publisher(
            BevIndices,
            AIR,
            qos.indices_output(),
        )
        # for a fusion node of the same namespace, which so knows the own sweeps from a stranger's
        self._own = node.create_publisher(BevIndices, OWN, qos.own_indices()) if tell_own else None
        self._unit = parameters.settings.tiles.max_payload_bytes

        def fail(error: BaseException) -> None:
            node.failure = error

        self.paced = PacedOutput(parameters.radio, self._publisher.publish, fail)
        self._objects = (
            OwnObjectsOutput(node, station, self._signer, self.paced, self._spend)
            if parameters.send_objects
            else None
        )
        self._sent: SentSweep | None = None
        self._frames = 0
        self._bytes = 0

    def start(self) -> None:
        """Begin to publish what is sent."""
        self.paced.start()
        if self._objects is not None:
            self._objects.listen()

    def reset(self) -> None:
        """Forget the own sweeps, as after a jump in time."""
        if self._objects is not None:
            self._objects.reset()

    def _spend(self, size: int) -> None:
        self._rate.spend(size)
        self._bytes += size

    def retune(self, parameters: SendingParameters) -> None:
        """Keep other limits of bytes and bit rate from the next sweep on."""
        self._rate.max_bytes_per_frame = parameters.max_bytes_per_frame
        self._rate.max_bitrate = parameters.max_bitrate

    def send(
        self,
        indices: npt.NDArray[np.uint8],
        source: SweepSource,
        frame_id: str,
        now: float,
        wanted: npt.NDArray[np.bool_] | None = None,
    ) -> int:
        """Publish a sweep.

        Args:
            indices: index map, (planes, H, W) uint8.
            source: who took the sweep, when and where.
            frame_id: the frame of the indices.
            now: present time of the steady clock, seconds.
            wanted: (H, W) bool, cells that a receiver can use; None for all.

        Returns:
            Bytes of all packets.

        Raises:
            PacketError: for a pose that no packet holds.
        """
        objects = self._objects
        reserved = [] if objects is None else objects.expected(now)
        given = self._rate.budget(now)
        if given is not None:
            given = max(1, given - sum(reserved))
        taken = source.stamp_ns / 1e9
        lawful = self.paced.budget(taken, self._unit, self._overhead, reserved)
        budget = tightest(given, lawful)
        cells = both(self._near, wanted)
        frame = self._sender.send(indices, budget, cells)
        messages = self._messages(frame, source, frame_id)
        if self._own is not None and self._own.get_subscription_count():
            whole = frame if budget is None and cells is None else self._sender.send(indices)
            for message in messages if whole is frame else self._messages(whole, source, frame_id):
                self._own.publish(message)
        if objects is not None:
            objects.note(source)
        self.paced.send(messages)
        size = sum(len(message.packet) for message in messages)
        self._spend(size)
        self._sent, self._sent_bytes = frame, size
        self._frames += 1
        return size

    def _messages(self, frame: SentSweep, source: SweepSource, frame_id: str) -> list[BevIndices]:
        packets = packets_of(source, frame, self._format.packets, self._signer.kind)
        datas = [self._signer.signed(packet) for packet in packets]
        return [message_of(data, source.stamp_ns, frame_id) for data in datas]

    def report(self) -> Mapping[str, str]:
        """Return the numbers of what was sent and left out, for the diagnostics."""
        sent = self._sent
        if sent is None:
            return {}
        return {
            "bytes sent": str(self._bytes),
            "bytes a frame": str(self._sent_bytes),
            "mean bytes a frame": str(math.ceil(self._bytes / self._frames)),
            "packets a frame": f"{len(sent.tiles)} + {len(sent.parity)} parity",
            "levels sent": f"{sent.sent_levels} of {self._format.levels}",
            "cells left out": str(sent.omitted_cells),
            "cells sent coarser": str(sent.coarse_cells),
            **({} if self._objects is None else self._objects.report()),
            **self.paced.report(),
        }
