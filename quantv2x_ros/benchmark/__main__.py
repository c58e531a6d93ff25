# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The measuring process: ``python -m quantv2x_ros.benchmark all|ours|torch_fp32 SETTINGS``.

Writes lines of JSON to its standard output: progress, then the result, or the error in words.
"""

from __future__ import annotations

import json
import sys

from quantv2x_ros.benchmark.settings import BenchmarkSettings
from quantv2x_ros.environment.errors import in_words


def main(task: str, text: str) -> int:
    """Measure and print; return the exit code."""
    try:
        _measure(task, text)
    except Exception as error:
        words = in_words(error)
        if not words:
            raise
        print(json.dumps({"error": words}), flush=True)
        return 1
    return 0


def _measure(task: str, text: str) -> None:
    settings = BenchmarkSettings.from_json(text)

    def report(what: str, done: float) -> None:
        print(json.dumps({"what": what, "done": done}), flush=True)

    if task == "all":
        from quantv2x_ros.benchmark.run import measure

        result = measure(settings, report)
    else:
        from quantv2x_ros.benchmark.processes import measure_memory

        result = measure_memory(settings, task)
    print(json.dumps({"result": result}), flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
