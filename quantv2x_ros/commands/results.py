# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`results`: writes the page of results from the JSON of the measuring commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    folder: Annotated[
        Path, typer.Argument(help="Folder with the JSON files and index.yaml: docs/results.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Markdown file to write; by default the folder's name with .md behind."),
    ] = None,
) -> None:
    """Write the page of results from the JSON that the measuring commands wrote."""
    from quantv2x_ros.results.page import render_page

    target = out or folder.resolve().with_name(f"{folder.resolve().name}.md")
    target.write_text(render_page(folder), encoding="utf-8")
    print(f"{target}: written")
