# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which requirement file brings a package that a command needs and that may not be installed."""

from __future__ import annotations

#: Module → file in requirements/ that brings it, where that is not runtime.txt.
COMPANIONS = {
    "lightning": "training.txt",
    "onnx": "training.txt",
    "shapely": "training.txt",
    "tensorboard": "training.txt",
    "torch": "training.txt",
    "pycuda": "tensorrt.txt",
}
#: Module → the same for what every installation has that runs.
RUNTIME = dict.fromkeys(
    (
        "cryptography",
        "matplotlib",
        "numba",
        "numpy",
        "openvino",
        "PIL",
        "pointcloud2",
        "pypcd4",
        "reedsolo",
        "rich",
        "rosbags",
        "safetensors",
        "scipy",
        "transforms3d",
        "viser",
        "yaml",
    ),
    "runtime.txt",
)
#: How each file is installed in a checkout, and elsewhere.
_TARGETS = {"runtime.txt": "make build", "training.txt": "make test"}


def explain_missing(error: ImportError) -> str:
    """Say in one sentence what brings a package that could not be imported.

    Args:
        error: what the import raised.

    Returns:
        The sentence; empty for a module that no requirement file of this package brings.
    """
    module = (error.name or "").partition(".")[0]
    file = {**COMPANIONS, **RUNTIME}.get(module)
    if file is None or not isinstance(error, ModuleNotFoundError):
        return ""
    command = f"python -m pip install -r requirements/{file}"
    if module == "onnx":  # on a vehicle TensorRT alone needs it
        command += ", for TensorRT requirements/tensorrt.txt"
    target = _TARGETS.get(file)
    remedy = f"`{target}` brings it in a checkout, elsewhere {command}" if target else command
    return f"the Python package {module} is needed for this and is not installed; {remedy}"
