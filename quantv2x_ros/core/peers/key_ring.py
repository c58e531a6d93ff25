# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Keys of stations on disk: one public key a station, and the own private key.

A key ring is a folder with a file ``<station id>.pem`` for every station that is trusted: its
public key, Ed25519 or ECDSA on the curve P-256 (PEM, SubjectPublicKeyInfo). The own private key is
a PEM file (PKCS #8) that only its owner may read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from quantv2x_ros.core.peers.signing import KINDS, PrivateKey, PublicKey, kind_of

PUBLIC_SUFFIX = ".pem"
PRIVATE_SUFFIX = ".key"
MAX_STATION_ID = 2**32 - 1
#: A key file is some 120 bytes; one far larger is something else.
_MAX_FILE_SIZE = 10_000
#: Rights of group and others, none of which a private key may grant.
_FOREIGN_RIGHTS = stat.S_IRWXG | stat.S_IRWXO


class KeyRingError(ValueError):
    """A key or key ring that cannot be used."""


class KeyRing(Mapping[int, PublicKey]):
    """Public keys by station id."""

    def __init__(self, keys: Mapping[int, PublicKey]) -> None:
        """Hold these keys.

        Raises:
            KeyRingError: for a station id out of range.
        """
        for station in keys:
            _check_station(station)
        self._keys = dict(keys)

    @classmethod
    def load(cls, folder: str | Path) -> KeyRing:
        """Read every ``<station id>.pem`` of a folder.

        Raises:
            KeyRingError: naming the file, for a folder without keys, a name that is no station id,
                or a file that is no public key of a kind that is known.
        """
        root = Path(folder)
        if not root.is_dir():
            raise KeyRingError(f"key ring {root}: there is no such folder; make keys with `keys`")
        files = sorted(root.glob(f"*{PUBLIC_SUFFIX}"))
        if not files:
            raise KeyRingError(
                f"key ring {root}: it holds no <station id>{PUBLIC_SUFFIX}; copy the public "
                "keys of the trusted stations there"
            )
        return cls({_station_of(path): _read_public(path) for path in files})

    def __getitem__(self, station: int) -> PublicKey:
        return self._keys[station]

    def __iter__(self) -> Iterator[int]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def load_private_key(path: str | Path) -> PrivateKey:
    """Read a private key that nobody else may read.

    Raises:
        KeyRingError: for rights of group or others, or a file that is no private key of a kind that
            is known.
        OSError: if it cannot be read.
    """
    file = Path(path)
    with file.open("rb") as stream:
        mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)  # of the file that is read
        if mode & _FOREIGN_RIGHTS:
            raise KeyRingError(
                f"private key {file}: its mode is {mode:04o}, so that others may use it; allowed "
                f"is 0600 or 0400: chmod 600 {file}"
            )
        content = stream.read(_MAX_FILE_SIZE)
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyRingError(
            f"private key {file}: it is no unencrypted PEM key ({error}); make one with `keys`"
        ) from error
    return _of_known_kind(key, f"private key {file}")  # type: ignore[return-value]


def generate_keys(folder: str | Path, station: int, kind: str = "ed25519") -> tuple[Path, Path]:
    """Make a station's keys: ``<station>.key`` (mode 0600) and ``<station>.pem``.

    Args:
        folder: where they go; made if need be.
        station: station id.
        kind: of `signing.KINDS`.

    Returns:
        Paths of the private and the public key.

    Raises:
        KeyRingError: for a station id out of range, or a kind that is not known.
        FileExistsError: if either is there already; a key is never overwritten.
    """
    _check_station(station)
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    private_path, public_path = (
        root / f"{station}{PRIVATE_SUFFIX}",
        root / f"{station}{PUBLIC_SUFFIX}",
    )
    key = _new_key(kind)
    if public_path.exists():
        raise FileExistsError(f"{public_path} is there already; delete it to make a new key")
    # Created with its final rights: at no moment can others read it.
    descriptor = os.open(private_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    public_path.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return private_path, public_path


def _new_key(kind: str) -> PrivateKey:
    if kind not in KINDS:
        raise KeyRingError(f"kind of key: got {kind!r}, allowed are {', '.join(KINDS)}")
    if kind == "ed25519":
        return Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def _check_station(station: int) -> None:
    if not 0 <= station <= MAX_STATION_ID:
        raise KeyRingError(f"station id: got {station}, allowed are 0 to {MAX_STATION_ID}")


def _station_of(path: Path) -> int:
    # isdecimal alone would take other scripts' digits, and 007 would be a second name of 7
    if not (path.stem.isascii() and path.stem.isdecimal()) or str(int(path.stem)) != path.stem:
        raise KeyRingError(
            f"key ring: {path} must be named by its station id, such as 12{PUBLIC_SUFFIX}"
        )
    return int(path.stem)


def _read_public(path: Path) -> PublicKey:
    with path.open("rb") as stream:
        content = stream.read(_MAX_FILE_SIZE)
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRingError(f"public key {path}: it is no PEM public key ({error})") from error
    return _of_known_kind(key, f"public key {path}")  # type: ignore[return-value]


def _of_known_kind(key: object, name: str) -> PrivateKey | PublicKey:
    try:
        kind_of(key)  # type: ignore[arg-type]
    except ValueError as error:
        raise KeyRingError(f"{name}: {error}") from error
    return key  # type: ignore[return-value]
