# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What decides between ways to compute the same: the processor's instructions.

Read off the processor, and off ONEDNN_MAX_CPU_ISA, which holds oneDNN (in OpenVINO and torch) to
less than that.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

from quantv2x_ros.core.weight_grid import BYTE_LIMIT, PAIR_LIMIT

CPU_INFO = Path("/proc/cpuinfo")

#: What oneDNN may be held to that has no VNNI, and what has no bfloat16 either.
_WITHOUT_VNNI = frozenset({"SSE41", "AVX", "AVX2", "AVX512_CORE"})
_WITHOUT_BFLOAT16 = _WITHOUT_VNNI | {"AVX2_VNNI", "AVX512_CORE_VNNI"}
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16", "svebf16"})


def held_to() -> str:
    """What oneDNN is held to, upper case; empty for nothing."""
    held = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return "" if held in ("ALL", "DEFAULT") else held


def cpu_flags(cpu_info: Path = CPU_INFO) -> frozenset[str]:
    """What Linux says that the processor can do; empty where it does not tell."""
    try:
        lines = cpu_info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    found = (line.partition(":") for line in lines)
    return frozenset(
        next((text for key, _, text in found if key.strip() in ("flags", "Features")), "").split()
    )


def is_x86() -> bool:
    """Tell whether the processor is of the family that may lack VNNI."""
    return platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")


def has_amx(cpu_info: Path = CPU_INFO) -> bool:
    """Tell whether the processor multiplies INT8 matrices, and oneDNN may use that.

    Args:
        cpu_info: what Linux says of the processor.
    """
    if held_to() and "AMX" not in held_to():
        return False
    return "amx_int8" in cpu_flags(cpu_info)


def has_vnni(cpu_info: Path = CPU_INFO) -> bool:
    """Tell whether the processor adds products of bytes up in 32 bits, and oneDNN may use that.

    Args:
        cpu_info: what Linux says of the processor.
    """
    if held_to() in _WITHOUT_VNNI:
        return False
    wanted = {"avx_vnni"} if held_to().startswith("AVX2") else {"avx512_vnni", "amx_int8"}
    if not held_to():
        wanted = wanted | {"avx_vnni"}
    return bool(wanted & cpu_flags(cpu_info))


def has_bfloat16(cpu_info: Path = CPU_INFO) -> bool:
    """Tell whether the processor multiplies bfloat16, and oneDNN may use that; else it is emulated.

    Args:
        cpu_info: what Linux says of the processor.
    """
    if held_to() in _WITHOUT_BFLOAT16:
        return False
    return bool(_BFLOAT16_FLAGS & cpu_flags(cpu_info))


def exact_weights(cpu_info: Path = CPU_INFO) -> int:
    """Return up to which magnitude INT8 weights are multiplied exactly, see `core.weight_grid`.

    Args:
        cpu_info: what Linux says of the processor.
    """
    return BYTE_LIMIT if has_vnni(cpu_info) or not is_x86() else PAIR_LIMIT


def int8_kind(cpu_info: Path = CPU_INFO) -> str:
    """Name what multiplies INT8 here, for people."""
    if not is_x86():
        return platform.machine()
    if has_amx(cpu_info):
        return "AMX"
    if has_vnni(cpu_info):
        return "VNNI"
    flags = cpu_flags(cpu_info)
    if held_to():
        return f"{held_to()} without VNNI"
    best = next((name for name in ("avx512bw", "avx2", "sse4_1") if name in flags), "")
    return f"{best.upper() or 'x86'} without VNNI"
