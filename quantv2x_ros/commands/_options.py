# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have in the same words; defaults stand at the command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Bundle = Annotated[
    str, typer.Option(help="Model bundle: a folder or a name in engines/; empty: the default.")
]
Backend = Annotated[str, typer.Option(help="auto, openvino or tensorrt.")]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0: one a core.")]
ResultFile = Annotated[Path, typer.Option(help="File to write the result to.")]
