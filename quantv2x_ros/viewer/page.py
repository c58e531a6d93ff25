# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The page in the browser, served by viser: 3D scene on the left, numbers on the right."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping
from typing import Any

import numpy as np
import viser

from quantv2x_ros.core.geometry.boxes import BOX_EDGES, BOX_FACES, corners
from quantv2x_ros.core.geometry.pose import quaternion_from_matrix
from quantv2x_ros.viewer.palette import agent_colour, class_colour
from quantv2x_ros.viewer.state import AgentSnapshot, Float32, Snapshot


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
        f"| {agent.sweep_bytes:,} | {8e-3 * agent.sweep_bytes * agent.rate:,.0f} "
        f"| {'-' if agent.is_ego or agent.age_ms is None else f'{agent.age_ms:.0f}'} "
        f"| {'yes' if agent.is_fused else 'no'} |"
        for place, agent in enumerate(view.agents)
    ]
    head = ["| station | bytes | kbit/s | age [ms] | fused |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def _dot(colour: tuple[int, int, int]) -> str:
    """A coloured dot in Markdown that allows HTML."""
    return f'<span style="color:rgb{colour}">●</span>'


_BACKGROUND = (11, 15, 23)
_ROAD_GREY = (60, 68, 84)
_EYE, _TARGET = (-38.0, -26.0, 30.0), (14.0, 0.0, 0.0)
_POINT_SIZE = 0.09


class ViewerError(ValueError):
    """An address that the page cannot be served on."""


class _Server(viser.ViserServer):
    """viser without its tunnel to the internet, which any visitor of the page could ask for."""

    def request_share_url(self, verbose: bool = True) -> None:
        """Refuse."""


class Page:
    """Serves the page, and shows one `Snapshot` after another.

    Attributes:
        url: where a browser on this machine finds it.
        is_local: whether only this machine can reach it.
    """

    def __init__(self, host: str, port: int) -> None:
        """Start to serve.

        Args:
            host: address to listen on; 127.0.0.1 is reached from this machine alone.
            port: to listen on; 0 for any free one.

        Raises:
            ViewerError: for an address that is not this machine's, or a port that is taken.
        """
        check_address(host, port)
        self._server = _Server(host=host, port=port, label="quantv2x_ros", verbose=False)
        bound = self._server.get_port()
        self.is_local = ipaddress.ip_address(socket.gethostbyname(host)).is_loopback
        self.url = f"http://{host if self.is_local else socket.gethostname()}:{bound}"
        self._server.gui.configure_theme(
            control_width="medium",
            dark_mode=True,
            show_logo=False,
            show_share_button=False,
        )
        self._server.gui.main_panel.dock_right()
        self._server.scene.set_background_image(np.full((1, 1, 3), _BACKGROUND, np.uint8))
        self._server.initial_camera.position = _EYE
        self._server.initial_camera.look_at = _TARGET
        self._server.initial_camera.up = (0.0, 0.0, 1.0)
        self._grid = self._server.scene.add_grid(
            "/ground",
            width=300.0,
            height=300.0,
            cell_size=10.0,
            section_size=50.0,
            cell_color=_ROAD_GREY,
            section_color=_ROAD_GREY,
            fade_distance=400.0,
            shadow_opacity=0.0,
        )
        self._numbers = self._server.gui.add_markdown("Waiting for objects …")
        self._boxes: dict[str, tuple[Any, Any]] = {}
        self._agents: dict[int, _Agent] = {}

    @property
    def visitors(self) -> int:
        """Browsers that look at the page."""
        return len(self._server.get_clients())

    def show(self, view: Snapshot) -> None:
        """Show a snapshot; whatever is not in it disappears."""
        with self._server.atomic():
            self._show_boxes(view.boxes)
            self._show_agents(view)
            self._grid.position = (0.0, 0.0, view.ground)
            self._numbers.content = numbers(view)

    def close(self) -> None:
        """Stop to serve."""
        self._server.stop()

    def _show_boxes(self, boxes: Mapping[str, Float32]) -> None:
        for name in self._boxes.keys() | boxes.keys():
            found = boxes.get(name)
            if found is None or not len(found):
                for handle in self._boxes.pop(name, ()):
                    handle.remove()
                continue
            corner = corners(np.asarray(found, np.float32)).astype(np.float32)
            edges = corner[:, np.asarray(BOX_EDGES)].reshape(-1, 2, 3)
            vertices = corner.reshape(-1, 3)
            offsets = 8 * np.arange(len(found))[:, None, None]
            faces = (np.asarray(BOX_FACES)[None] + offsets).reshape(-1, 3).astype(np.uint32)
            self._boxes[name] = self._draw_boxes(name, edges, vertices, faces)

    def _draw_boxes(self, name: str, edges: Float32, vertices: Float32, faces: Any) -> Any:
        """Draw a class anew; the same names replace what was there."""
        colour = class_colour(name)
        lines = self._server.scene.add_line_segments(
            f"/objects/{name}/edges", edges, colour, thickness=0.14
        )
        solid = self._server.scene.add_mesh_simple(
            f"/objects/{name}/faces",
            vertices,
            faces,
            color=colour,
            opacity=0.35,
            side="double",
            cast_shadow=False,
            receive_shadow=False,
        )
        return lines, solid

    def _show_agents(self, view: Snapshot) -> None:
        present = {agent.station_id for agent in view.agents}
        for station in self._agents.keys() - present:
            self._agents.pop(station).remove()
        for place, agent in enumerate(view.agents):
            if agent.station_id not in self._agents:
                self._agents[agent.station_id] = _Agent(self._server, agent.station_id)
            self._agents[agent.station_id].show(agent, agent_colour(place))


class _Agent:
    """The drawing of one agent: cloud, sphere, name, map's outline, link to the ego."""

    def __init__(self, server: viser.ViserServer, station: int) -> None:
        self._server = server
        self._root = server.scene.add_frame(f"/agents/{station}", show_axes=False)
        self._parts: dict[str, Any] = {}

    def remove(self) -> None:
        self._root.remove()

    def show(self, agent: AgentSnapshot, colour: tuple[int, int, int]) -> None:
        x, y, z, w = (float(value) for value in quaternion_from_matrix(agent.pose))
        place = tuple(float(value) for value in agent.pose[:3, 3])
        self._show_cloud(agent, colour, (w, x, y, z), place)
        self._draw_icon(agent, colour, place)
        corner = agent.footprint.astype(np.float32)
        outline = np.stack([corner, np.roll(corner, -1, axis=0)], axis=1)
        segments = outline if agent.is_ego else [*outline, np.array([[0, 0, 0], place])]
        thickness = 0.18 if agent.is_fused else 0.05
        self._server.scene.add_line_segments(
            self._name(agent, "outline_and_link"),
            np.asarray(segments, np.float32),
            colour,
            thickness=thickness,
        )

    def _show_cloud(self, agent: AgentSnapshot, colour: Any, wxyz: Any, place: Any) -> None:
        cloud = self._parts.get("cloud")
        if agent.cloud is None or not len(agent.cloud):
            if cloud is not None:
                self._parts.pop("cloud").remove()
            return
        if cloud is None:
            self._parts["cloud"] = self._server.scene.add_point_cloud(
                self._name(agent, "cloud"),
                agent.cloud,
                colour,
                point_size=_POINT_SIZE,
                point_shading="flat",
                wxyz=wxyz,
                position=place,
            )
            return
        cloud.points, cloud.colors = agent.cloud, np.asarray(colour, np.uint8)
        cloud.wxyz, cloud.position = wxyz, place

    def _draw_icon(self, agent: AgentSnapshot, colour: Any, place: Any) -> None:
        known = "heard" if agent.age_ms is None else f"{agent.age_ms:.0f} ms"
        text = f"station {agent.station_id} ({'ego' if agent.is_ego else known})"
        above = (place[0], place[1], place[2] + 2.5)
        if "label" not in self._parts:
            self._parts["sphere"] = self._server.scene.add_icosphere(
                self._name(agent, "sphere"), radius=0.7, color=colour
            )
            self._parts["label"] = self._server.scene.add_label(
                self._name(agent, "label"), text, position=above, anchor="bottom-center"
            )
        self._parts["sphere"].position = place
        self._parts["label"].text, self._parts["label"].position = text, above

    @staticmethod
    def _name(agent: AgentSnapshot, part: str) -> str:
        return f"/agents/{agent.station_id}/{part}"


def check_address(host: str, port: int) -> None:
    """Check that the page can be served there; viser itself would take the next free port.

    Raises:
        ViewerError: naming the address and what the system says of it.
    """
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise ViewerError(
            f"the page cannot be served on {host}:{port} ({reason}); choose an "
            "address of this machine and a free port (viewer's parameters host and port)"
        ) from error
