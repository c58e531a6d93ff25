# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Parity tiles: a systematic Reed-Solomon code across the tiles of a frame.

Tile i with its place is a block; byte j of all blocks and of the parity tiles is a codeword over
GF(256). Any tile_count of all of them give the others. The code is that of reedsolo. Since it is
linear, reedsolo is asked once for the matrix that maps known tiles to missing ones, which then
applies to all bytes at once.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
import reedsolo

from quantv2x_ros.core.transport.tiles import CodedTile, TilePlace

Bytes = npt.NDArray[np.uint8]

#: Tiles of a frame with parity, parity included. The code would allow 255; this bounds the time
#: that a message can make its receiver spend on the matrix, to some 30 ms.
MAX_CODEWORD = 32
_PLACE = struct.Struct("<BBHHHHH")
#: What a parity tile takes more than the longest tile of its frame, bytes.
OVERHEAD_BYTES = _PLACE.size


class ErasureCodeError(ValueError):
    """Tiles and parity tiles that do not belong together, or too many of them.

    Attributes:
        reason: ``parity``, for counters.
    """

    reason = "parity"


def parity_payloads(tiles: Sequence[CodedTile], count: int) -> list[bytes]:
    """Return the payloads of a frame's parity tiles, each as long as the longest tile and 12 bytes.

    Args:
        tiles: the frame's, in the order in which they are numbered.
        count: parity tiles wanted; none where tiles and they would be more than MAX_CODEWORD.
    """
    if count == 0 or not tiles or len(tiles) + count > MAX_CODEWORD:
        return []
    size = OVERHEAD_BYTES + max(len(tile.payload) for tile in tiles)
    blocks = np.stack([_block(tile.place, tile.payload, size) for tile in tiles])
    known = tuple(range(len(tiles)))
    matrix = _matrix(len(tiles), count, known)
    return [row.tobytes() for row in _apply(matrix[len(tiles) :], blocks)]


def restore(
    tiles: Mapping[int, tuple[TilePlace, bytes]],
    parity: Mapping[int, bytes],
    tile_count: int,
    parity_count: int,
) -> dict[int, tuple[TilePlace, bytes]]:
    """Restore a frame's missing tiles.

    Args:
        tiles: those that arrived, by number, 0 to tile_count - 1.
        parity: parity tiles that arrived, by number, from tile_count on.
        tile_count: tiles of the frame.
        parity_count: parity tiles of the frame.

    Returns:
        The missing tiles by number, their places unchecked; none where too few arrived.

    Raises:
        ErasureCodeError: tiles and parity tiles do not fit each other.
    """
    if tile_count + parity_count > MAX_CODEWORD:
        raise ErasureCodeError(
            f"{tile_count} tiles and {parity_count} parity tiles, allowed are {MAX_CODEWORD}"
        )
    strangers = [n for n in tiles if not 0 <= n < tile_count]
    strangers += [n for n in parity if not tile_count <= n < tile_count + parity_count]
    if strangers:
        raise ErasureCodeError(
            f"tiles {strangers} are none of {tile_count} and {parity_count} parity tiles"
        )
    missing = [number for number in range(tile_count) if number not in tiles]
    if not missing or len(tiles) + len(parity) < tile_count:
        return {}
    sizes = {len(payload) for payload in parity.values()}
    longest = OVERHEAD_BYTES + max((len(payload) for _, payload in tiles.values()), default=0)
    if len(sizes) != 1 or min(sizes) < longest:
        raise ErasureCodeError(
            f"parity tiles have {sorted(sizes)} bytes, expected one length of {longest} or more"
        )
    (size,) = sizes
    blocks = {number: _block(*tile, size) for number, tile in tiles.items()}
    blocks |= {number: np.frombuffer(payload, np.uint8) for number, payload in parity.items()}
    known = tuple(sorted(blocks))[:tile_count]
    matrix = _matrix(tile_count, parity_count, known)
    restored = _apply(matrix[missing], np.stack([blocks[number] for number in known]))
    return {number: _tile(number, block) for number, block in zip(missing, restored, strict=True)}


def _block(place: TilePlace, payload: bytes, size: int) -> Bytes:
    """A tile's place, length and payload, filled up with zeros."""
    head = _PLACE.pack(
        place.first_level,
        place.levels,
        place.first_row,
        place.rows,
        place.first_column,
        place.columns,
        len(payload),
    )
    return np.frombuffer((head + payload).ljust(size, b"\0"), np.uint8)


def _tile(number: int, block: Bytes) -> tuple[TilePlace, bytes]:
    *place, length = _PLACE.unpack_from(block.tobytes())
    payload = block[OVERHEAD_BYTES:].tobytes()
    if length > len(payload) or any(payload[length:]):
        raise ErasureCodeError(
            f"restored tile {number} says {length} bytes in a block of {len(payload)}: some tile "
            "of the frame is not what was sent"
        )
    return TilePlace(*place), payload[:length]


@cache
def _products() -> Bytes:
    """Products of all pairs in GF(256), (256, 256)."""
    reedsolo.init_tables()
    table = [[reedsolo.gf_mul(a, b) for b in range(256)] for a in range(256)]
    return np.array(table, np.uint8)


@lru_cache(maxsize=256)
def _matrix(tile_count: int, parity_count: int, known: tuple[int, ...]) -> Bytes:
    """Codeword (all tiles) from known symbols, (tile_count + parity_count, len(known)).

    Columns are the codewords that have 1 at one known place and 0 at the others.
    """
    total = tile_count + parity_count
    codec = reedsolo.RSCodec(parity_count, nsize=total)
    unknown = [number for number in range(total) if number not in known]
    columns = []
    for place in known:
        word = bytearray(total)
        word[place] = 1
        _, whole, _ = codec.decode(word, erase_pos=unknown)
        columns.append(np.frombuffer(bytes(whole), np.uint8))
    return np.stack(columns, axis=1)


def _apply(matrix: Bytes, blocks: Bytes) -> Bytes:
    """Matrix product over GF(256) of (m, k) and (k, bytes)."""
    products = _products()
    result = np.zeros((len(matrix), blocks.shape[1]), np.uint8)
    for row, factors in enumerate(matrix):
        for factor, block in zip(factors, blocks, strict=True):
            result[row] ^= products[factor][block]
    return result
