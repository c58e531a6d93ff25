# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether convolutions are learned in bfloat16 or in FP32: by what the device multiplies.

A processor without bfloat16 emulates it, several times slower than it computes in FP32.
"""

from __future__ import annotations

import logging

import torch

from quantv2x_ros.inference.cpu.processor import has_bfloat16, int8_kind

_LOGGER = logging.getLogger(__name__)

#: `auto` takes one of Lightning's own, which follow.
FULL, MIXED = "32-true", "bf16-mixed"
PRECISIONS = ("auto", FULL, MIXED)


def _is_native(accelerator: str) -> bool:
    on_gpu = accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available())
    if on_gpu:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return has_bfloat16()


def choose_precision(precision: str, accelerator: str) -> str:
    """Return Lightning's precision; bfloat16 where it is emulated is logged.

    Args:
        precision: one of `PRECISIONS`.
        accelerator: that is trained on, as Lightning names it.
    """
    native = _is_native(accelerator)
    if precision == "auto":
        return MIXED if native else FULL
    if precision == MIXED and not native:
        _LOGGER.warning(
            "precision is %s, which this device (%s) has to emulate, several times slower than "
            "FP32; precision: auto takes what it has",
            precision,
            int8_kind() if accelerator in ("auto", "cpu") else accelerator,
        )
    return precision


def choose_bfloat16(asked: bool | None) -> bool:
    """Return whether convolutions on this processor run in bfloat16.

    Args:
        asked: None for whether the processor has it.
    """
    if asked is None:
        return choose_precision("auto", "cpu") == MIXED
    return choose_precision(MIXED if asked else FULL, "cpu") == MIXED
