# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The description of the machine that something was measured on."""

from __future__ import annotations

import pytest

from quantv2x_ros.environment.machine import describe_machine


def test_the_machine_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    machine = describe_machine(2, "vnni")
    assert machine["threads"] == 2
    assert machine["instruction_set"].startswith("vnni (held to it; the processor has ")
    assert machine["versions"]["openvino"]
    assert machine["processor"]


def test_an_instruction_set_that_the_environment_holds_to_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert describe_machine(1, "")["instruction_set"].startswith("AVX2 (held to it; ")
    assert describe_machine(1, "vnni")["instruction_set"].startswith("vnni (held to it; ")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    assert "held to it" not in describe_machine(1, "")["instruction_set"]
