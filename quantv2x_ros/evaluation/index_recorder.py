# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Index messages of a dataset's agents, for a bag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.geometry.packed_pose import PoseSpread
from quantv2x_ros.core.transport.packet_format import PacketFormat, format_id
from quantv2x_ros.core.transport.packet_tiles import SweepSource, packets_of
from quantv2x_ros.core.transport.sweep_sender import SendSettings, SweepSender
from quantv2x_ros.data.agent_names import station_id
from quantv2x_ros.data.frame import AgentFrame, Frame
from quantv2x_ros.data.frame_store import RecordedMessage
from quantv2x_ros.data.message_types import message_types, serialize
from quantv2x_ros.data.recorded_messages import MAP_FRAME, header
from quantv2x_ros.data.recording import lidar_frame
from quantv2x_ros.graph.replay_source import CODEBOOK_TOPIC, INDICES_TOPIC
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle

INDICES_TYPE = "quantv2x_msgs/msg/BevIndices"
CODEBOOK_TYPE = "quantv2x_msgs/msg/Codebook"


class IndexRecorder:
    """Encodes every agent's sweep; a `Supplement` of a recording.

    Attributes:
        topics: topic → message type.
        latched: topics whose last message late subscribers get.
        settings: settings that the messages depend on.
    """

    def __init__(
        self, bundle: ModelBundle, agents: Sequence[str], backend: str = "auto", threads: int = 0
    ) -> None:
        """Load the encoder.

        Args:
            bundle: model bundle.
            agents: names of the agents that broadcast.
            backend: auto, openvino or tensorrt.
            threads: number of threads of the engine; 0 for all cores.

        Raises:
            ValueError: for a bundle or backend that cannot be used.
        """
        self._bundle = bundle
        self._agents = tuple(agents)
        self._encoder = AgentEncoder(bundle, backend, threads or None)
        maps = bundle.index_map_format
        self._sender = SweepSender(maps, bundle.background, SendSettings(min_occupancy=0.0))
        self._packets = PacketFormat(maps, format_id(bundle.codebook_id, bundle.grid, MAP_FRAME))
        self.topics: Mapping[str, str] = {
            CODEBOOK_TOPIC: CODEBOOK_TYPE,
            INDICES_TOPIC: INDICES_TYPE,
        }
        self.latched = frozenset({CODEBOOK_TOPIC})
        self.settings: Mapping[str, object] = {
            "bundle": f"{bundle.name} {bundle.version}",
            "codebook": f"{bundle.codebook_id:016x}",
        }

    def messages(self, index: int, frame: Frame, stamp: int) -> list[RecordedMessage]:
        """Return the indices of a frame, and in the first one the announcements before them."""
        messages = []
        present = [agent for agent in self._agents if agent in frame.agents]
        if index == 0:
            announced = (self._codebook(agent, stamp) for agent in self._agents)
            messages += [RecordedMessage(CODEBOOK_TOPIC, data) for data in announced]
        for agent in present:
            indices = self._encoder.encode(frame[agent].points).indices
            for data in self._indices(frame[agent], indices, index, stamp):
                messages.append(RecordedMessage(INDICES_TOPIC, data))
        return messages

    def _codebook(self, agent: str, stamp: int) -> bytes:
        message = message_types().types[CODEBOOK_TYPE](
            header=header(lidar_frame(agent), stamp),
            station_id=station_id(agent),
            bundle_name=self._bundle.name,
            bundle_version=self._bundle.version,
            **self._format(),
        )
        return serialize(CODEBOOK_TYPE, message)

    def _indices(
        self, agent: AgentFrame, indices: npt.NDArray[np.uint8], sequence: int, stamp: int
    ) -> list[bytes]:
        """Cut a whole map into messages, as the encoder node does that leaves nothing out."""
        kind = message_types().types[INDICES_TYPE]
        source = SweepSource(station_id(agent.agent), sequence, stamp, agent.pose, PoseSpread())
        packets = packets_of(source, self._sender.send(indices), self._packets)
        contents = (np.frombuffer(packet.content(), np.uint8) for packet in packets)
        head = header(lidar_frame(agent.agent), stamp)
        return [serialize(INDICES_TYPE, kind(header=head, packet=data)) for data in contents]

    def _format(self) -> dict[str, Any]:
        """Return an announcement's fields about what all stations must share."""
        levels, segments, dict_size, _ = self._bundle.codebook.tables.shape
        rows, columns = self._bundle.grid.shape
        size_y, size_x = self._bundle.grid.cell_size
        return {
            "codebook_id": self._bundle.codebook_id,
            "levels": levels,
            "segments": segments,
            "dict_size": dict_size,
            "rows": rows,
            "columns": columns,
            "cell_size_x": size_x,
            "cell_size_y": size_y,
            "origin_x": self._bundle.grid.lidar_range[0],
            "origin_y": self._bundle.grid.lidar_range[1],
            "map_frame": MAP_FRAME,
            "format_id": self._packets.id,
        }
