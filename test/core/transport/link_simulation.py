# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a lossy link leaves of an index map: tiles and parity sent, lost, restored and assembled."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.transport.assembly import AssembledSweep, SweepAssembler
from quantv2x_ros.core.transport.erasure_code import restore
from quantv2x_ros.core.transport.sweep_sender import SentSweep
from quantv2x_ros.core.transport.tiles import IndexMapFormat


def receive_frame(
    frame: SentSweep,
    form: IndexMapFormat,
    background: npt.NDArray[np.uint8],
    loss: float,
    rng: np.random.Generator,
) -> AssembledSweep | None:
    """Put together what arrives of a sent frame, as a receiver does at its deadline.

    Args:
        frame: what was sent.
        form: format of the map.
        background: (planes,) uint8, the codes that fill holes.
        loss: probability that a message is lost, each for itself.
        rng: draws once for each message.

    Returns:
        See `assemble`.
    """
    kept = np.flatnonzero(rng.random(len(frame.tiles) + len(frame.parity)) >= loss)
    return assemble(frame, form, background, kept.tolist())


def assemble(
    frame: SentSweep,
    form: IndexMapFormat,
    background: npt.NDArray[np.uint8],
    arrived: Iterable[int],
) -> AssembledSweep | None:
    """Put some messages of a frame together.

    Args:
        frame: what was sent.
        form: format of the map.
        background: (planes,) uint8, the codes that fill holes.
        arrived: numbers of the messages; parity's follow on the tiles'.

    Returns:
        The map with its holes; None if nothing arrived that it could be made of.
    """
    count = len(frame.tiles)
    kept = list(arrived)
    tiles = {n: (frame.tiles[n].place, frame.tiles[n].payload) for n in kept if n < count}
    parity = {n: frame.parity[n - count] for n in kept if n >= count}
    if parity:
        tiles |= restore(tiles, parity, count, len(frame.parity))
    assembler = SweepAssembler(form.shape, form.levels, background)
    whole = None
    for number, (place, payload) in tiles.items():
        whole = assembler.add(0, number, count, place, form.decode(place, payload))
    return whole if whole is not None else assembler.take_partial(0)
