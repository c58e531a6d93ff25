# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether AMX is there, and may be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantv2x_ros.inference import group_width
from quantv2x_ros.inference.processor import has_amx


@pytest.fixture
def amx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    path = tmp_path / "cpuinfo"
    path.write_text("model name: x\nflags\t\t: avx2 avx512_vnni amx_bf16 amx_tile amx_int8\n")
    return path


def test_it_is_read_off_the_processor(amx: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("flags: avx2 avx512_vnni amx_bf16\n")
    assert has_amx(amx)
    assert not has_amx(other)
    assert not has_amx(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("held_to", "may"),
    [("AVX512_CORE_VNNI", False), ("avx2", False), ("AVX512_CORE_AMX", True), ("ALL", True)],
)
def test_what_onednn_is_held_to_counts(
    held_to: str, may: bool, amx: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", held_to)
    assert has_amx(amx) is may


@pytest.mark.parametrize(("there", "width"), [(True, 64), (False, 16)])
def test_groups_are_as_wide_as_it_likes(
    there: bool, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_width, "has_amx", lambda: there)
    assert group_width.group_width() == width
