# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Markers for RViz: boxes by class with scores, and which agents contributed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from quantv2x_ros.core.geometry.boxes import BOX_EDGES, corners
from quantv2x_ros.nodes.fusion.objects import FusedFrame, box_pose, box_size, moved_pose

#: Red, green, blue by class; grey for others.
CLASS_COLOURS: Mapping[str, tuple[float, float, float]] = {
    "vehicle": (0.20, 0.65, 1.00),
    "pedestrian": (1.00, 0.55, 0.10),
    "truck": (0.45, 0.85, 0.35),
}
_OTHER = (0.7, 0.7, 0.7)
_TRUTH = (1.0, 1.0, 1.0)
_LINK = (0.95, 0.85, 0.25)
#: Length of the axes at a sensor, metres.
_AXIS = 4.0
#: Height of names and scores, metres: legible where the whole crossing is in view.
_TEXT = 1.6

#: Markers vanish by themselves where nothing new arrives for so long, seconds.
_LIFETIME = Duration(sec=1)


@dataclass(frozen=True, eq=False)
class FusedAgent:
    """An agent that took part in a fusion.

    Attributes:
        station_id: id of the agent's station.
        pose: (4, 4) agent-to-ego transform, metres; the ego's frame is that of its map.
        age: age of its sweep against the ego's, seconds.
        footprint: (4, 3) corners of its BEV map in the ego's frame, metres.
    """

    station_id: int
    pose: npt.NDArray[np.float64]
    age: float
    footprint: npt.NDArray[np.float64]


def fusion_markers(frame: FusedFrame, agents: Sequence[FusedAgent]) -> MarkerArray:
    """Return the markers of one fused frame; those of the frame before are deleted.

    Args:
        frame: fused frame with its detections.
        agents: agents that were fused, the ego first.
    """
    markers = [Marker(header=frame.header, action=Marker.DELETEALL)]
    found = frame.detections
    for number, (box, score, label, contributors) in enumerate(
        zip(found.boxes, found.scores, found.labels, frame.contributors, strict=True)
    ):
        name = frame.classes[int(label) - 1]
        colour = CLASS_COLOURS.get(name, _OTHER)
        solid = _marker(frame.header, f"boxes/{name}", number, Marker.CUBE, colour, 0.35)
        solid.pose, solid.scale = box_pose(box), box_size(box)
        stations = ", ".join(str(each.station_id) for each in contributors)
        text = _text(frame.header, f"scores/{name}", number, f"{name} {score:.2f}\n[{stations}]")
        text.pose.position = Point(
            x=float(box[0]), y=float(box[1]), z=float(box[2]) + float(box[5]) / 2 + _TEXT
        )
        markers += [solid, _outline(frame.header, number, box, colour, f"edges/{name}"), text]
    for number, agent in enumerate(agents):
        markers += _agent_markers(frame.header, number, agent)
    if frame.to_frame is not None:
        for marker in markers[1:]:  # what is drawn, after what deletes
            marker.pose = moved_pose(marker.pose, frame.to_frame)
    return MarkerArray(markers=markers)


def truth_markers(
    header: Header, boxes: npt.NDArray[np.float32], labels: Sequence[str]
) -> MarkerArray:
    """Return ground truth as dashed white boxes; those of the frame before are deleted.

    Args:
        header: stamp and frame of the boxes.
        boxes: (N, 7) x, y, z, l, w, h, yaw.
        labels: class name of each box.
    """
    markers = [Marker(header=header, action=Marker.DELETEALL)]
    for number, (box, name) in enumerate(zip(boxes, labels, strict=True)):
        markers.append(_outline(header, number, box, _TRUTH, f"truth/{name}", dashes=6))
    return MarkerArray(markers=markers)


def _agent_markers(header: Header, number: int, agent: FusedAgent) -> list[Marker]:
    """A sphere, axes, a name and the map's outline of an agent, and a line from the ego to it."""
    x, y, z = (float(value) for value in agent.pose[:3, 3])
    sphere = _marker(header, "agents", number, Marker.SPHERE, _LINK, 0.9)
    sphere.pose.position = Point(x=x, y=y, z=z)
    sphere.scale = Vector3(x=1.2, y=1.2, z=1.2)
    name = "ego" if number == 0 else f"{1e3 * agent.age:.0f} ms"
    text = _text(header, "agent_names", number, f"station {agent.station_id} ({name})")
    text.pose.position = Point(x=x, y=y, z=z + 2.5 * _TEXT)  # above the score of its own box
    outline = _marker(header, "footprints", number, Marker.LINE_STRIP, _LINK, 0.5)
    outline.scale.x = 0.15
    outline.points = [_point(corner) for corner in (*agent.footprint, agent.footprint[0])]
    drawn = [sphere, _axes(header, number, agent.pose), text, outline]
    if number:
        line = _marker(header, "links", number, Marker.LINE_LIST, _LINK, 0.8)
        line.scale.x = 0.25
        line.points = [Point(x=0.0, y=0.0, z=0.0), Point(x=x, y=y, z=z)]
        drawn.append(line)
    return drawn


def _axes(header: Header, number: int, pose: npt.NDArray[np.float64]) -> Marker:
    """The sensor's x, y and z axis in red, green and blue, so that its heading can be seen."""
    axes = _marker(header, "poses", number, Marker.LINE_LIST, _LINK, 1.0)
    axes.scale.x = 0.2
    for column in range(3):
        axes.points += [_point(pose[:3, 3]), _point(pose[:3, 3] + _AXIS * pose[:3, column])]
        colour = ColorRGBA(r=0.0, g=0.0, b=0.0, a=1.0)
        setattr(colour, "rgb"[column], 1.0)
        axes.colors += [colour, colour]
    return axes


def _point(place: npt.NDArray[np.float64]) -> Point:
    return Point(x=float(place[0]), y=float(place[1]), z=float(place[2]))


def _outline(
    header: Header,
    number: int,
    box: npt.NDArray[np.float32],
    colour: tuple[float, float, float],
    namespace: str,
    dashes: int = 0,
) -> Marker:
    """The twelve edges of a box, plain or in so many dashes, with a stroke for its heading."""
    line = _marker(header, namespace, number, Marker.LINE_LIST, colour, 1.0)
    line.scale.x = 0.08
    corner = corners(np.asarray(box, dtype=np.float32)[None])[0].astype(np.float64)
    cuts = np.linspace(0.0, 1.0, 2 * dashes) if dashes else np.array([0.0, 1.0])
    ends = np.array([[corner[start], corner[end]] for start, end in BOX_EDGES])
    along = ends[:, :1] + cuts[None, :, None] * (ends[:, 1:] - ends[:, :1])
    points = along.reshape(-1, 3).tolist()
    ahead = np.array([np.cos(box[6]), np.sin(box[6]), 0.0])
    centre = np.asarray(box[:3], dtype=np.float64)
    points += [centre.tolist(), (centre + ahead * (float(box[3]) / 2 + 0.8)).tolist()]
    line.points = [Point(x=x, y=y, z=z) for x, y, z in points]
    return line


def _text(header: Header, namespace: str, number: int, text: str) -> Marker:
    marker = _marker(header, namespace, number, Marker.TEXT_VIEW_FACING, (1.0, 1.0, 1.0), 1.0)
    marker.scale.z = _TEXT
    marker.text = text
    return marker


def _marker(
    header: Header,
    namespace: str,
    number: int,
    kind: int,
    colour: tuple[float, float, float],
    alpha: float,
) -> Marker:
    red, green, blue = colour
    return Marker(
        header=header,
        ns=namespace,
        id=number,
        type=kind,
        action=Marker.ADD,
        pose=Pose(orientation=Quaternion(x=0.0, y=0.0, z=0.0, w=1.0)),
        color=ColorRGBA(r=red, g=green, b=blue, a=alpha),
        lifetime=_LIFETIME,
    )
