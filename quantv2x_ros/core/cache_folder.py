# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder that keeps what is made once for a machine: compiled engines and loops, scenes.

It is the user's cache folder. Where that cannot be written, as in a container with a read-only root
or for a user without a home, it is a folder of the user's own among the temporary files.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

PACKAGE = "quantv2x_ros"
#: What has been said, so that it is said once a process.
_said: set[str] = set()


@dataclass(frozen=True)
class CacheFolder:
    """Where things are kept.

    Attributes:
        preferred: the user's cache folder; None for a user without a home.
        folder: a folder that can be written; None where there is none.
        trouble: why it is not the preferred one, as a sentence; empty where it is.
    """

    preferred: Path | None
    folder: Path | None
    trouble: str = ""


def find_cache_folder() -> CacheFolder:
    """Find the folder, and make it where it is not there yet."""
    preferred = _preferred()
    reason = "there is no home folder" if preferred is None else _hindrance(preferred)
    if not reason:
        return CacheFolder(preferred, preferred)
    name = "the user's cache folder" if preferred is None else str(preferred)
    temporary = _temporary()
    kept = (
        f"what is compiled is kept in {temporary} instead, as long as that lasts"
        if temporary
        else "nothing that is compiled is kept, and every start is slow"
    )
    trouble = (
        f"{name} cannot be written ({reason}): {kept}; set XDG_CACHE_HOME to a folder that can be "
        "written"
    )
    return CacheFolder(preferred, temporary, trouble)


def cache_folder(name: str) -> Path | None:
    """Return a folder of what is kept, such as ``engines``; it need not exist.

    Where it is not in the user's cache folder, a log line says so once.

    Args:
        name: what is kept there.

    Returns:
        None where nothing can be written.
    """
    found = find_cache_folder()
    say_once(found.trouble)
    return found.folder / name if found.folder is not None else None


def say_once(trouble: str) -> None:
    """Log a trouble with the folder once a process; nothing where it is empty."""
    if trouble and trouble not in _said:
        _said.add(trouble)
        logger.warning("%s", trouble)


def _preferred() -> Path | None:
    """The user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / PACKAGE
    try:
        return Path.home() / ".cache" / PACKAGE
    except RuntimeError:  # neither HOME nor an entry in the list of users
        return None


def _hindrance(folder: Path) -> str:
    """Say why a folder cannot be written; empty where it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _temporary() -> Path | None:
    """A folder among the temporary files that nobody else can write; None where there is none.

    What lies in it is loaded as code, so that a folder that another user has put there is refused.
    """
    try:
        base = Path(tempfile.gettempdir())
    except FileNotFoundError:
        return None
    folder = base / f"{PACKAGE}-{os.getuid()}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700)
    try:
        state = folder.lstat()
    except OSError:
        return None
    is_own = stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid()
    if not is_own or state.st_mode & 0o022 or _hindrance(folder):
        return None
    return folder
