# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The user's cache of compiled engines, safe for processes that start at the same time."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)

#: Engines that nobody has loaded for so long are removed, seconds.
UNUSED = 30 * 86400.0


def cache_root() -> Path:
    """The user's cache folder for compiled engines (XDG_CACHE_HOME, else ~/.cache)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "quantv2x_ros" / "engines"


class EngineCache:
    """The place of one compiled engine.

    An engine's folder appears complete or not at all: backends map its files into memory, and a
    process that read one while another wrote it would be killed by the kernel.

    Args:
        name: of the model, for people who look into the cache.
        key: all that the engine depends on; its repr must say so.
    """

    def __init__(self, name: str, key: object) -> None:
        digest = hashlib.sha256(repr(key).encode()).hexdigest()
        self.folder = cache_root() / f"{name}-{digest[:20]}"

    def is_filled(self) -> bool:
        """Whether the engine is there."""
        return self.folder.is_dir()

    def remove(self) -> None:
        """Remove the engine, so that it is built again."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def open(self) -> Iterator[Path | None]:
        """Yield a folder to load the engine from or, if it is empty, to build it into.

        What was built becomes visible to others on leaving. Where nothing can be written, that is
        logged, and None is yielded.
        """
        if self.is_filled():
            with contextlib.suppress(OSError):  # a cache that others own, to be read only
                os.utime(self.folder)
            yield self.folder
            return
        try:
            cache_root().mkdir(parents=True, exist_ok=True)
            _remove_unused(cache_root())
            temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=cache_root()))
        except OSError as error:
            logger.warning("compiled engines are not kept in %s: %s", self.folder, error)
            yield None
            return
        try:
            yield temporary
            if any(temporary.iterdir()):
                with contextlib.suppress(OSError):  # another process was faster: its engine stays
                    temporary.rename(self.folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _remove_unused(root: Path) -> None:
    """Remove engines, and remains of interrupted builds, that are long unused."""
    for folder in root.iterdir():
        if folder.is_dir() and time.time() - folder.stat().st_mtime > UNUSED:
            logger.info("removing the engine %s, not used for 30 days", folder)
            shutil.rmtree(folder, ignore_errors=True)
