# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The codebook and grid that stations must share, and its check against a message."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from quantv2x_msgs.msg import BevIndices, Codebook
from quantv2x_ros.core.coding.wire import EntropyModel
from quantv2x_ros.core.transport.tiles import IndexMapFormat
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.common.conversions import MessageRefusedError

#: Largest deviation of cell size and origin that still means the same grid, metres.
GRID_TOLERANCE = 1e-4


@dataclass(frozen=True)
class IndexFormat:
    """Codebook and grid that stations must share to understand each other's indices.

    Attributes:
        codebook_id: hash of the decoding tables and the entropy model.
        levels: number of residual levels.
        segments: number of segments of a cell's channels.
        entropy_model: probabilities of the indices, with the number of codes of a table.
        rows: number of rows H, along y.
        columns: number of columns W, along x.
        cell_size: length of a cell along x and y, metres.
        origin: x and y of the outer corner of cell (0, 0), metres.
    """

    codebook_id: int
    levels: int
    segments: int
    entropy_model: EntropyModel
    rows: int
    columns: int
    cell_size: tuple[float, float]
    origin: tuple[float, float]

    @classmethod
    def of(cls, bundle: ModelBundle) -> IndexFormat:
        """Return the format of a model bundle."""
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

    def fill(self, message: BevIndices | Codebook) -> None:
        """Write the format into a message."""
        message.codebook_id = self.codebook_id
        message.levels, message.segments = self.levels, self.segments
        message.dict_size = self.dict_size
        message.rows, message.columns = self.rows, self.columns
        message.cell_size_x, message.cell_size_y = self.cell_size
        message.origin_x, message.origin_y = self.origin

    def check(self, message: BevIndices | Codebook) -> None:
        """Compare a message's codebook and grid with this.

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


def announcement(bundle: ModelBundle, station: int, stamp: Time) -> Codebook:
    """Return the message that announces a station's model.

    Args:
        bundle: model bundle.
        station: id of the station.
        stamp: time of the announcement.
    """
    message = Codebook(
        header=Header(stamp=stamp),
        station_id=station,
        bundle_name=bundle.name,
        bundle_version=bundle.version,
    )
    IndexFormat.of(bundle).fill(message)
    return message
