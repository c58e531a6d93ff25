# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The codebook, grid and map frame that stations must share, and their announcement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rclpy.time import Time
from std_msgs.msg import Header

from quantv2x_msgs.msg import Codebook
from quantv2x_ros.core.coding.wire import EntropyModel
from quantv2x_ros.core.transport.packet_format import PacketFormat, format_id
from quantv2x_ros.core.transport.tiles import IndexMapFormat
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.common.conversions import MessageRefusedError

#: Largest deviation of cell size and origin that still means the same grid, metres.
GRID_TOLERANCE = 1e-4


@dataclass(frozen=True)
class IndexFormat:
    """Codebook, grid and map frame that stations must share to use each other's indices.

    Attributes:
        codebook_id: hash of the decoding tables and the entropy model.
        levels: number of residual levels.
        segments: number of segments of a cell's channels.
        entropy_model: probabilities of the indices, with the number of codes of a table.
        rows: number of rows H, along y.
        columns: number of columns W, along x.
        cell_size: length of a cell along x and y, metres.
        origin: x and y of the outer corner of cell (0, 0), metres.
        map_frame: name of the frame that all poses are in.
        format_id: of all that, as packets have it.
    """

    codebook_id: int
    levels: int
    segments: int
    entropy_model: EntropyModel
    rows: int
    columns: int
    cell_size: tuple[float, float]
    origin: tuple[float, float]
    map_frame: str
    format_id: int

    @classmethod
    def of(cls, bundle: ModelBundle, map_frame: str) -> IndexFormat:
        """Return the format of a model bundle's indices with poses in a frame of that name."""
        levels, segments, *_ = bundle.codebook.tables.shape
        rows, columns = bundle.grid.shape
        size_y, size_x = bundle.grid.cell_size
        return cls(
            codebook_id=bundle.codebook_id,
            levels=levels,
            segments=segments,
            entropy_model=bundle.entropy_model,
            rows=rows,
            columns=columns,
            cell_size=(size_x, size_y),
            origin=(bundle.grid.lidar_range[0], bundle.grid.lidar_range[1]),
            map_frame=map_frame,
            format_id=format_id(bundle.codebook_id, bundle.grid, map_frame),
        )

    @property
    def dict_size(self) -> int:
        """Return the number of codes of a table."""
        return self.entropy_model.dict_size

    @property
    def frame(self) -> IndexMapFormat:
        """Return the format of index maps and their tiles."""
        return IndexMapFormat(
            self.entropy_model, self.levels, self.segments, self.rows, self.columns
        )

    @property
    def packets(self) -> PacketFormat:
        """Return the format of packets."""
        return PacketFormat(self.frame, self.format_id)

    def fill(self, message: Codebook) -> None:
        """Write the format into a message."""
        message.codebook_id = self.codebook_id
        message.levels, message.segments = self.levels, self.segments
        message.dict_size = self.dict_size
        message.rows, message.columns = self.rows, self.columns
        message.cell_size_x, message.cell_size_y = self.cell_size
        message.origin_x, message.origin_y = self.origin
        message.map_frame, message.format_id = self.map_frame, self.format_id

    def check(self, message: Codebook) -> None:
        """Compare an announcement with this.

        Raises:
            MessageRefusedError: naming both values.
        """
        if message.codebook_id != self.codebook_id:
            raise MessageRefusedError(
                "codebook",
                f"station {message.station_id} has codebook {message.codebook_id:016x}, this "
                f"station has {self.codebook_id:016x}; give both the same model bundle",
            )
        got = (message.levels, message.segments, message.dict_size, message.rows, message.columns)
        own = (self.levels, self.segments, self.dict_size, self.rows, self.columns)
        placed = np.array(
            [message.cell_size_x, message.cell_size_y, message.origin_x, message.origin_y]
        )
        here = np.array([*self.cell_size, *self.origin])
        if got != own or not np.abs(placed - here).max() <= GRID_TOLERANCE:  # NaN is refused, too
            raise MessageRefusedError(
                "grid",
                f"station {message.station_id} has levels, segments, entries, rows, columns {got} "
                f"with cell size and origin {placed.round(4).tolist()} m; this station has {own} "
                f"with {here.round(4).tolist()} m",
            )
        if message.map_frame != self.map_frame:
            raise MessageRefusedError(
                "map_frame",
                f"station {message.station_id} gives its pose in {message.map_frame!r}, this "
                f"station in {self.map_frame!r}",
            )
        if message.format_id != self.format_id:
            raise MessageRefusedError(
                "format",
                f"station {message.station_id} says that its packets are of format "
                f"{message.format_id:016x}, by its announcement they are {self.format_id:016x}",
            )


def announcement(
    index_format: IndexFormat, bundle: ModelBundle, station: int, now: Time
) -> Codebook:
    """Return the message that announces a station's model.

    Args:
        index_format: format of its indices.
        bundle: model bundle.
        station: id of the station.
        now: time of the announcement.
    """
    message = Codebook(
        header=Header(stamp=now.to_msg()),
        station_id=station,
        bundle_name=bundle.name,
        bundle_version=bundle.version,
    )
    index_format.fill(message)
    return message
