# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Index messages of a dataset's agents, for a bag."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.coding.wire import CONTEXT, PACKED, payload_coding
from quantv2x_ros.core.geometry.pose import quaternion_from_matrix
from quantv2x_ros.core.transport.tile_cutting import cut_tiles
from quantv2x_ros.core.transport.tiles import TileSettings
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

#: The coder's number to quantv2x_msgs/msg/BevIndices.ENCODING_*.
_ENCODINGS = {PACKED: 0, CONTEXT: 1}


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
        self._frame = bundle.index_map_format
        self._background = bundle.background
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
        """Cut a whole map into messages, as the encoder node does by default."""
        types = message_types().types
        form = self._format()
        place = types["geometry_msgs/msg/Point"](*(float(value) for value in agent.pose[:3, 3]))
        turn = (float(value) for value in quaternion_from_matrix(agent.pose))
        pose = types["geometry_msgs/msg/Pose"](place, types["geometry_msgs/msg/Quaternion"](*turn))
        tiles = cut_tiles(indices, self._frame, TileSettings(), self._background)
        messages = []
        for number, tile in enumerate(tiles):
            message = types[INDICES_TYPE](
                header=header(lidar_frame(agent.agent), stamp),
                station_id=station_id(agent.agent),
                sequence=sequence,
                map_frame=MAP_FRAME,
                sensor_pose=types["geometry_msgs/msg/PoseWithCovariance"](pose, np.zeros(36)),
                first_level=tile.place.first_level,
                tile_levels=tile.place.levels,
                first_row=tile.place.first_row,
                tile_rows=tile.place.rows,
                first_column=tile.place.first_column,
                tile_columns=tile.place.columns,
                tile_index=number,
                tile_count=len(tiles),
                parity_count=0,
                sent_levels=form["levels"],
                omitted_cells=0,
                encoding=_ENCODINGS[payload_coding(tile.payload)],
                payload=np.frombuffer(tile.payload, np.uint8),
                payload_crc=zlib.crc32(tile.payload),
                signature=np.empty(0, np.uint8),
                **form,
            )
            messages.append(serialize(INDICES_TYPE, message))
        return messages

    def _format(self) -> dict[str, Any]:
        """Return the fields about codebook and grid that both messages have."""
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
        }
