# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Signs a station's own messages."""

from __future__ import annotations

from array import array

from rclpy.node import Node

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.core.key_ring import load_private_key
from quantv2x_ros.core.signing import sign
from quantv2x_ros.nodes.parameters import declare
from quantv2x_ros.nodes.signed_message import signed_content


class Signer:
    """Fills in signatures where a key is configured."""

    def __init__(self, node: Node) -> None:
        """Declare the parameter and load the key.

        Raises:
            ValueError: for a key that cannot be used, or that others may read.
            OSError: for one that cannot be read.
        """
        path = declare(
            node,
            "signing_key",
            "",
            "Private key (made by `keys`) that signs every message; empty: they are not signed.",
        )
        self._key = load_private_key(path) if path else None

    def sign(self, message: BevIndices) -> None:
        """Sign a message whose other fields are final."""
        if self._key is not None:
            message.signature = array("B", sign(self._key, signed_content(message)))
