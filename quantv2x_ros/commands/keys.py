# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`keys`: makes a station's keys for signed messages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    station: Annotated[int, typer.Option(help="Station id, 0 to 4294967295.")],
    out: Annotated[
        Path, typer.Option(help="Folder for the two files; it is made where it does not exist.")
    ],
    kind: Annotated[
        str,
        typer.Option(help="Kind of signature: ed25519, or ecdsa_p256 as ETSI TS 103 097 has it."),
    ] = "ed25519",
) -> None:
    """Make a pair of keys: STATION.key stays on the station, STATION.pem goes to its peers."""
    from quantv2x_ros.core.peers.key_ring import generate_keys

    private_path, public_path = generate_keys(out, station, kind)
    print(f"private key: {private_path} (parameter signing_key of the station's encoder)")
    print(f"public key:  {public_path} (copy it into the folder key_ring of every peer)")
