# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Ed25519 signatures (RFC 8032) over an unambiguous byte string."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: Bytes of a signature.
SIGNATURE_SIZE = 64

Value = int | float | str | bytes | Sequence[float]


def canonical_bytes(context: str, values: Iterable[Value]) -> bytes:
    """Write values so that no two sequences of values give the same bytes.

    Every value is a tag and, where its size varies, its length; numbers are little endian. What is
    signed is this, not the message as it travels: that may differ between machines.

    Args:
        context: what the values mean, with a version; keeps one kind of message from passing as
            another (domain separation).
        values: integers (up to 64 bits, unsigned or signed), floats, texts, bytes, or sequences of
            floats.
    """
    parts = [_with_length(b"c", context.encode())]
    for value in values:
        if isinstance(value, str):
            parts.append(_with_length(b"s", value.encode()))
        elif isinstance(value, bytes | bytearray | memoryview):
            parts.append(_with_length(b"b", value))
        elif isinstance(value, int):
            parts.append(
                struct.pack("<cq" if value < 0 else "<cQ", b"n" if value < 0 else b"u", value)
            )
        elif isinstance(value, float):
            parts.append(struct.pack("<cd", b"f", value))
        else:
            parts.append(struct.pack(f"<cI{len(value)}d", b"v", len(value), *value))
    return b"".join(parts)


def sign(key: Ed25519PrivateKey, content: bytes) -> bytes:
    """Return the signature of a byte string, `SIGNATURE_SIZE` bytes."""
    return key.sign(content)


def is_signed_by(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    """Whether a signature was made over exactly these bytes with the key's private half."""
    if len(signature) != SIGNATURE_SIZE:
        return False
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _with_length(tag: bytes, content: bytes | bytearray | memoryview) -> bytes:
    return b"".join((tag, struct.pack("<I", len(content)), content))
