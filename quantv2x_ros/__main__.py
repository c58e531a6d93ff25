# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs the command line: `python -m quantv2x_ros COMMAND`."""

from quantv2x_ros.cli import main

if __name__ == "__main__":
    main()
