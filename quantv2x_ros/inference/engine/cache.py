# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The user's cache of compiled engines, safe for processes that start at the same time."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from quantv2x_ros.core.cache_folder import cache_folder, find_cache_folder

logger = logging.getLogger(__name__)

#: Folder of compiled engines in the cache folder.
ENGINES = "engines"
#: Engines that nobody has loaded for so long are removed, seconds.
UNUSED = 30 * 86400.0
#: Folder beside it of the files that processes lock, so that one of them builds an engine.
LOCKS = "locks"
#: Longest wait for another process that builds the same engine, seconds.
LONGEST_BUILD = 900.0


def cache_root() -> Path | None:
    """Where compiled engines are kept; None where nothing can be written."""
    return cache_folder(ENGINES)


class EngineCache:
    """The place of one compiled engine.

    An engine's folder appears complete or not at all: backends map its files into memory, and a
    process that read one while another wrote it would be killed by the kernel.

    An engine in the user's cache folder is loaded also where that cannot be written, as one that an
    image of a container brings along.

    Args:
        name: name of the model, for people who look into the cache.
        key: all that the engine depends on; its repr must say so.

    Attributes:
        folder: where the engine is, or will be; None where nothing can be written.
    """

    def __init__(self, name: str, key: object) -> None:
        digest = hashlib.sha256(repr(key).encode()).hexdigest()
        self._name = f"{name}-{digest[:20]}"
        self.folder = self._find()

    def is_filled(self) -> bool:
        """Whether the engine is there."""
        return self.folder is not None and self.folder.is_dir()

    def remove(self) -> None:
        """Remove the engine, so that it is built again, elsewhere where it cannot be removed."""
        if self.folder is None:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.is_dir():
            root = cache_root()
            self.folder = root / self._name if root is not None else None
            if self.folder is not None:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _find(self) -> Path | None:
        found = find_cache_folder()
        if found.preferred is not None:
            kept = found.preferred / ENGINES / self._name
            with contextlib.suppress(OSError):  # of somebody else, who lets nobody look
                if kept.is_dir():
                    return kept
        root = cache_root()
        return root / self._name if root is not None else None

    @contextlib.contextmanager
    def open(self) -> Iterator[Path | None]:
        """Yield a folder to load the engine from or, if it is empty, to build it into.

        What was built becomes visible to others on leaving. Where nothing can be written, that is
        logged, and None is yielded.
        """
        if self.folder is not None and self.folder.is_dir():
            with contextlib.suppress(OSError):  # a cache that others own, to be read only
                os.utime(self.folder)
            yield self.folder
            return
        if self.folder is None:  # which is said by then
            yield None
            return
        root = self.folder.parent
        try:
            root.mkdir(parents=True, exist_ok=True)
            _remove_unused(root)
            temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=root))
        except OSError as error:
            logger.warning("compiled engines are not kept in %s: %s", self.folder, error)
            yield None
            return
        try:
            with _alone(root.parent / LOCKS / self._name):
                if self.folder.is_dir():  # another process has built it meanwhile
                    yield self.folder
                    return
                yield temporary
                if any(temporary.iterdir()):
                    with contextlib.suppress(OSError):  # another one was faster: its engine stays
                        temporary.rename(self.folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time into the body, so that none builds what another one is building.

    It saves work, no more: where files cannot be locked, or the other one takes very long, both
    build. A lock ends with its process at the latest, and holds nobody up in its own.
    """
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(path.open("w"))
            _wait_for(lock)
        except OSError as error:
            logger.info("engines are built without a lock %s: %s", path, error)
        yield


def _wait_for(lock: IO[str]) -> None:
    """Wait until no other process holds a lock, or for `LONGEST_BUILD`."""
    end = time.monotonic() + LONGEST_BUILD
    while time.monotonic() < end:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except (BlockingIOError, PermissionError):  # what POSIX allows a system to say
            time.sleep(0.05)


def _remove_unused(root: Path) -> None:
    """Remove engines, and remains of interrupted builds, that are long unused."""
    for folder in root.iterdir():
        if folder.is_dir() and time.time() - folder.stat().st_mtime > UNUSED:
            logger.info("removing the engine %s, not used for 30 days", folder)
            shutil.rmtree(folder, ignore_errors=True)
