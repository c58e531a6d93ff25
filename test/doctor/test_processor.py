# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`doctor` tells what the processor multiplies exactly, and what a bundle's layers do on it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from quantv2x_ros.doctor import machine as processor
from quantv2x_ros.doctor.findings import ERROR, OK, WARNING
from quantv2x_ros.inference.cpu import exactness

PROGRAM = """
import sys
from quantv2x_ros.doctor.findings import Finding
from quantv2x_ros.doctor.machine import processor
for finding in processor(sys.argv[1]):
    print(finding.level, finding.subject, finding.text)
"""


def held_to(isa: str, bundle: Path, repository: Path) -> list[str]:
    """What is found with oneDNN held to an instruction set."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(bundle)],
        cwd=repository,
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": isa},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_a_processor_without_vnni_is_named_and_its_limit_measured(
    bundle_folder: Path, repository: Path
) -> None:
    int8, layers, bfloat16 = held_to("AVX2", bundle_folder, repository)
    assert int8.startswith("ok INT8 AVX2 without VNNI")
    wrong = re.search(r"exact with weights to ±63, to ±127 ([\d.]+)% of sums are wrong", int8)
    assert wrong is not None
    assert float(wrong[1]) > 50
    assert re.match(r"ok layers \d+ of \S+ have INT8 weights, to ±63: all run in INT8", layers)
    assert bfloat16 == "ok bfloat16 emulated here: training and quantization take FP32"


def test_a_bundle_with_wider_weights_than_the_processor_is_a_warning(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "exact_weights", lambda: 20)
    (found,) = processor.layers(str(bundle_folder))
    assert found.level == WARNING
    assert re.search(r"\d+ of \S+ have INT8 weights, to ±63: \d+ of them run in FP32", found.text)
    assert "export the bundle anew" in found.remedy


@pytest.mark.parametrize("wrong_at", [0, 100])
def test_a_processor_that_is_worse_than_it_says_is_an_error(
    wrong_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "exact_weights", lambda: 128)
    monkeypatch.setattr(
        exactness, "share_of_wrong_sums", lambda weights: 0.25 if weights > wrong_at else 0.0
    )
    found = processor.int8()
    assert found.level == ERROR
    assert "25.0%" in found.text
    assert "fp32" in found.remedy


def test_a_bundle_that_cannot_be_read_is_left_to_others() -> None:
    assert processor.layers("/no/such/bundle") == []
    assert processor.bfloat16().level == OK
