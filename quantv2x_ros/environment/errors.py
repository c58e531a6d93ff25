# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors in words for the terminal."""

from __future__ import annotations

from quantv2x_ros.environment.companions import explain_missing


def in_words(error: Exception) -> str:
    """Words an error for the terminal.

    Args:
        error: What a command raised.

    Returns:
        One sentence about the input or about what is not installed; empty for a fault of the
        program, whose traceback says more.
    """
    if isinstance(error, ImportError):
        return explain_missing(error)
    return str(error) if is_input_error(error) else ""


def is_input_error(error: Exception) -> bool:
    """Tells an error about the input, which its message explains, from a fault of the program.

    Args:
        error: What a command raised.

    Returns:
        True for the ValueError and RuntimeError classes that this package defines, whose messages
        name the cause and the remedy, and for files that cannot be read or written.
    """
    is_own = type(error).__module__.split(".")[0] == __name__.split(".")[0]
    return isinstance(error, OSError) or (is_own and isinstance(error, (ValueError, RuntimeError)))
