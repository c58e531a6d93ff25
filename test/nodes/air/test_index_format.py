# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What stations must share, and the announcement of it."""

from __future__ import annotations

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from quantv2x_msgs.msg import Codebook
from quantv2x_ros.core.coding.wire import EntropyModel
from quantv2x_ros.core.transport.packet_format import format_id
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.nodes.air.index_format import IndexFormat
from quantv2x_ros.nodes.common.conversions import MessageRefusedError

FORMAT = IndexFormat(
    codebook_id=0x0123456789ABCDEF,
    levels=3,
    segments=1,
    entropy_model=EntropyModel(128),
    rows=20,
    columns=32,
    cell_size=(0.8, 0.8),
    origin=(-12.8, -8.0),
    map_frame="map",
    format_id=0xFEEDFEEDFEEDFEED,
)


def announced(**values):
    """An announcement of station 5 with other values."""
    message = Codebook(station_id=5)
    FORMAT.fill(message)
    for name, value in values.items():
        setattr(message, name, value)
    return message


def test_an_announcement_of_the_same_format_is_accepted():
    FORMAT.check(announced())
    FORMAT.check(announced(origin_x=-12.80005))  # 32 bits tell a place but roughly


@pytest.mark.parametrize(
    ("values", "reason", "text"),
    [
        ({"codebook_id": 0xFEDCBA9876543210}, "codebook", "fedcba9876543210.*0123456789abcdef"),
        ({"rows": 60_000, "columns": 60_000}, "grid", r"60000, 60000.*20, 32"),
        ({"levels": 2}, "grid", r"\(2, 1, 128"),
        ({"segments": 0}, "grid", r"\(3, 0, 128"),
        ({"dict_size": 0}, "grid", r"\(3, 1, 0"),
        ({"cell_size_x": 0.4}, "grid", "0.4"),
        ({"cell_size_y": 0.8002}, "grid", "0.8002"),
        ({"origin_y": float("nan")}, "grid", "nan"),
        ({"map_frame": "elsewhere"}, "map_frame", "'elsewhere'.*'map'"),
        ({"format_id": 1}, "format", "0000000000000001.*feedfeedfeedfeed"),
    ],
)
def test_an_announcement_of_another_format_is_refused_with_both_values(values, reason, text):
    with pytest.raises(MessageRefusedError, match=text) as error:
        FORMAT.check(announced(**values))
    assert error.value.reason == reason
    assert "station 5" in str(error.value)


def test_a_bundles_format_is_that_of_its_packets(bundle_folder):
    bundle = ModelBundle.load(bundle_folder)
    form = IndexFormat.of(bundle, "utm")
    assert form.format_id == format_id(bundle.codebook_id, bundle.grid, "utm")
    assert form.format_id != IndexFormat.of(bundle, "map").format_id
    assert form.packets.id == form.format_id
    assert form.packets.maps.shape == (form.levels * form.segments, *bundle.grid.shape)
