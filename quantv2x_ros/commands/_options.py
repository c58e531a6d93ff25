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
AgentNames = Annotated[
    str, typer.Option(help="all, a number, or names with commas between, the ego first.")
]
Level = Annotated[bool, typer.Option(help="Agents level their clouds by their own ground planes.")]
CloudMount = Annotated[
    str,
    typer.Option(
        help="Where the LiDAR's frame (x forward, y left, z up) is in that of the clouds, if they"
        " are in another one: x,y,z in metres, roll,pitch,yaw in degrees, for base_link"
        " --cloud-mount=0,0,1.9,0,0,0. Poses are then of the clouds' frame."
    ),
]
CloudScale = Annotated[
    float, typer.Option(help="Metres in a unit of the clouds: 0.001 for millimetres.")
]
ResultFile = Annotated[Path, typer.Option(help="File to write the result to.")]

# Of those that make a bundle of a trained network.
Checkpoint = Annotated[Path, typer.Option(help="Trained network (.safetensors).")]
BundleFolder = Annotated[Path, typer.Option(help="Folder of the bundle, such as engines/NAME.")]
BundleName = Annotated[str, typer.Option(help="Name of the bundle; empty: its folder's.")]
BundleVersion = Annotated[str, typer.Option(help="Version of the bundle.")]
MaxAgents = Annotated[int, typer.Option(min=1, help="Most agents the bundle fuses.")]
CodedEgo = Annotated[
    bool | None,
    typer.Option(
        "--coded-ego/--uncoded-ego",
        help="Whether the ego's own feature, which is never sent, is coded as its peers'; else as"
        " the network was trained. No training is needed to change it.",
    ),
]
ClassAware = Annotated[bool, typer.Option(help="Boxes suppress only boxes of their own class.")]
Note = Annotated[str, typer.Option(help="What it was trained with, for the manifest.")]
