# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Agents' boxes on their way to the ego: messages, and what was heard last of each peer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.channel.cpm import MOST_OBJECTS, affordable_objects
from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.fusion.late_fusion import carried
from quantv2x_ros.core.geometry.pose import invert
from quantv2x_ros.evaluation.frame_state import FrameState


@dataclass(frozen=True, eq=False)
class BoxMessage:
    """A message with some of the boxes of an agent's sweep.

    Attributes:
        sender: Name of the agent.
        stamp_ns: Time of its sweep, nanoseconds.
        detections: Boxes in its frame.
        velocities: (N, 2) theirs over ground, in the axes of its frame, m/s.
        pose: (4, 4) from its frame to the map, as it believes it to be.
    """

    sender: str
    stamp_ns: int
    detections: Detections
    velocities: npt.NDArray[np.float64]
    pose: npt.NDArray[np.float64]


class BoxLink:
    """Makes messages of what agents find alone, and keeps what was heard last."""

    def __init__(self) -> None:
        """Have heard nothing yet."""
        self._heard: dict[str, list[BoxMessage]] = {}

    def messages(
        self,
        state: FrameState,
        name: str,
        budget: int | None,
        pose: npt.NDArray[np.float64],
    ) -> list[BoxMessage]:
        """Return the messages in which an agent sends the boxes of a sweep.

        Args:
            state: What the agents see.
            name: The agent.
            budget: See `sent_boxes`.
            pose: (4, 4) of its frame in the map, as it believes it to be.
        """
        found, velocities = sent_boxes(state, name, budget), state.own_view(name).tracked.velocities
        messages = []
        for first in range(0, max(len(found), 1), MOST_OBJECTS):
            which = np.arange(len(found))[first : first + MOST_OBJECTS]
            content = (found.select(which), velocities[which], pose)
            messages.append(BoxMessage(name, state.stamp_ns, *content))
        return messages

    def hear(self, message: BoxMessage) -> None:
        """Take a message that has come; of each peer the newest sweep's are kept."""
        known = self._heard.get(message.sender, [])
        if not known or message.stamp_ns > known[0].stamp_ns:
            self._heard[message.sender] = [message]
        elif message.stamp_ns == known[0].stamp_ns:
            known.append(message)

    def heard(self, state: FrameState, longest: float) -> dict[str, Detections]:
        """Return the newest boxes of each peer, in the ego's frame and at its time.

        Args:
            state: The ego's sweep.
            longest: Older ones are not used, seconds.
        """
        oldest = state.stamp_ns - round(1e9 * longest)
        to_ego = invert(state.sent[state.ego].pose)
        found = {}
        for sender, messages in self._heard.items():
            if messages[0].stamp_ns < oldest:
                continue
            age = (state.stamp_ns - messages[0].stamp_ns) / 1e9
            found[sender] = joined(
                [carried(m.detections, m.velocities, m.pose, to_ego, age) for m in messages]
            )
        return found


def sent_boxes(state: FrameState, name: str, budget: int | None) -> Detections:
    """Return the boxes that an agent sends, in its own frame: the best ones that a budget holds.

    Args:
        state: What the agents see.
        name: The agent.
        budget: Bytes of all messages; `None` for any number.
    """
    found = state.fuse_alone(name).detections
    if budget is None:
        return found
    return found.select(np.arange(min(len(found), affordable_objects(budget))))


def joined(parts: list[Detections]) -> Detections:
    """Return several lists of boxes as one."""
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )
