# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is sent of a frame within a budget, and what it says it left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.coding.index_model import IndexModel
from quantv2x_ros.core.coding.wire import HEADER_BYTES, EntropyModel, WireError
from quantv2x_ros.core.transport.sweep_sender import SendSettings, SentSweep, SweepSender
from quantv2x_ros.core.transport.tiles import IndexMapFormat, TileSettings
from test.core.transport.link_simulation import receive_frame

Models = Callable[[int, int, int], IndexModel]
Indices = npt.NDArray[np.uint8]


def scene(model: IndexModel, seed: int, share: float) -> tuple[Indices, IndexMapFormat]:
    form = IndexMapFormat(EntropyModel(model.dict_size, model), 3, 1, 24, 40)
    generator = np.random.default_rng(seed)
    indices = generator.integers(0, model.dict_size, form.shape).astype(np.uint8)
    keep = generator.random(form.shape[1:]) < share
    return np.where(keep, indices, model.background[:, None, None]).astype(np.uint8), form


def arrived(sent: SentSweep, form: IndexMapFormat, model: IndexModel, loss: float = 0.0) -> Any:
    return receive_frame(sent, form, model.background, loss, np.random.default_rng(1))


@given(st.data())
def test_what_is_sent_keeps_to_its_budget_and_adds_up(
    index_model: Models, data: st.DataObject
) -> None:
    model = index_model(3, 128, 0)
    indices, form = scene(model, data.draw(st.integers(0, 99)), data.draw(st.floats(0, 1)))
    budget = data.draw(st.integers(300, 4000))
    tiles = TileSettings(data.draw(st.sampled_from([0, 200, 1398])), data.draw(st.booleans()))
    settings = SendSettings(
        tiles,
        levels=data.draw(st.integers(0, 3)),
        min_occupancy=data.draw(st.sampled_from([0.0, 0.3])),
        parity=data.draw(st.sampled_from([0.0, 0.2])),
    )
    sent = SweepSender(form, model.background, settings).send(indices, budget)
    assert sent.packet_bytes <= budget
    limit = tiles.max_payload_bytes
    payloads = [tile.payload for tile in sent.tiles] + list(sent.parity)
    assert not limit or max(map(len, payloads), default=0) <= limit
    occupied = (indices != model.background[:, None, None]).any(axis=0)
    frame = arrived(sent, form, model)
    if frame is None:
        assert (sent.packet_bytes, sent.sent_levels) == (0, 0)
        assert sent.omitted_cells == occupied.sum()
        return
    got = (frame.indices != model.background[:, None, None]).any(axis=0)
    coarse_kept = frame.indices[0] == indices[0]
    assert 1 <= sent.sent_levels <= (settings.levels or 3)
    assert not (got & ~occupied).any()
    assert coarse_kept[got].all()
    whole = (frame.indices == indices).all(axis=0)
    assert (~whole).sum() <= sent.omitted_cells + sent.coarse_cells


def test_without_limits_everything_is_sent(index_model: Models) -> None:
    model = index_model(3, 128, 0)
    indices, form = scene(model, 0, 0.5)
    sent = SweepSender(form, model.background, SendSettings(min_occupancy=0.0)).send(indices)
    assert (sent.omitted_cells, sent.coarse_cells, sent.sent_levels) == (0, 0, 3)
    frame = arrived(sent, form, model)
    assert frame.complete
    assert frame.received.all()
    np.testing.assert_array_equal(frame.indices, indices)


@pytest.mark.parametrize("coarse_first", [False, True])
def test_fine_levels_go_before_cells_do(index_model: Models, coarse_first: bool) -> None:
    model = index_model(3, 128, 0)
    indices, form = scene(model, 0, 0.6)
    sender = SweepSender(
        form, model.background, SendSettings(TileSettings(300, coarse_first), min_occupancy=0.0)
    )
    whole = sender.send(indices).packet_bytes
    seen = [sender.send(indices, int(whole * share)) for share in (1.0, 0.75, 0.45, 0.2)]
    assert [sent.sent_levels for sent in seen][-1] == 1
    assert [sent.omitted_cells == 0 for sent in seen] == [True, True, True, False]
    assert seen[0].coarse_cells == 0
    assert seen[1].coarse_cells > 0
    sizes = [sent.packet_bytes for sent in seen]
    assert sizes == sorted(sizes, reverse=True)


def test_cells_that_nobody_wants_are_left_out_and_counted(index_model: Models) -> None:
    model = index_model(3, 128, 0)
    indices, form = scene(model, 0, 1.0)
    wanted = np.zeros(form.shape[1:], bool)
    wanted[:, :10] = True
    sent = SweepSender(form, model.background, SendSettings(min_occupancy=0.0)).send(
        indices, wanted=wanted
    )
    frame = arrived(sent, form, model)
    np.testing.assert_array_equal(frame.indices[:, :, :10], indices[:, :, :10])
    assert (frame.indices[:, :, 10:] == model.background[:, None, None]).all()
    occupied = (indices != model.background[:, None, None]).any(axis=0)
    assert sent.omitted_cells == occupied[:, 10:].sum()


def test_parity_makes_up_for_losses(index_model: Models) -> None:
    model = index_model(3, 128, 0)
    indices, form = scene(model, 0, 1.0)
    tiles = TileSettings(400)
    bare = SweepSender(form, model.background, SendSettings(tiles, min_occupancy=0.0)).send(indices)
    safe = SweepSender(
        form, model.background, SendSettings(tiles, parity=0.5, min_occupancy=0.0)
    ).send(indices)
    assert len(safe.parity) == -(-len(safe.tiles) // 2)
    rng = np.random.default_rng(0)
    received = [
        [receive_frame(sent, form, model.background, 0.2, rng).received.mean() for _ in range(30)]
        for sent in (bare, safe)
    ]
    assert 0.7 < np.mean(received[0]) < 0.9
    assert np.mean(received[1]) > 0.97


def test_a_frame_of_which_nothing_arrives_is_none(index_model: Models) -> None:
    model = index_model(3, 128, 0)
    indices, form = scene(model, 0, 1.0)
    sent = SweepSender(form, model.background, SendSettings(min_occupancy=0.0)).send(indices)
    assert arrived(sent, form, model, loss=1.0) is None


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"levels": -1}, "levels"),
        ({"min_occupancy": 1.0}, "min_occupancy"),
        ({"parity": -0.1}, "parity"),
        ({"parity": 0.5, "tiles": TileSettings(HEADER_BYTES + 5)}, "max_payload_bytes"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        SendSettings(**settings)
