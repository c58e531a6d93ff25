# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A scenario in which agents send boxes beside features, and the ego fuses both."""

from __future__ import annotations

from dataclasses import replace

from quantv2x_ros.core.channel.cpm import cpm_sizes
from quantv2x_ros.core.fusion.late_fusion import late_fusion
from quantv2x_ros.core.placement.levelling import in_sensor_frame
from quantv2x_ros.core.transport.sweep import AgentSweep
from quantv2x_ros.evaluation.box_link import BoxLink, BoxMessage, sent_boxes
from quantv2x_ros.evaluation.frame_state import FrameState
from quantv2x_ros.evaluation.playback import Arriving, EgoView, Playback, draw_peers
from quantv2x_ros.evaluation.senders import Senders
from quantv2x_ros.evaluation.settings import Sending
from quantv2x_ros.inference.receiver import Receiver


class HybridPlayback(Playback):
    """Plays one scenario to an ego that fuses features, and what those gave with the peers' boxes.

    Boxes go first, in collective perception messages; features have what is left of the budget.
    What the fused features gave is one more list of boxes for `late_fusion`.
    """

    def reset(self) -> None:
        """Begin anew, as a node that is started: frames were left out."""
        super().reset()
        self._boxes = BoxLink()

    def play(self, state: FrameState, detect: bool = True) -> EgoView | None:
        """Let a frame go by; see `Playback.play`."""
        view = super().play(state, detect)
        if view is None:
            return None
        level = state.sent[state.ego].level
        peers = self._boxes.heard(state, self._config.receiver.peer_timeout)
        boxes = [in_sensor_frame(heard, level) for heard in peers.values()]
        found = late_fusion([view.detections, *boxes], self._bundle.detection)
        return replace(view, detections=found)

    def _send(self, state: FrameState) -> None:
        """Put what is sent in a frame on the air, boxes first."""
        link = self._config.link
        start = state.stamp_ns / 1e9 + link.latency_ms / 1e3
        draws, poses = draw_peers(state, link, self._scenario)
        for name, arrivals in self._air.carry(state, draws).items():
            found = sent_boxes(state, name, link.sending.budget)
            taken = sum(cpm_sizes(len(found)))
            messages = self._boxes.messages(state, name, found, poses[name])
            tiles = self._senders.tiles(state, name, link.sending, taken)
            items: list[Arriving] = [*messages]
            items += [replace(tile, pose=poses[name]) for tile in tiles]
            for number, after in arrivals.items():
                self._put_on_the_way(start + after, items[number])

    def _sizes(self, state: FrameState, name: str) -> list[int]:
        return hybrid_sizes(state, name, self._config.link.sending, self._senders)

    def _take(self, receiver: Receiver, item: Arriving, now: float) -> list[AgentSweep]:
        if isinstance(item, BoxMessage):
            self._boxes.hear(item)
            return []
        return super()._take(receiver, item, now)


def hybrid_sizes(state: FrameState, name: str, sending: Sending, senders: Senders) -> list[int]:
    """Return the sizes of the messages with boxes, then of the packets with features, bytes."""
    boxes = cpm_sizes(len(sent_boxes(state, name, sending.budget)))
    return [*boxes, *senders.send(state.sent[name], sending, sum(boxes)).packet_sizes]
