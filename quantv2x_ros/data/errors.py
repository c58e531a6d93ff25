# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The error that every reader of data on disk raises."""

from __future__ import annotations

from pathlib import Path


class DatasetError(ValueError):
    """A file or folder of a dataset that cannot be used as it is.

    The message names the file, says what is wrong with it, and what to do.
    """

    def __init__(self, path: str | Path, problem: str, remedy: str) -> None:
        """Build the message.

        Args:
            path: File or folder at fault.
            problem: What is wrong, including the value found.
            remedy: What the reader of the message can do.
        """
        super().__init__(f"{path}: {problem}. {remedy}.")
        self.path = Path(path)
        self.problem = problem
        self.remedy = remedy

    def with_hint(self, hint: str) -> DatasetError:
        """Return the same error with one more thing that can be done."""
        return type(self)(self.path, self.problem, f"{self.remedy}, or {hint}")

    def __reduce__(self) -> tuple[type[DatasetError], tuple[Path, str, str]]:
        """Travel between processes whole: an exception is rebuilt from its message alone."""
        return type(self), (self.path, self.problem, self.remedy)


class BagError(DatasetError):
    """A bag that cannot be read or written."""
