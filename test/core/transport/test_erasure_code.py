# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parity tiles: any tile_count tiles of all of them give the others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.transport.erasure_code import (
    MAX_CODEWORD,
    OVERHEAD_BYTES,
    ErasureCodeError,
    parity_payloads,
    restore,
)
from quantv2x_ros.core.transport.tiles import CodedTile, TilePlace


@st.composite
def frames(draw: st.DrawFn) -> tuple[list[CodedTile], int]:
    count = draw(st.integers(1, 12))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    tiles = [
        CodedTile(
            TilePlace(*(int(value) for value in generator.integers(0, 256, 6))),
            generator.bytes(int(generator.integers(1, 60))),
            0,
        )
        for _ in range(count)
    ]
    return tiles, draw(st.integers(1, 6))


@given(frames(), st.data())
def test_whatever_arrives_in_sufficient_number_restores_the_rest(
    drawn: tuple[list[CodedTile], int], data: st.DataObject
) -> None:
    tiles, count = drawn
    parity = parity_payloads(tiles, count)
    assert {len(p) for p in parity} == {OVERHEAD_BYTES + max(len(t.payload) for t in tiles)}
    total = len(tiles) + count
    arrived = data.draw(st.permutations(range(total)))[: data.draw(st.integers(0, total))]
    known = {n: (tiles[n].place, tiles[n].payload) for n in arrived if n < len(tiles)}
    extra = {n: parity[n - len(tiles)] for n in arrived if n >= len(tiles)}
    restored = restore(known, extra, len(tiles), count)
    if len(arrived) >= len(tiles):
        assert {**known, **restored} == {n: (t.place, t.payload) for n, t in enumerate(tiles)}
    else:
        assert restored == {}


@given(frames(), st.data())
def test_a_wrong_tile_never_brings_it_down(
    drawn: tuple[list[CodedTile], int], data: st.DataObject
) -> None:
    tiles, count = drawn
    parity = parity_payloads(tiles, count)
    noise = data.draw(st.lists(st.binary(max_size=80), min_size=count, max_size=count))
    known = {n: (tile.place, tile.payload) for n, tile in enumerate(tiles[1:], 1)}
    extra = {len(tiles) + n: payload for n, payload in enumerate(noise)}
    try:
        restored = restore(known, extra, len(tiles), count)
    except ErasureCodeError:
        return
    assert all(len(payload) <= len(parity[0]) + 80 for _, payload in restored.values())


def test_frames_of_too_many_tiles_have_no_parity() -> None:
    tiles = [CodedTile(TilePlace(0, 1, 0, 1, n, 1), b"x", 0) for n in range(MAX_CODEWORD)]
    assert parity_payloads(tiles, 1) == []
    assert len(parity_payloads(tiles[:-1], 1)) == 1
    for known, extra in (({2: (tiles[0].place, b"x")}, {}), ({}, {1: b"x"}), ({}, {9: b"x"})):
        with pytest.raises(ErasureCodeError, match="are none of 2 and 1"):
            restore(known, extra, 2, 1)
    with pytest.raises(ErasureCodeError, match=f"allowed are {MAX_CODEWORD}"):
        restore({}, {}, MAX_CODEWORD, 1)
