# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bytes of a ``BevIndices`` that are signed: every field but the signature itself."""

from __future__ import annotations

from array import array

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.peers.signing import canonical_bytes

#: Names the message and the version of the list below; a change of either changes this.
CONTEXT = "quantv2x_msgs/BevIndices signature 1"


def signed_content(message: BevIndices) -> bytes:
    """Return the bytes that are signed: the fields in the order of the message's definition."""
    pose = message.sensor_pose.pose
    return canonical_bytes(
        CONTEXT,
        (
            message.header.stamp.sec,
            message.header.stamp.nanosec,
            message.header.frame_id,
            message.station_id,
            message.sequence,
            message.map_frame,
            (pose.position.x, pose.position.y, pose.position.z),
            (pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w),
            message.sensor_pose.covariance.tolist(),
            message.codebook_id,
            message.levels,
            message.segments,
            message.dict_size,
            message.rows,
            message.columns,
            _single(message.cell_size_x, message.cell_size_y),
            _single(message.origin_x, message.origin_y),
            message.first_level,
            message.tile_levels,
            message.first_row,
            message.tile_rows,
            message.first_column,
            message.tile_columns,
            message.tile_index,
            message.tile_count,
            message.parity_count,
            message.sent_levels,
            message.omitted_cells,
            message.encoding,
            memoryview(message.payload),
            message.payload_crc,
        ),
    )


def _single(*values: float) -> list[float]:
    """Round a number to 32 bits, as a message does: senders hold such fields in 64 bits."""
    return array("f", values).tolist()
