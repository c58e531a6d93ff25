# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Shapes that an engine is built for, with a free number of agents."""

from __future__ import annotations

from dataclasses import dataclass

from quantv2x_ros.inference.engine.engine import EngineError, Shapes


@dataclass(frozen=True)
class Profile:
    """Shapes that a plan is built for.

    Attributes:
        shapes: shapes of every input; -1 stands for the number of agents.
        max_agents: the greatest number of agents.
    """

    shapes: Shapes
    max_agents: int = 1

    def __post_init__(self) -> None:
        """Raise EngineError for sizes that are not positive."""
        sizes = [size for shape in self.shapes.values() for size in shape]
        if self.max_agents < 1 or any(size < 1 and size != -1 for size in sizes):
            raise EngineError(
                f"profile: got {dict(self.shapes)} for up to {self.max_agents} agents; sizes are "
                "positive, or -1 for the number of agents"
            )

    @property
    def agents(self) -> tuple[int, int, int]:
        """Least, usual and greatest number of agents: an ego and one peer is the usual."""
        return 1, min(2, self.max_agents), self.max_agents

    def of(self, name: str, agents: int) -> tuple[int, ...]:
        """Shape of an input for a number of agents."""
        return tuple(agents if size == -1 else size for size in self.shapes[name])
