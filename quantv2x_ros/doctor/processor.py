# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Examines what the processor multiplies, and what a bundle's layers do on it."""

from __future__ import annotations

from quantv2x_ros.core.weight_grid import WEIGHT_LIMITS
from quantv2x_ros.doctor.findings import ERROR, OK, WARNING, Finding
from quantv2x_ros.environment.resources import find_bundle
from quantv2x_ros.inference.cpu.processor import exact_weights, has_bfloat16, held_to, int8_kind

#: Greatest magnitude of the weights of bundles that state none.
_OLDER = 127


def processor(bundle: str = "") -> list[Finding]:
    """Examine the processor: INT8, measured; a bundle's layers; bfloat16.

    Args:
        bundle: folder or name of the model bundle; empty for the default one.
    """
    from quantv2x_ros.inference.backends import available_backends

    if available_backends()["openvino"]:
        return [bfloat16()]
    return [int8(), *layers(bundle), bfloat16()]


def int8() -> Finding:
    """Examine whether INT8 is multiplied exactly, by a convolution with large numbers."""
    from quantv2x_ros.inference.cpu.exactness import share_of_wrong_sums

    grid = WEIGHT_LIMITS[8]
    try:
        wrong, wrong_older = share_of_wrong_sums(grid), share_of_wrong_sums(_OLDER)
    except RuntimeError as error:
        remedy = "install the version of openvino that requirements/runtime.txt names"
        return Finding(ERROR, "INT8", f"OpenVINO does not run a convolution ({error})", remedy)
    held = f", held to {held_to()} by ONEDNN_MAX_CPU_ISA" if held_to() else ""
    kind = f"{int8_kind()}{held}"
    if wrong or (wrong_older and exact_weights() >= _OLDER):
        text = (
            f"{kind}: {wrong:.1%} of a convolution's sums are wrong with weights to ±{grid}, "
            f"{wrong_older:.1%} with weights to ±{_OLDER}"
        )
        remedy = "use a bundle in FP32 (`export --precision fp32`), and report this processor"
        return Finding(ERROR, "INT8", text, remedy)
    if wrong_older:
        older = f"to ±{_OLDER} {wrong_older:.1%} of sums are wrong, so that such layers run in FP32"
    else:
        older = f"and to ±{_OLDER}"
    return Finding(OK, "INT8", f"{kind}: exact with weights to ±{grid}, {older}")


def layers(bundle: str) -> list[Finding]:
    """Examine in which precision a bundle's layers run; nothing of a bundle that cannot be read."""
    import openvino

    from quantv2x_ros.inference.cpu.wide_weights import weights_by_layer
    from quantv2x_ros.inference.model.bundle import ModelBundle

    try:
        loaded = ModelBundle.load(find_bundle(bundle))
    except (ValueError, OSError):
        return []  # `model` says why
    if loaded.precision != "int8":
        return [Finding(OK, "layers", f"{loaded.name} computes in FP32")]
    widest = [
        weight
        for engine in ("encoder", "pyramid", "head")
        for weight in weights_by_layer(
            openvino.Core().read_model(loaded.engine_path(engine))
        ).values()
    ]
    slow = sum(weight > exact_weights() for weight in widest)
    text = f"{len(widest)} of {loaded.name} have INT8 weights, to ±{max(widest, default=0)}"
    if slow:
        return [
            Finding(
                WARNING,
                "layers",
                f"{text}: {slow} of them run in FP32 on this processor, and slower",
                "export the bundle anew with this version: its weights stay within "
                f"±{WEIGHT_LIMITS[8]}",
            )
        ]
    return [Finding(OK, "layers", f"{text}: all run in INT8, exactly")]


def bfloat16() -> Finding:
    """Tell whether training takes bfloat16."""
    if has_bfloat16():
        return Finding(OK, "bfloat16", "the processor has it: training and quantization take it")
    return Finding(OK, "bfloat16", "emulated here: training and quantization take FP32")
