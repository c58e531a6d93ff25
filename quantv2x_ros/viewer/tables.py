# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The numbers beside the scene, as Markdown."""

from __future__ import annotations

from quantv2x_ros.viewer.palette import agent_colour, class_colour
from quantv2x_ros.viewer.state import Snapshot


def numbers(view: Snapshot) -> str:
    """Return rate, latency, objects by class, and a line for each agent."""
    if not view.agents:
        return "Waiting for objects …"
    rate = f"{view.rate:.1f}" if view.rate >= 1.0 else f"{view.rate:.2f}"
    parts = [f"**{rate} frames/s**, {sum(view.counts.values())} objects"]
    if view.latency_ms is not None:
        median, high = view.latency_ms
        parts.append(f"Sweep to objects: **{median:.0f} ms** (95 %: {high:.0f} ms)")
    parts.append(_objects(view))
    parts.append(_agents(view))
    if view.dropped:
        lines = "\n".join(f"* {name}: {text}" for name, text in sorted(view.dropped.items()))
        parts.append(f"Dropped\n{lines}")
    return "\n\n".join(parts)


def _objects(view: Snapshot) -> str:
    rows = [
        f"| {_dot(class_colour(n))} {n} | {count} |" for n, count in sorted(view.counts.items())
    ]
    return "\n".join(["| objects | |", "|---|---|", *rows])


def _agents(view: Snapshot) -> str:
    rows = [
        f"| {_dot(agent_colour(place))} {agent.station_id}{' (ego)' if agent.is_ego else ''} "
        f"| {agent.payload_bytes:,} | {8e-3 * agent.payload_bytes * agent.rate:,.0f} "
        f"| {'-' if agent.is_ego or agent.age_ms is None else f'{agent.age_ms:.0f}'} "
        f"| {'yes' if agent.is_fused else 'no'} |"
        for place, agent in enumerate(view.agents)
    ]
    head = ["| station | bytes | kbit/s | age [ms] | fused |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _dot(colour: tuple[int, int, int]) -> str:
    """A coloured dot in Markdown that allows HTML."""
    return f'<span style="color:rgb{colour}">●</span>'
