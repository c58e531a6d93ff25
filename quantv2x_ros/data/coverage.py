# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a dataset has objects of every class, from a look at some of its frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.data.v2x_real import CLASSES


def absent_classes(moments: Sequence[tuple[Scenario, str]], frames: int = 100) -> list[str]:
    """Return the classes of which no object is labelled.

    Args:
        moments: Scenario and timestamp of every frame.
        frames: Most frames that are read, spread evenly. Reading ends when all classes were seen;
            damaged labels are passed over, whoever uses them will name them.
    """
    wanted = set(range(1, len(CLASSES) + 1))
    # far apart first: rare classes come in some scenarios and not in others
    spread = np.linspace(0, len(moments) - 1, min(frames, len(moments))).round().astype(int)
    for index in np.random.default_rng(0).permutation(spread):
        scenario, timestamp = moments[int(index)]
        try:
            frame = scenario.frame(timestamp)
        except DatasetError:
            continue
        wanted -= {item.label for agent in frame.agents.values() for item in agent.objects}
        if not wanted:
            break
    return [CLASSES[label - 1] for label in sorted(wanted)]
