# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The signing of packets."""

from __future__ import annotations

from quantv2x_ros.core.peers.key_ring import load_private_key
from quantv2x_ros.core.peers.signing import UNSIGNED, kind_of, sign
from quantv2x_ros.core.transport.object_packet import AnyPacket


class Signer:
    """Signs packets where a key is configured.

    Attributes:
        kind: of its signatures, of `signing.KINDS`; `UNSIGNED` without a key.
    """

    def __init__(self, path: str) -> None:
        """Load the key.

        Args:
            path: of the private key's file; empty: nothing is signed.

        Raises:
            ValueError: for a key that cannot be used, or that others may read.
            OSError: for one that cannot be read.
        """
        self._key = load_private_key(path) if path else None
        self.kind = kind_of(self._key) if self._key else UNSIGNED

    def signed(self, packet: AnyPacket) -> bytes:
        """Return the bytes of a packet of this kind, with its signature."""
        content = packet.content()
        return content + sign(self._key, content) if self._key else content
