# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which instructions are there, and may be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantv2x_ros.inference.cpu import graph_passes, processor
from quantv2x_ros.inference.cpu.processor import (
    cpu_flags,
    exact_weights,
    has_amx,
    has_bfloat16,
    has_vnni,
    int8_kind,
)

AMX = "avx2 avx512bw avx512_vnni avx_vnni avx512_bf16 amx_bf16 amx_tile amx_int8"
CASCADE_LAKE = "avx2 avx512bw avx512_vnni"
ALDER_LAKE = "avx2 avx_vnni"
SKYLAKE_SERVER = "avx2 avx512bw"
ZEN_3 = "sse4_1 avx2"


@pytest.fixture(autouse=True)
def _free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.setattr(processor.platform, "machine", lambda: "x86_64")


def cpu_info(folder: Path, flags: str) -> Path:
    path = folder / "cpuinfo"
    path.write_text(f"processor\t: 0\nmodel name\t: x\nflags\t\t: {flags}\nbugs\t\t: none\n")
    return path


@pytest.mark.parametrize(
    ("flags", "amx", "vnni", "bfloat16", "weights", "kind"),
    [
        (AMX, True, True, True, 128, "AMX"),
        (CASCADE_LAKE, False, True, False, 128, "VNNI"),
        (ALDER_LAKE, False, True, False, 128, "VNNI"),
        (SKYLAKE_SERVER, False, False, False, 64, "AVX512BW without VNNI"),
        (ZEN_3, False, False, False, 64, "AVX2 without VNNI"),
    ],
)
def test_they_are_read_off_the_processor(
    tmp_path: Path, flags: str, amx: bool, vnni: bool, bfloat16: bool, weights: int, kind: str
) -> None:
    path = cpu_info(tmp_path, flags)
    assert (has_amx(path), has_vnni(path), has_bfloat16(path)) == (amx, vnni, bfloat16)
    assert (exact_weights(path), int8_kind(path)) == (weights, kind)


def test_a_processor_that_tells_nothing_is_taken_for_the_least(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert cpu_flags(nowhere) == frozenset()
    assert not has_amx(nowhere)
    assert not has_vnni(nowhere)
    assert not has_bfloat16(nowhere)
    assert (exact_weights(nowhere), int8_kind(nowhere)) == (64, "x86 without VNNI")


def test_other_families_add_up_in_32_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor.platform, "machine", lambda: "aarch64")
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nFeatures\t: fp asimd asimddp bf16\n")
    assert (exact_weights(path), int8_kind(path)) == (128, "aarch64")
    assert has_bfloat16(path)


@pytest.mark.parametrize(
    ("held_to", "amx", "vnni", "bfloat16"),
    [
        ("AVX512_CORE_VNNI", False, True, False),
        ("AVX512_CORE_BF16", False, True, True),
        ("avx2_vnni", False, True, False),
        ("avx2", False, False, False),
        ("AVX512_CORE", False, False, False),
        ("AVX512_CORE_AMX", True, True, True),
        ("ALL", True, True, True),
    ],
)
def test_what_onednn_is_held_to_counts(
    held_to: str,
    amx: bool,
    vnni: bool,
    bfloat16: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", held_to)
    path = cpu_info(tmp_path, AMX)
    assert (has_amx(path), has_vnni(path), has_bfloat16(path)) == (amx, vnni, bfloat16)


def test_held_to_vnni_of_another_width_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2_VNNI")
    assert not has_vnni(cpu_info(tmp_path, CASCADE_LAKE))
    assert has_vnni(cpu_info(tmp_path, ALDER_LAKE))


@pytest.mark.parametrize(("there", "width"), [(True, 64), (False, 16)])
def test_groups_are_as_wide_as_it_likes(
    there: bool, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_passes, "has_amx", lambda: there)
    assert graph_passes.group_width() == width
