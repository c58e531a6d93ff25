# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The bytes of a file, unless they are only a pointer to it."""

from __future__ import annotations

import re
from pathlib import Path

from quantv2x_ros.data.errors import DatasetError

_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/.*?\nsize (\d+)\s*\Z", re.DOTALL)
_POINTER_LIMIT = 1024  # bytes; the format's own limit of a pointer

#: What mends a Git LFS pointer.
LFS_REMEDY = "Fetch the contents: `git lfs install`, then `git lfs pull` in its checkout"


def read_content(path: str | Path, what: str, remedy: str) -> bytes:
    """Read a file of a dataset.

    Args:
        path: The file.
        what: What it holds, for the error, such as `the cloud`.
        remedy: What to do where it cannot be read.

    Raises:
        DatasetError: If the file cannot be read, or is a Git LFS pointer.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise DatasetError(path, f"{what} cannot be read ({error.strerror})", remedy) from error
    problem = lfs_pointer(content)
    if problem:
        raise DatasetError(path, problem, LFS_REMEDY)
    return content


def lfs_pointer(content: bytes) -> str:
    """Return what to say of a Git LFS pointer; empty for any other content.

    Args:
        content: All of a file, or its first kilobyte at least.
    """
    match = None if len(content) > _POINTER_LIMIT else _POINTER.match(content)
    if match is None:
        return ""
    return (
        f"it is a Git LFS pointer of {len(content)} bytes, in the place of a file of"
        f" {int(match[1]):,} bytes"
    )
