# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo leaves: a picture and an animation, without and with cooperation side by side.

The boxes with cooperation are those that the running fusion node published. The ego's own are
computed afterwards, by the same engines on the same sweeps without the peers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quantv2x_msgs.msg import DetectedObject3DArray
from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.data.recording import frame_stamp
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.evaluation.agent_grids import AgentGrids
from quantv2x_ros.evaluation.detect import DetectionResult, Input, as_scene, frame_input, look
from quantv2x_ros.evaluation.detector import EngineDetector
from quantv2x_ros.evaluation.drawing import PictureArea, PictureContent
from quantv2x_ros.evaluation.pictures import panel_title, save_animation, save_comparison
from quantv2x_ros.nodes.fusion.objects import boxes_from_message

#: Frames of the animation at least, where so many were fused with all agents; less than twice so
#: many at most.
ANIMATION_FRAMES = 40


@dataclass(frozen=True, eq=False)
class Pair:
    """One frame, seen by the ego alone and with its peers."""

    timestamp: str
    alone: PictureContent
    together: PictureContent

    @property
    def gain(self) -> int:
        """Objects found with cooperation beyond those that the ego finds by itself."""
        return int(self.together.found().sum()) - int(self.alone.found().sum())


def detections_of(message: DetectedObject3DArray) -> Detections:
    """Return a fused frame as arrays."""
    return Detections(
        boxes=boxes_from_message(message),
        scores=np.array([item.score for item in message.objects], np.float32),
        labels=np.array([item.class_id for item in message.objects], np.int64),
    )


def pairs(
    scenario: Scenario,
    agents: Sequence[str],
    objects: Mapping[int, DetectedObject3DArray],
    detector: EngineDetector,
    progress: Callable[[int, int], None],
) -> list[Pair]:
    """Compare frames of a run, evenly chosen among those in which all agents were fused.

    Args:
        scenario: what was played.
        agents: who took part, the ego first.
        objects: what was published, by stamp [ns] of the first playing.
        detector: computes what the ego finds alone.
        progress: called with (moments done, moments).
    """
    moments = [
        (timestamp, objects[frame_stamp(number)])
        for number, timestamp in enumerate(scenario.timestamps)
        if frame_stamp(number) in objects
        and len(objects[frame_stamp(number)].contributing_stations) == len(agents)
    ]
    step = max(1, len(moments) // ANIMATION_FRAMES)
    chosen = moments[::step]

    def read(timestamp: str) -> Input:
        frame = AgentGrids(detector.bundle).lay(scenario.frame(timestamp), agents)
        return frame_input(frame, agents)

    result = []
    with ThreadPoolExecutor(max_workers=1) as reader:  # reads on while the engines run
        inputs = reader.map(read, [timestamp for timestamp, _ in chosen])
        for (timestamp, message), given in zip(chosen, inputs, strict=True):
            own = given.alone()
            alone = look(detector, own)
            together = DetectionResult(detections_of(message), {}, {})
            classes = detector.bundle.classes
            result.append(
                Pair(timestamp, as_scene(own, alone, classes), as_scene(given, together, classes))
            )
            progress(len(result), len(chosen))
    return result


def draw(seen: Sequence[Pair], folder: Path, name: str) -> tuple[Path, Path]:
    """Save the picture of the moment with the largest gain, and the animation of all.

    Args:
        seen: at least one moment.
        folder: where to; made where it does not exist.
        name: name of the scene, for the headings.

    Returns:
        The two files.
    """
    best = max(seen, key=lambda pair: pair.gain)
    picture, animation = folder / "cooperation.png", folder / "cooperation.gif"
    save_comparison(picture, best.alone, best.together, heading=f"{name} {best.timestamp}")
    scenes = [scene for pair in seen for scene in (pair.alone, pair.together)]
    save_animation(
        animation,
        (
            [
                (panel_title("ego alone", pair.alone), pair.alone),
                (panel_title("with cooperation", pair.together), pair.together),
            ]
            for pair in seen
        ),
        PictureArea.around(scenes),
        headings=[f"{name} {pair.timestamp}" for pair in seen],
        frames_per_second=5.0,
        processes=os.cpu_count() or 1,
    )
    return picture, animation
