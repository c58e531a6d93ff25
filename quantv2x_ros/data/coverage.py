# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a dataset has objects of every class, from a look at some of its frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.data.v2x_real import CLASSES


def absent_classes(all_frames: Sequence[tuple[Scenario, str]], frames: int = 100) -> list[str]:
    """Return the classes of which no object is labelled.

    Args:
        all_frames: Scenario and timestamp of every frame.
        frames: Largest number of frames that are read, spread evenly. Reading ends when all
            classes were seen. Damaged labels are passed over: who uses them names them.
    """
    wanted = set(range(1, len(CLASSES) + 1))
    # far apart first: rare classes come in some scenarios and not in others
    spread = np.linspace(0, len(all_frames) - 1, min(frames, len(all_frames))).round().astype(int)
    for index in np.random.default_rng(0).permutation(spread):
        scenario, timestamp = all_frames[int(index)]
        try:
            frame = scenario.frame(timestamp)
        except DatasetError:
            continue
        wanted -= {item.label for agent in frame.agents.values() for item in agent.objects}
        if not wanted:
            break
    return [CLASSES[label - 1] for label in sorted(wanted)]
