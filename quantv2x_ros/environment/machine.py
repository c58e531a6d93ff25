# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The machine that something was measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

from quantv2x_ros import __version__

#: Flags in /proc/cpuinfo that matter to INT8, best first, and their names.
_INT8_FLAGS = {
    "amx_int8": "AMX",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX VNNI",
    "avx2": "AVX2",
    "asimddp": "NEON dot product",
}
_PACKAGES = ("numpy", "numba", "openvino", "torch", "tensorrt", "tensorrt_rtx")


def describe_machine(threads: int, isa: str) -> dict[str, Any]:
    """Describe the processor, its instruction set, threads, load and versions.

    Args:
        threads: CPU threads that the libraries were given.
        isa: instruction set that the libraries were held to; empty where none was asked for. Then
            what ONEDNN_MAX_CPU_ISA holds them to counts.
    """
    info = _read("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.*)$", info, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", info, re.MULTILINE)
    known = set(flags[1].split()) if flags else set()
    best = next((name for flag, name in _INT8_FLAGS.items() if flag in known), "none known")
    held = isa or os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    load = os.getloadavg()
    return {
        "processor": model[1].strip() if model else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "instruction_set": f"{held} (held to it; the processor has {best})" if held else best,
        "threads": threads,
        "load_average_at_start": round(load[0], 2),
        "versions": {
            "quantv2x_ros": __version__,
            "python": platform.python_version(),
            "system": platform.platform(),
            **{name: version for name in _PACKAGES if (version := _version(name))},
        },
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
