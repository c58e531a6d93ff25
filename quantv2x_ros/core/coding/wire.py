# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Codebook indices to bytes and back: entropy-coded with a trained model, and checked.

Layout, little endian: version (uint8), coding (uint8), CRC-32 (uint32), body. The CRC is taken over
version and coding, over what both ends know (the shape, the first plane's number, dict_size and the
model's fingerprint), and over the body. The body is an arithmetic code
(core.coding.index_model), or, where that would take more or no model is at hand, the indices
bit-packed: plane by plane, row by row, most significant bit first, the last byte filled up with
zeros.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.coding import index_kernels as context
from quantv2x_ros.core.coding import index_kernels as kernels
from quantv2x_ros.core.coding.index_kernels import probability_table
from quantv2x_ros.core.coding.index_model import IndexModel
from quantv2x_ros.core.compiled import njit

IndexArray = npt.NDArray[np.uint8]


def encode_planes(
    model: IndexModel, indices: IndexArray, first_plane: int, limit: int
) -> bytes | None:
    """Code planes of a map.

    Args:
        model: the entropy coder's model of the codebook's indices.
        indices: (planes, rows, columns) uint8, each less than dict_size: the planes from
            first_plane on, not more than the model has.
        first_plane: the first one's number.
        limit: most bytes wanted.

    Returns:
        The bytes; None where they would be more than the limit.
    """
    buffer = np.empty(limit, np.uint8)
    end = _run(model, False, buffer, indices, first_plane)
    return buffer[:end].tobytes() if end <= limit else None


def decode_planes(
    model: IndexModel, payload: IndexArray, shape: tuple[int, int, int], first_plane: int
) -> tuple[IndexArray, int]:
    """Read planes; whatever the bytes are, each index is less than dict_size.

    Args:
        model: the entropy coder's model of the codebook's indices.
        payload: (bytes,) uint8.
        shape: (planes, rows, columns).
        first_plane: the first one's number.

    Returns:
        The indices, and the number of bytes that they may have come from.
    """
    indices = np.empty(shape, np.uint8)
    end = _run(model, True, payload.copy(), indices, first_plane)  # may be read-only
    return indices, end


def _run(
    model: IndexModel,
    decoding: bool,
    buffer: IndexArray,
    indices: IndexArray,
    first_plane: int,
) -> int:
    count, rows, columns = indices.shape
    margin = context.MARGIN
    codes = np.full(
        (first_plane + count, columns + 2 * margin, rows + 2 * margin),
        model.dict_size,
        np.uint16,
    )
    inner = codes[first_plane:, margin:-margin, margin:-margin]
    inner[:] = 0 if decoding else indices.transpose(0, 2, 1)
    end = kernels.code_planes(
        decoding,
        buffer,
        len(buffer),
        codes,
        first_plane,
        model.starts,
        model.tables,
        model.hidden_bias,
        model.weights,
        model.weight_bias,
        model.children,
        model.path_bits,
        model.background,
        probability_table(),
    )
    if decoding:
        indices[:] = inner.transpose(0, 2, 1)
    return int(end)


VERSION = 2
#: Codings: bit-packed, and arithmetic coding with the context model.
PACKED, CONTEXT = 0, 1
MAX_DICT_SIZE = 256
# Indices of one payload. The V2X-Real grid with m = 2 has 211,200; this bounds what is allocated.
MAX_INDICES = 1 << 24

_FIELDS = struct.Struct("<BB")
_CHECKSUM = struct.Struct("<I")
_KNOWN = struct.Struct("<HHHHHQ")
HEADER_BYTES = _FIELDS.size + _CHECKSUM.size


class WireError(ValueError):
    """A payload that is damaged or not the expected one, or indices that none can hold."""


@dataclass(frozen=True)
class EntropyModel:
    """The indices' number of codes and their entropy model, which sender and receiver share.

    Attributes:
        dict_size: codes of a segment, 2 to 256; every index is less than this.
        model: context model trained with the codebook; without one, indices are bit-packed.
    """

    dict_size: int
    model: IndexModel | None = None

    def __post_init__(self) -> None:
        """Raise WireError for a size that no codebook has, or a model of another codebook."""
        if not 2 <= self.dict_size <= MAX_DICT_SIZE:
            raise WireError(f"dict_size must be 2 to {MAX_DICT_SIZE}, got {self.dict_size}")
        if self.model is not None and self.model.dict_size != self.dict_size:
            raise WireError(
                f"the model is of {self.model.dict_size} codes, the codebook has {self.dict_size}"
            )

    @property
    def bits(self) -> int:
        """Bits of an index that is packed."""
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


def _check_shape(shape: tuple[int, ...], entropy_model: EntropyModel, first_plane: int) -> int:
    """Number of indices of a shape (planes, rows, columns); WireError where it is out of bounds."""
    if len(shape) != 3 or not all(1 <= size <= 0xFFFF for size in shape):
        raise WireError(
            f"shape must be (planes, rows, columns), each 1 to 65535, got {tuple(shape)}"
        )
    count = shape[0] * shape[1] * shape[2]
    if count > MAX_INDICES:
        raise WireError(f"shape {tuple(shape)} has {count} indices, allowed are {MAX_INDICES}")
    planes = 0xFFFF if entropy_model.model is None else entropy_model.model.planes
    if first_plane < 0 or first_plane + shape[0] > planes:
        raise WireError(
            f"planes {first_plane} to {first_plane + shape[0] - 1}: there are {planes} planes"
        )
    return count


def packed_size(
    shape: tuple[int, int, int], entropy_model: EntropyModel, first_plane: int = 0
) -> int:
    """Length in bytes of the longest payload of a shape (planes, rows, columns)."""
    return (
        HEADER_BYTES
        + (_check_shape(shape, entropy_model, first_plane) * entropy_model.bits + 7) // 8
    )


def encode_indices(indices: IndexArray, entropy_model: EntropyModel, first_plane: int = 0) -> bytes:
    """Code indices without loss; never longer than packed_size.

    Args:
        indices: (planes, rows, columns) uint8, each less than entropy_model.dict_size.
        entropy_model: the codebook's entropy model.
        first_plane: number of indices' first plane among the codebook's.

    Raises:
        WireError: the shape is out of bounds or an index is outside of the codebook.
    """
    count = _check_shape(indices.shape, entropy_model, first_plane)
    if indices.dtype != np.uint8:
        raise WireError(f"indices must be uint8, got {indices.dtype}")
    if int(indices.max()) >= entropy_model.dict_size:
        raise WireError(f"index {int(indices.max())} is outside of {entropy_model.dict_size} codes")
    size = (count * entropy_model.bits + 7) // 8
    coding, body = CONTEXT, None
    if entropy_model.model is not None:
        body = encode_planes(entropy_model.model, indices, first_plane, size)
    if body is None:
        packed = np.empty(size, np.uint8)
        _pack(np.ascontiguousarray(indices).reshape(-1), entropy_model.bits, packed)
        coding, body = PACKED, packed.tobytes()
    fields = _FIELDS.pack(VERSION, coding)
    return fields + _checksum(fields, body, entropy_model, indices.shape, first_plane) + body


def _checksum(
    fields: bytes | memoryview,
    body: bytes | memoryview,
    entropy_model: EntropyModel,
    shape: tuple[int, ...],
    first_plane: int,
) -> bytes:
    model = 0 if entropy_model.model is None else entropy_model.model.fingerprint
    known = _KNOWN.pack(*shape, first_plane, entropy_model.dict_size, model)
    return _CHECKSUM.pack(zlib.crc32(body, zlib.crc32(known, zlib.crc32(fields))))


def payload_coding(payload: bytes | bytearray | memoryview) -> int:
    """The coding that a payload names, PACKED or CONTEXT.

    Raises:
        WireError: it is too short, or of another version or coding.
    """
    view = memoryview(payload).cast("B")
    if len(view) < HEADER_BYTES:
        raise WireError(f"payload has {len(view)} bytes, expected {HEADER_BYTES} or more")
    version, coding = _FIELDS.unpack_from(view)
    if version != VERSION or coding not in (PACKED, CONTEXT):
        raise WireError(
            f"payload has version {version} and coding {coding}, known are version {VERSION} and "
            f"codings {PACKED} (bit-packed) and {CONTEXT} (context model)"
        )
    return int(coding)


def decode_indices(
    payload: bytes | bytearray | memoryview,
    entropy_model: EntropyModel,
    shape: tuple[int, int, int],
    first_plane: int = 0,
) -> IndexArray:
    """Decode indices; what comes back has been checked.

    Args:
        payload: what encode_indices returned.
        entropy_model: the entropy model of the receiver's codebook.
        shape: (planes, rows, columns) that the receiver expects.
        first_plane: number of the first of these planes among the codebook's.

    Returns:
        (planes, rows, columns) uint8, each less than entropy_model.dict_size.

    Raises:
        WireError: the payload has another length, version, shape, codebook, model or checksum than
            expected, or an index is outside of the codebook.
    """
    limit = packed_size(shape, entropy_model, first_plane)
    view = memoryview(payload).cast("B")
    coding = payload_coding(view)
    if len(view) > limit or (coding == PACKED and len(view) != limit):
        raise WireError(
            f"payload has {len(view)} bytes, expected {'' if coding == PACKED else 'at most '}"
            f"{limit} for {tuple(shape)} indices of {entropy_model.bits} bits"
        )
    body = view[HEADER_BYTES:]
    actual = _checksum(view[: _FIELDS.size], body, entropy_model, shape, first_plane)
    stated = bytes(view[_FIELDS.size : HEADER_BYTES])
    if actual != stated:
        raise WireError(
            f"payload has CRC-32 {actual[::-1].hex()}, its header says {stated[::-1].hex()}: it is "
            f"damaged, or of another shape or codebook than {tuple(shape)} indices of "
            f"{entropy_model.dict_size} codes"
        )
    coded = np.frombuffer(body, np.uint8)
    if coding == PACKED:
        return _decode_packed(coded, entropy_model, shape)
    if entropy_model.model is None:
        raise WireError("payload is coded with a context model, this codebook has none")
    indices, end = decode_planes(entropy_model.model, coded, shape, first_plane)
    if len(coded) > end:
        raise WireError(f"payload has {len(coded) - end} bytes more than its indices need")
    return indices


def _decode_packed(
    packed: IndexArray, entropy_model: EntropyModel, shape: tuple[int, int, int]
) -> IndexArray:
    indices = np.empty(shape, np.uint8)
    if _unpack(packed, entropy_model.bits, indices.reshape(-1)):
        raise WireError("payload's last byte is not filled up with zeros")
    if int(indices.max()) >= entropy_model.dict_size:
        raise WireError(f"index {int(indices.max())} is outside of {entropy_model.dict_size} codes")
    return indices
