# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a manifest says of channels that never fire, and of a network's operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

#: Share of a layer's channels that may never fire; training and doctor warn above it.
MOST_SILENT = 0.1


class HealthError(ValueError):
    """A record of a network's health that contradicts itself."""


@dataclass(frozen=True)
class LayerHealth:
    """The channels of one layer, as far as they end in a ReLU.

    Attributes:
        channels: all that were trained.
        never_fired: those whose ReLU gave 0 in every cell of every frame.
        doubtful: those of them that came near to firing, and so do not count as silent.
        left_out: those that the engines lack: silent ones, and what only such ones read. Others
            stay where neighbours need them: at an engine's border, in a sum, in a group.
    """

    channels: int
    never_fired: int
    doubtful: int
    left_out: int

    def __post_init__(self) -> None:
        """Raise HealthError for numbers that cannot be."""
        parts = 0 <= self.doubtful <= self.never_fired <= self.channels
        if not parts or not 0 <= self.left_out <= self.channels:
            raise HealthError(f"health: a layer says {self}, expected parts of its channels")

    @property
    def share(self) -> float:
        """Share of the channels that never fired."""
        return self.never_fired / max(1, self.channels)


@dataclass(frozen=True)
class Operations:
    """Multiply-accumulates of an engine for one whole map.

    Attributes:
        trained: with all channels.
        computed: without those that are left out.
    """

    trained: int
    computed: int


@dataclass(frozen=True)
class Health:
    """What was seen on the calibration frames.

    Attributes:
        frames: number of frames.
        margin: how far below 0, in parts of a layer's scale, the input of a ReLU must stay for a
            channel not to be doubtful; see docs/quantization.md, "Channels that never fire".
        layers: by engine and tensor, such as ``head/shrink0``.
        operations: by engine: encoder, pyramid (an agent's map) and head (a frame's).
    """

    frames: int
    margin: float
    layers: Mapping[str, LayerHealth]
    operations: Mapping[str, Operations]

    def part(self, engine: str) -> LayerHealth:
        """Sums over the layers of an engine."""
        own = [v for name, v in self.layers.items() if name.startswith(f"{engine}/")]
        names = [f.name for f in fields(LayerHealth)]
        return LayerHealth(**{name: sum(getattr(one, name) for one in own) for name in names})

    def summary(self) -> str:
        """Return one sentence."""
        parts = [self.part(engine) for engine in self.operations]
        left_out, silent = (
            sum(getattr(part, name) for part in parts) for name in ("left_out", "never_fired")
        )
        return (
            f"{silent} of {sum(part.channels for part in parts)} channels never fired on "
            f"{self.frames} frames; {left_out} are left out"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; parse_health inverts it."""
        return asdict(self)


def parse_health(section: Any) -> Health | None:
    """Return what a manifest's section `health` says; None where there is none.

    Raises:
        HealthError: for a section of another form.
    """
    if section is None:
        return None
    try:
        return Health(
            frames=int(section["frames"]),
            margin=float(section["margin"]),
            layers={str(k): LayerHealth(**v) for k, v in section["layers"].items()},
            operations={str(k): Operations(**v) for k, v in section["operations"].items()},
        )
    except HealthError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise HealthError(
            f"health: {error!r}; expected frames, margin, layers and operations as export writes"
            " them"
        ) from error
