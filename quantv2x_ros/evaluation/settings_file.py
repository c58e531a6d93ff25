# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The settings of an evaluation as a YAML file, made from the dataclasses that hold them.

``python -m quantv2x_ros.evaluation.settings_file config/evaluation.yaml`` writes the file with all
defaults and what they mean.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import sys
import textwrap
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from quantv2x_ros.core.channel.channel_model import ChannelError, ChannelSettings
from quantv2x_ros.core.placement.cloud_placement import placement_of
from quantv2x_ros.core.receiver_settings import ReceiverSettings
from quantv2x_ros.core.transport.sweep_sender import SendSettings
from quantv2x_ros.core.transport.tiles import TileSettings
from quantv2x_ros.environment.typed_yaml import TypedYamlError, build, read_mapping
from quantv2x_ros.evaluation.settings import (
    EvaluationConfig,
    EvaluationSettingError,
    Link,
    Sending,
)


def read_channel(path: Path) -> ChannelSettings:
    """Read the settings of a channel.

    Args:
        path: YAML file with the ROS parameters of one node, such as `config/channel.yaml`, or
            with the settings alone.

    Raises:
        EvaluationSettingError: For a file that holds something else.
    """
    try:
        settings, of_node = _parameters(read_mapping(path))
        if of_node:  # which has further parameters; but a slip of the pen must not go unseen
            names = [item.name for item in dataclasses.fields(ChannelSettings)]
            settings = {
                name: value
                for name, value in settings.items()
                if get_close_matches(name, names, n=1, cutoff=0.8)
            }
        return build(ChannelSettings, settings)
    except (TypedYamlError, ChannelError) as error:
        known = str(path) in str(error)
        raise EvaluationSettingError(str(error) if known else f"{path}: {error}") from error


def _parameters(content: Any) -> tuple[Any, bool]:
    """Return what is below `ros__parameters` where there is that, and whether there is."""
    if isinstance(content, dict) and len(content) == 1:
        (node,) = content.values()
        if isinstance(node, dict) and "ros__parameters" in node:
            return node["ros__parameters"], True
    return content, False


_HEAD = """\
# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# Settings of `quantv2x_ros evaluate --config FILE`; these are the defaults, and a file needs only
# what it changes. One value alone: `--set link.loss=0.1`.
#
# Without a file the receiver does what the fusion node does without parameters, and agents send
# what the encoder node sends.
"""


@dataclass(frozen=True)
class Measure:
    """What is measured beside average precision.

    Attributes:
        score_threshold: Boxes with lower scores are not ranked; 0.2 is the published.
        streaming_ms: Latencies of streaming AP, from a sweep to its boxes, milliseconds.
        streaming_measured: Whether streaming AP is measured with the latency of this machine, too.
        tracking: Whether it is measured how objects are followed (MOTA, id switches).
        worst: Pictures of the worst frames in a report.
    """

    score_threshold: float = 0.2
    streaming_ms: tuple[float, ...] = ()
    streaming_measured: bool = False
    tracking: bool = False
    worst: int = 4

    def __post_init__(self) -> None:
        """Raise EvaluationSettingError for values out of range."""
        for latency in self.streaming_ms:
            if not 0.0 <= latency < math.inf:
                raise EvaluationSettingError(
                    f"measure.streaming_ms: got {latency}, expected milliseconds from 0 on"
                )
        if self.worst < 0:
            raise EvaluationSettingError(f"measure.worst: got {self.worst}, expected 0 or more")

    @property
    def latencies_ms(self) -> tuple[float | None, ...]:
        """All latencies of streaming AP; `None` is the measured one."""
        return (*((None,) if self.streaming_measured else ()), *self.streaming_ms)


@dataclass(frozen=True)
class Clouds:
    """The frame and the unit that the clouds come in.

    Attributes:
        mount: Pose of the LiDAR's frame (x forward, y left, z up) in that of the clouds: x, y, z in
            metres, roll, pitch, yaw in degrees. Poses are then of the clouds' frame.
        scale: Metres in a unit of the clouds: 0.001 for millimetres.
    """

    mount: tuple[float, float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    scale: float = 1.0


#: Section of the file, and the dataclasses whose plain fields it has; the first has no name.
_SECTIONS: dict[str, tuple[type, ...]] = {
    "": (EvaluationConfig,),
    "sending": (Sending, SendSettings, TileSettings),
    "link": (Link,),
    "channel": (ChannelSettings,),
    "receiver": (ReceiverSettings,),
    "clouds": (Clouds,),
    "measure": (Measure,),
}
#: What the sections hold of each other, and what only messages have.
_NESTED = (
    "settings",
    "tiles",
    "sending",
    "channel",
    "link",
    "receiver",
    "placement",
    "clock_tolerance",
    "max_position_sigma",
    "max_heading_sigma",
)


def _plain_fields(kind: type) -> list[tuple[str, Any, Any]]:
    """Return name, type and default of a dataclass's fields that hold no other one."""
    hints = typing.get_type_hints(kind)
    return [
        (item.name, hints[item.name], item.default)
        for item in dataclasses.fields(kind)
        if item.name not in _NESTED
    ]


def _section(name: str) -> type:
    """Return a dataclass with all plain fields of a section."""
    parts = [
        (name, hint, field(default=default))
        for kind in _SECTIONS[name]
        for name, hint, default in _plain_fields(kind)
    ]
    return dataclasses.make_dataclass(f"Section_{name}", parts, frozen=True)


def read_settings(
    path: Path | None, changes: Sequence[str] = ()
) -> tuple[EvaluationConfig, Measure]:
    """Read the settings of an evaluation.

    Args:
        path: A YAML file such as config/evaluation.yaml; `None` for the defaults.
        changes: Texts such as ``link.loss=0.1`` that come after the file.

    Raises:
        EvaluationSettingError: Naming the key, its value and what is allowed.
        OSError: The file cannot be read.
    """
    try:
        values = {} if path is None else read_mapping(path)
        for text in changes:
            _apply(values, text)
        return _settings(values)
    except TypedYamlError as error:
        raise EvaluationSettingError(str(error)) from error
    except EvaluationSettingError as error:
        raise EvaluationSettingError(f"{path}: {error}" if path else str(error)) from error


def _apply(values: dict[str, Any], text: str) -> None:
    """Put a change such as ``link.loss=0.1`` into the values of a file."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise EvaluationSettingError(
            f"set: got {text!r}, expected a key and a value: link.loss=0.1"
        )
    *sections, name = key.strip().split(".")
    place = values
    for section in sections:
        place = place.setdefault(section, {})
        if not isinstance(place, dict):
            raise EvaluationSettingError(f"set {text!r}: {section} is {place!r} and no section")
    try:
        place[name] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise EvaluationSettingError(f"set {text!r}: {value!r} is not YAML") from error


def _settings(values: Mapping[str, Any]) -> tuple[EvaluationConfig, Measure]:
    plain = {name: value for name, value in values.items() if name not in _SECTIONS}
    known = [name for name, _, _ in _plain_fields(EvaluationConfig)]
    unknown = sorted(map(str, plain.keys() - set(known)))
    if unknown:
        raise EvaluationSettingError(
            f"unknown key {', '.join(unknown)}; allowed are {', '.join(known)} and the sections "
            f"{', '.join(name for name in _SECTIONS if name)}"
        )
    parts: dict[str, Any] = {
        name: build(_section(name), plain if not name else _given(values, name), _dotted(name))
        for name in _SECTIONS
        if name != "channel"
    }
    sending = parts["sending"]
    tiles = _pick(TileSettings, sending)
    how = _pick(SendSettings, sending, tiles=tiles)
    link = _pick(
        Link,
        parts["link"],
        sending=_pick(Sending, sending, settings=how),
        channel=_channel(values.get("channel")),
    )
    clouds = _pick(Clouds, parts["clouds"])
    config = _pick(
        EvaluationConfig,
        parts[""],
        link=link,
        receiver=_pick(ReceiverSettings, parts["receiver"]),
        placement=placement_of(list(clouds.mount), clouds.scale),
    )
    return config, _pick(Measure, parts["measure"])


def _given(values: Mapping[str, Any], section: str) -> Any:
    """Return what a file has of a section; nothing where it has no value."""
    value = values.get(section)
    return {} if value is None else value


def _channel(value: Any) -> ChannelSettings | None:
    """Return the channel of a section, or of the parameter file that is named; `None` for none."""
    if value is None:
        return None
    if isinstance(value, str):
        return read_channel(Path(value))
    return build(ChannelSettings, value, "channel.")


def _pick(kind: Any, section: Any, **nested: Any) -> Any:
    """Make a dataclass of the fields that a section has of it."""
    values = {name: getattr(section, name) for name, _, _ in _plain_fields(kind)}
    return kind(**values, **nested)


def _dotted(section: str) -> str:
    return f"{section}." if section else ""


def document() -> str:
    """Return the file with all defaults, each with what its dataclass says of it."""
    parts = [_HEAD]
    for section, kinds in _SECTIONS.items():
        indent = "  " if section else ""
        if section == "channel":
            parts.append(
                "\n# The air that all agents share, in place of link.loss: a section, or a"
            )
            parts.append("# parameter file of the node `channel`. Left away: none.\n#channel:")
            indent = "#  "
        elif section:
            parts.append(f"\n{section}:")
        for kind in kinds:
            meanings = _meanings(kind)
            for name, _, default in _plain_fields(kind):
                parts += [f"{indent}# {line}" for line in _wrapped(meanings[name])]
                parts.append(f"{indent}{name}: {_as_yaml(default)}")
    return "\n".join(parts) + "\n"


def _meanings(kind: type) -> dict[str, str]:
    """Return what the docstring of a dataclass says of its attributes."""
    text = inspect.getdoc(kind) or ""
    _, _, attributes = text.partition("Attributes:\n")
    found = re.findall(r"^    (\w+(?:, \w+)*): (.*(?:\n      .*)*)", attributes, re.MULTILINE)
    return {
        name: re.sub(r"\s*\n\s*", " ", meaning)
        for names, meaning in found
        for name in names.split(", ")
    }


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text[:1].upper() + text[1:], 92)


def _as_yaml(value: Any) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, default_flow_style=True).removesuffix("\n").removesuffix("\n...")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
