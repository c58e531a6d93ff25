# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Codebook indices to bytes and back: bit-packed, with a header and a checksum.

Layout, little endian: ``Q2``, version (uint8), bits an index (uint8), planes, rows, columns and
dict_size (uint16 each), CRC-32 of the whole payload without this field (uint32), then the indices
plane by plane, row by row, most significant bit first, the last byte filled up with zeros.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

IndexArray = npt.NDArray[np.uint8]

VERSION = 1
MAX_DICT_SIZE = 256
# Indices of one payload. The V2X-Real grid with m = 2 has 211,200; this bounds what is allocated.
MAX_INDICES = 1 << 24

_MAGIC = b"Q2"
_FIELDS = struct.Struct("<2sBBHHHH")
_CHECKSUM = struct.Struct("<I")
HEADER_BYTES = _FIELDS.size + _CHECKSUM.size


class WireError(ValueError):
    """A payload that is damaged or not the expected one, or indices that none can hold."""


@dataclass(frozen=True)
class IndexPrior:
    """What sender and receiver know about the indices beforehand.

    Attributes:
        dict_size: codes of a segment, 2 to 256; every index is less than this.
    """

    dict_size: int

    def __post_init__(self) -> None:
        """Raise WireError for a size that no codebook has."""
        if not 2 <= self.dict_size <= MAX_DICT_SIZE:
            raise WireError(f"dict_size must be 2 to {MAX_DICT_SIZE}, got {self.dict_size}")

    @property
    def bits(self) -> int:
        """Bits of an index."""
        return (self.dict_size - 1).bit_length()


@njit(cache=True, nogil=True)
def _pack(indices: IndexArray, bits: int, packed: IndexArray) -> None:
    """Write the low ``bits`` bits of every index into packed, most significant first."""
    buffer = np.uint32(0)
    held = 0
    position = 0
    for i in range(len(indices)):
        buffer = np.uint32((buffer << np.uint32(bits)) | np.uint32(indices[i]))
        held += bits
        while held >= 8:
            held -= 8
            packed[position] = np.uint8((buffer >> np.uint32(held)) & np.uint32(0xFF))
            position += 1
    if held:
        packed[position] = np.uint8((buffer << np.uint32(8 - held)) & np.uint32(0xFF))


@njit(cache=True, nogil=True)
def _unpack(packed: IndexArray, bits: int, indices: IndexArray) -> int:
    """Read len(indices) indices; return what is left in the last byte, 0 if it is well made."""
    buffer = np.uint32(0)
    held = 0
    position = 0
    mask = np.uint32((1 << bits) - 1)
    for i in range(len(indices)):
        if held < bits:
            buffer = np.uint32((buffer << np.uint32(8)) | np.uint32(packed[position]))
            position += 1
            held += 8
        held -= bits
        indices[i] = np.uint8((buffer >> np.uint32(held)) & mask)
    return int(buffer & np.uint32((1 << held) - 1))


def _check_shape(shape: tuple[int, ...]) -> int:
    """Number of indices of a shape (planes, rows, columns); WireError where it is out of bounds."""
    if len(shape) != 3 or not all(1 <= size <= 0xFFFF for size in shape):
        raise WireError(
            f"shape must be (planes, rows, columns), each 1 to 65535, got {tuple(shape)}"
        )
    count = shape[0] * shape[1] * shape[2]
    if count > MAX_INDICES:
        raise WireError(f"shape {tuple(shape)} has {count} indices, allowed are {MAX_INDICES}")
    return count


def packed_size(shape: tuple[int, int, int], prior: IndexPrior) -> int:
    """Length in bytes of the payload of a shape (planes, rows, columns)."""
    return HEADER_BYTES + (_check_shape(shape) * prior.bits + 7) // 8


def encode_indices(indices: IndexArray, prior: IndexPrior) -> bytes:
    """Pack indices.

    Args:
        indices: (planes, rows, columns) uint8, each less than prior.dict_size.
        prior: of the codebook.

    Raises:
        WireError: the shape is out of bounds or an index is outside of the codebook.
    """
    count = _check_shape(indices.shape)
    if indices.dtype != np.uint8:
        raise WireError(f"indices must be uint8, got {indices.dtype}")
    if int(indices.max()) >= prior.dict_size:
        raise WireError(f"index {int(indices.max())} is outside of {prior.dict_size} codes")
    packed = np.empty((count * prior.bits + 7) // 8, np.uint8)
    _pack(np.ascontiguousarray(indices).reshape(-1), prior.bits, packed)
    fields = _FIELDS.pack(_MAGIC, VERSION, prior.bits, *indices.shape, prior.dict_size)
    body = packed.tobytes()
    return fields + _CHECKSUM.pack(zlib.crc32(body, zlib.crc32(fields))) + body


def decode_indices(
    payload: bytes | bytearray | memoryview, prior: IndexPrior, shape: tuple[int, int, int]
) -> IndexArray:
    """Unpack indices; what comes back has been checked.

    Args:
        payload: what encode_indices returned.
        prior: of the receiver's codebook.
        shape: (planes, rows, columns) that the receiver expects.

    Returns:
        (planes, rows, columns) uint8, each less than prior.dict_size.

    Raises:
        WireError: the payload has another length, version, shape, codebook size or checksum than
            expected, or an index is outside of the codebook.
    """
    expected = packed_size(shape, prior)
    view = memoryview(payload).cast("B")
    if len(view) != expected:
        raise WireError(
            f"payload has {len(view)} bytes, expected {expected} for {tuple(shape)} indices of "
            f"{prior.bits} bits"
        )
    magic, version, bits, planes, rows, columns, dict_size = _FIELDS.unpack_from(view)
    if (magic, version) != (_MAGIC, VERSION):
        raise WireError(f"payload begins with {magic!r} version {version}, expected {_MAGIC!r} 1")
    if (planes, rows, columns) != tuple(shape) or (dict_size, bits) != (
        prior.dict_size,
        prior.bits,
    ):
        raise WireError(
            f"payload holds {(planes, rows, columns)} indices of {dict_size} codes in {bits} bits, "
            f"expected {tuple(shape)} of {prior.dict_size} in {prior.bits}"
        )
    (checksum,) = _CHECKSUM.unpack_from(view, _FIELDS.size)
    actual = zlib.crc32(view[HEADER_BYTES:], zlib.crc32(view[: _FIELDS.size]))
    if actual != checksum:
        raise WireError(f"payload has CRC-32 {actual:08x}, its header says {checksum:08x}")
    indices = np.empty(shape, np.uint8)
    rest = _unpack(np.frombuffer(view, np.uint8, offset=HEADER_BYTES), bits, indices.reshape(-1))
    if rest:
        raise WireError("payload's last byte is not filled up with zeros")
    if int(indices.max()) >= prior.dict_size:
        raise WireError(f"index {int(indices.max())} is outside of {prior.dict_size} codes")
    return indices
