# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The number that tells whether two stations understand each other's indices."""

from __future__ import annotations

import hashlib

from quantv2x_ros.core.codebook import ResidualCodebook
from quantv2x_ros.core.index_model import IndexModel


def codebook_id(codebook: ResidualCodebook, model: IndexModel | None) -> int:
    """Id of all that sender and receiver must share to read a message.

    Args:
        codebook: decoding tables.
        model: of the entropy coder; None where indices are bit-packed.

    Returns:
        The codebook's fingerprint where there is no model; else the first 64 bits, big endian, of
        the SHA-256 of both fingerprints, 8 bytes each, big endian.
    """
    if model is None:
        return codebook.fingerprint
    both = (codebook.fingerprint, model.fingerprint)
    digest = hashlib.sha256(b"".join(number.to_bytes(8, "big") for number in both))
    return int.from_bytes(digest.digest()[:8], "big")
