# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Does on a machine with an NVIDIA GPU all that needs one, in under 8 minutes, into one JSON file.

    .venv/bin/python scripts/gpu_check.py --json gpu.json

Builds the TensorRT plans of a bundle and checks in which precision their layers run, runs them as
CUDA graphs, compares boxes with the CPU's on three simulated scenes, and times every stage. Each
step runs in a process of its own and within a time of its own; what fails is an entry of the
result. The exit code is 0 where all went well, else 1.

Needs requirements/runtime.txt and tensorrt.txt, and TensorRT (JetPack's, or the PyPI package).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> int:
    """Runs the check and returns the exit code."""
    from quantv2x_ros.benchmark.gpu_check import check_gpu
    from quantv2x_ros.benchmark.gpu_steps import GpuCheckSettings
    from quantv2x_ros.environment.resources import find_bundle
    from quantv2x_ros.evaluation.report import write_json

    parser = argparse.ArgumentParser(description="Check all that needs an NVIDIA GPU.")
    parser.add_argument("--json", type=Path, required=True, help="file for the result")
    parser.add_argument("--bundle", default="", help="model bundle; without: the default")
    parser.add_argument(
        "--rounds", type=int, default=30, help="timed runs of each number of agents"
    )
    parser.add_argument(
        "--without-device",
        action="store_true",
        help="build the plans with TensorRT-RTX, which needs no GPU, and leave out the rest",
    )
    options = parser.parse_args()
    try:
        folder = str(find_bundle(options.bundle))
        settings = GpuCheckSettings(folder, os.cpu_count() or 1, options.rounds)
        found = check_gpu(
            settings,
            not options.without_device,
            lambda line: print(line, flush=True),
            lambda result: write_json(options.json, result),
        )
    except ValueError as error:
        print(f"error: {error}.", file=sys.stderr)
        return 1
    print(f"{options.json}: {'all is well' if found['ok'] else ', '.join(found['failed'])}")
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
