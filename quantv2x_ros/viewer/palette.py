# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Colours of agents and classes, the same as in RViz."""

from __future__ import annotations

from collections.abc import Mapping

Colour = tuple[int, int, int]

#: By class; see nodes.fusion.markers.
CLASS_COLOURS: Mapping[str, Colour] = {
    "vehicle": (51, 166, 255),
    "pedestrian": (255, 140, 26),
    "truck": (115, 217, 89),
}
_OTHER = (178, 178, 178)
#: The ego's first, as in rviz/cooperative.rviz; from the sixth agent on they repeat.
AGENT_COLOURS: tuple[Colour, ...] = (
    (110, 168, 255),
    (255, 162, 77),
    (126, 224, 138),
    (201, 150, 255),
    (255, 143, 176),
)


def class_colour(name: str) -> Colour:
    """Return red, green and blue (0 to 255) of a class."""
    return CLASS_COLOURS.get(name, _OTHER)


def agent_colour(place: int) -> Colour:
    """Return red, green and blue (0 to 255) of the n-th agent, the ego being 0."""
    return AGENT_COLOURS[place % len(AGENT_COLOURS)]
