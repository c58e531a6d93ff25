# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Signatures over a packet's bytes: Ed25519 (RFC 8032), or ECDSA as ETSI TS 103 097 has it."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

PrivateKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey
PublicKey = Ed25519PublicKey | ec.EllipticCurvePublicKey

#: Kinds of signatures by name, as their number in a packet.
UNSIGNED, ED25519, ECDSA_P256 = 0, 1, 2
KINDS = {"ed25519": ED25519, "ecdsa_p256": ECDSA_P256}
#: Precedes what is signed, so that a signature over anything else is none over a packet (domain
#: separation). A change of the packet's layout changes this.
CONTEXT = b"quantv2x packet 1\0"
#: Bytes of each half of an ECDSA signature.
_HALF = 32


def kind_of(key: PrivateKey | PublicKey) -> int:
    """Return the kind of a key's signatures, of `KINDS`.

    Raises:
        ValueError: for a key of another kind.
    """
    if isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
        return ED25519
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) and isinstance(
        key.curve, ec.SECP256R1
    ):
        return ECDSA_P256
    curve = getattr(getattr(key, "curve", None), "name", "")
    raise ValueError(
        f"it is a {type(key).__name__}{f' on {curve}' if curve else ''}, expected Ed25519 or ECDSA "
        "on the curve P-256"
    )


def sign(key: PrivateKey, content: bytes) -> bytes:
    """Return the signature of a packet's content, 64 bytes; of ECDSA r and s, big endian."""
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(CONTEXT + content)
    r, s = decode_dss_signature(key.sign(CONTEXT + content, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")


def is_signed_by(key: PublicKey, signature: bytes, content: bytes) -> bool:
    """Whether a signature was made over exactly these bytes with the key's private half."""
    if len(signature) != 2 * _HALF:
        return False
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, CONTEXT + content)
        else:
            r, s = signature[:_HALF], signature[_HALF:]
            both = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
            key.verify(both, CONTEXT + content, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
