# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A station id that belongs to this host: the same for all its nodes, and after every start.

It follows from the machine id of systemd, hashed as machine-id(5) recommends. Where there is none,
a random one is kept in the user's state folder; where that cannot be written, it follows from the
host's name and network address. Ids of hosts lie above all that datasets' agents have.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import socket
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: What a station id is set to for that of the host.
THIS_HOST = -1
#: Ids of hosts; see `data.agent_names.station_id` for those below.
HOST_STATIONS = range(4_000_000_000, 2**32)
MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
#: This application's id for `sd_id128_get_machine_app_specific`, random once and for all.
_APPLICATION = uuid.UUID("5c0f3c0e-8d2a-4b8e-9a53-6f6b1f0a7d21")
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")


class HostStationError(ValueError):
    """A kept station id that is none."""


@dataclass(frozen=True)
class HostStation:
    """This host's station id.

    Attributes:
        station_id: one of `HOST_STATIONS`.
        source: what it follows from, or where it is kept.
        is_kept: whether it stays the same whatever the host's name and network become.
    """

    station_id: int
    source: str
    is_kept: bool = True


def host_station(machine_id_files: Sequence[Path] = MACHINE_ID_FILES) -> HostStation:
    """Return this host's station id.

    Args:
        machine_id_files: where the machine id may be, the first that has one counts.

    Raises:
        HostStationError: for a file that keeps something else, naming it.
    """
    for path in machine_id_files:
        text = _read(path)
        if text is not None and _MACHINE_ID.fullmatch(text) and set(text) != {"0"}:
            digest = hmac.new(bytes.fromhex(text), _APPLICATION.bytes, hashlib.sha256).digest()
            return HostStation(_within(digest), str(path))
    file = _state_file()
    kept = None if file is None else _keep(file, secrets.choice(HOST_STATIONS))
    if kept is not None:
        return HostStation(kept, str(file))
    name, address = socket.gethostname(), uuid.getnode()
    if address >> 40 & 1:  # it has none, and this number is random
        address = 0
    digest = hashlib.sha256(f"{_APPLICATION} {name} {address:012x}".encode()).digest()
    return HostStation(_within(digest), f"host name {name} and network address", is_kept=False)


def _within(digest: bytes) -> int:
    return HOST_STATIONS[int.from_bytes(digest[:8], "big") % len(HOST_STATIONS)]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:  # not there, or not to be read
        return None


def _state_file() -> Path | None:
    """The file in the user's state folder (XDG_STATE_HOME, else ~/.local/state)."""
    if base := os.environ.get("XDG_STATE_HOME"):
        return Path(base) / "quantv2x_ros" / "station_id"
    try:
        return Path.home() / ".local" / "state" / "quantv2x_ros" / "station_id"
    except RuntimeError:  # neither HOME nor an entry in the list of users
        return None


def _keep(path: Path, number: int) -> int | None:
    """Return the id that a file keeps, after writing one where there is none; None: it cannot."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="ascii") as file:
            file.write(f"{number}\n")
            file.flush()
            # the first of two nodes that start together wins, and its file is whole
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
    text = _read(path)
    if text is None:
        return None
    if not text.isdecimal() or int(text) not in HOST_STATIONS:
        raise HostStationError(
            f"{path} keeps the station id of this host, but holds {text[:40]!r}; allowed are "
            f"{HOST_STATIONS.start} to {HOST_STATIONS.stop - 1}. Delete it for a new one, or set "
            "station_id"
        )
    return int(text)
