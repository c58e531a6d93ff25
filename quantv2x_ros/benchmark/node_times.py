# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What became of each sweep in running nodes, and the latencies and rates that follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quantv2x_ros.benchmark.samples import Samples
from quantv2x_ros.benchmark.settings import BenchmarkError


@dataclass
class FrameTimes:
    """When the parts of one frame were seen, seconds of the steady clock; None: not at all.

    Attributes:
        sweep: the ego's sweep was played.
        own_indices: the last message with the ego's indices.
        peers_indices: the last message with a peer's.
        objects: the boxes.
        agents: number of agents fused.
    """

    sweep: float | None = None
    own_indices: float | None = None
    peers_indices: float | None = None
    objects: float | None = None
    agents: int = 0

    def end(self, encoder_only: bool) -> float | None:
        """When the frame was through: its boxes were seen, of an encoder alone its indices."""
        return self.own_indices if encoder_only else self.objects


def summarize_frames(
    frames: Mapping[int, FrameTimes], warm_up: float, *, encoder_only: bool = False
) -> dict[str, Any]:
    """Latencies and rates after the warm-up.

    Args:
        frames: by stamp.
        warm_up: not counted, seconds after the first boxes, of an encoder alone indices.
        encoder_only: nothing was fused.

    Returns:
        ``sweeps`` played, ``fused`` of them, ``fused_with_peers``, ``rate_hz`` of the boxes, and
        percentiles of ``cloud_to_indices_ms``, ``inputs_to_objects_ms`` (from the last indices of
        this sweep, own or heard) and ``cloud_to_objects_ms``. Of an encoder alone ``sweeps``,
        ``sent``, ``rate_hz`` of these and ``cloud_to_indices_ms``.

    Raises:
        BenchmarkError: where fewer than two sweeps were fused or sent after the warm-up.
    """
    ends = [end for f in frames.values() if (end := f.end(encoder_only)) is not None]
    start = min(ends, default=0.0) + warm_up
    counted = [f for f in frames.values() if f.sweep is not None and f.sweep >= start]
    times = sorted(end for f in counted if (end := f.end(encoder_only)) is not None)
    done = "sent" if encoder_only else "fused"
    if len(times) < 2:
        raise BenchmarkError(
            f"{len(times)} sweeps were {done} after {warm_up:g} s of warm-up, 2 or more are needed;"
            " measure for longer"
        )
    samples = Samples()
    for frame in counted:
        samples.add(_latencies(frame))
    with_peers = sum(f.agents > 1 for f in counted if f.objects is not None)
    return {
        "sweeps": len(counted),
        done: len(times),
        **({} if encoder_only else {"fused_with_peers": with_peers}),
        "rate_hz": round((len(times) - 1) / (times[-1] - times[0]), 3),
        **samples.summary(),
    }


def _latencies(frame: FrameTimes) -> dict[str, float]:
    """Milliseconds between what was seen of a frame."""
    if frame.sweep is None:
        return {}
    found = {}
    if frame.own_indices is not None:
        found["cloud_to_indices_ms"] = 1e3 * (frame.own_indices - frame.sweep)
    if frame.objects is not None:
        found["cloud_to_objects_ms"] = 1e3 * (frame.objects - frame.sweep)
        # own boxes do not wait for own messages to pass the network
        heard = [t for t in (frame.own_indices, frame.peers_indices) if t is not None]
        if heard:
            found["inputs_to_objects_ms"] = 1e3 * (frame.objects - min(max(heard), frame.objects))
    return found
