# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which backend runs engines, and what one lacks that cannot."""

from __future__ import annotations

import subprocess
import sys

import pytest

from quantv2x_ros.inference.backends import choose_backend
from quantv2x_ros.inference.engine.engine import EngineError


def test_auto_takes_openvino_where_nothing_faster_can_run() -> None:
    assert choose_backend("auto") == "openvino"


def test_a_backend_that_cannot_run_says_what_is_missing() -> None:
    with pytest.raises(EngineError, match=r"tensorrt cannot run.*needs"):
        choose_backend("tensorrt")
    with pytest.raises(EngineError, match="got 'cuda', allowed are auto, openvino, tensorrt"):
        choose_backend("cuda")


def test_a_vehicle_with_tensorrt_needs_no_openvino() -> None:
    program = (
        "import sys; sys.modules['openvino'] = None; import quantv2x_ros.inference.encoder;"
        " import quantv2x_ros.inference.detector; import quantv2x_ros.inference.engine_set"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
