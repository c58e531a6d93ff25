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
Backend = Annotated[str, typer.Option(help="Engine: auto, openvino or tensorrt.")]
Threads = Annotated[int, typer.Option(min=0, help="Number of CPU threads; 0: one for each core.")]
AgentNames = Annotated[
    str, typer.Option(help="Agents: all, a number, or names separated by commas, the ego first.")
]
Level = Annotated[bool, typer.Option(help="Agents level their clouds by their own ground planes.")]
CloudMount = Annotated[
    str,
    typer.Option(
        help="Pose of the LiDAR's frame (x forward, y left, z up) in the clouds' frame, where they"
        " differ: x,y,z in metres, roll,pitch,yaw in degrees. For clouds in base_link:"
        " --cloud-mount=0,0,1.9,0,0,0. Poses are then those of the clouds' frame."
    ),
]
CloudScale = Annotated[
    float, typer.Option(help="Metres in one unit of the clouds: 0.001 for millimetres.")
]
ResultFile = Annotated[Path, typer.Option(help="JSON file to write the result to.")]

# Of those that make a bundle of a trained network.
Checkpoint = Annotated[
    Path, typer.Option(help="Trained network: a stage's network.safetensors, or published weights.")
]
Stage = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="YAML of the network's stage, for weights that do not say their architecture, such as"
        " published ones: config/training/published/stage3.yaml.",
    ),
]
BundleFolder = Annotated[Path, typer.Option(help="Folder of the bundle, such as engines/NAME.")]
BundleName = Annotated[str, typer.Option(help="Name of the bundle; empty: its folder's.")]
BundleVersion = Annotated[str, typer.Option(help="Version of the bundle.")]
MaxAgents = Annotated[
    int, typer.Option(min=1, help="Largest number of agents that the bundle fuses.")
]
CodedEgo = Annotated[
    bool | None,
    typer.Option(
        "--coded-ego/--uncoded-ego",
        help="Whether the ego's own feature, which is never sent, is coded like its peers'; by"
        " default as the network was trained. Changing it needs no training.",
    ),
]
KeepDeadChannels = Annotated[
    bool,
    typer.Option(
        "--keep-dead-channels",
        help="Keep channels that never fire on the calibration frames, instead of leaving them out"
        " of the engines.",
    ),
]
ClassAware = Annotated[bool, typer.Option(help="Boxes suppress only boxes of their own class.")]
Note = Annotated[
    str, typer.Option(help="Note for the manifest: what the network was trained with.")
]
