# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""bfloat16 is learned with where the device has it, and said where it is emulated."""

from __future__ import annotations

import logging

import pytest
import torch

from quantv2x_ros.training import float_precision
from quantv2x_ros.training.config import TrainingConfig, TrainingConfigError
from quantv2x_ros.training.float_precision import choose_bfloat16, choose_precision


@pytest.fixture(params=[True, False], ids=["native", "emulated"])
def native(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(float_precision, "has_bfloat16", lambda: request.param)
    return bool(request.param)


def test_auto_takes_what_the_processor_has(native: bool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert choose_precision("auto", "cpu") == ("bf16-mixed" if native else "32-true")
        assert choose_bfloat16(None) is native
    assert not caplog.records


def test_what_is_asked_for_is_done_and_emulation_said(
    native: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert choose_precision("32-true", "cpu") == "32-true"
    assert choose_bfloat16(False) is False
    assert not caplog.records
    assert choose_precision("bf16-mixed", "cpu") == "bf16-mixed"
    assert choose_bfloat16(True) is True
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (0 if native else 2)
    assert all("has to emulate" in text and "precision: auto" in text for text in said)


def test_a_gpu_is_asked_itself(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def supported(including_emulation: bool) -> bool:
        asked.append(including_emulation)
        return not native

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert choose_precision("auto", "gpu") == ("32-true" if native else "bf16-mixed")
    assert asked == [False]


def test_a_stage_knows_three_precisions() -> None:
    for precision in ("auto", "32-true", "bf16-mixed"):
        assert TrainingConfig(stage=1, precision=precision).precision == precision
    with pytest.raises(TrainingConfigError, match="auto, 32-true or bf16-mixed, got '16'"):
        TrainingConfig(stage=1, precision="16")
