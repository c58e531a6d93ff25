# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What decides between ways to compute the same: the processor's instructions."""

from __future__ import annotations

import os
from pathlib import Path


def has_amx(cpu_info: Path = Path("/proc/cpuinfo")) -> bool:
    """Tell whether the processor multiplies INT8 matrices, and oneDNN may use that.

    Args:
        cpu_info: what Linux says of the processor.
    """
    held_to = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    if held_to not in ("", "ALL", "DEFAULT") and "AMX" not in held_to:
        return False
    try:
        return "amx_int8" in cpu_info.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
