# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The measuring process: ``python -m quantv2x_ros.benchmark all|ours|torch_fp32 SETTINGS``.

Writes lines of JSON to its standard output: progress, then the result.
"""

from __future__ import annotations

import json
import sys

from quantv2x_ros.benchmark.settings import BenchmarkSettings


def main(task: str, text: str) -> None:
    """Measure and print."""
    settings = BenchmarkSettings.from_json(text)

    def report(what: str, done: float) -> None:
        print(json.dumps({"what": what, "done": done}), flush=True)

    if task == "all":
        from quantv2x_ros.benchmark.run import measure

        result = measure(settings, report)
    else:
        from quantv2x_ros.benchmark.memory import measure_memory

        result = measure_memory(settings, task)
    print(json.dumps({"result": result}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
