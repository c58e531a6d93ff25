# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a benchmark measures."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from quantv2x_ros.environment.huge_pages import HUGE_PAGES

#: Instruction sets that a run can be held to, and oneDNN's word for each.
INSTRUCTION_SETS = {"": "", "vnni": "AVX512_CORE_VNNI", "avx2": "AVX2"}
#: Threads of every library, so that nothing uses more than was said.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
#: glibc would give large buffers back after each use and fault them in again: torch is up to 1.6
#: times faster when told to keep them.
_KEEP_MEMORY = str(1 << 32)


class BenchmarkError(ValueError):
    """Settings of a benchmark that are not allowed."""


def check_isa(isa: str) -> None:
    """Raise BenchmarkError unless a run can be held to this instruction set."""
    if isa not in INSTRUCTION_SETS:
        allowed = ", ".join(name or "''" for name in INSTRUCTION_SETS)
        raise BenchmarkError(f"isa: got '{isa}', allowed are {allowed}")


@dataclass(frozen=True)
class BenchmarkSettings:
    """What a benchmark measures.

    Attributes:
        bundle: folder of the model bundle.
        scenario: folder of a scenario; empty for the simulated one.
        agents: the number of agents of the main result.
        max_agents: numbers of agents from 1 to this are measured.
        points: points of each agent's cloud; 0 takes the clouds as they are.
        rounds: how often each is measured, this package and torch in turn.
        repeats: runs of this package for one of torch.
        threads: CPU threads of both.
        isa: instruction set to be held to: empty, vnni or avx2.
        torch: whether the torch network is measured, too.
        scaling: whether scaling is measured.
        backend: of the engines.
    """

    bundle: str
    scenario: str = ""
    agents: int = 2
    max_agents: int = 4
    points: int = 60_000
    rounds: int = 20
    repeats: int = 5
    threads: int = 2
    isa: str = ""
    torch: bool = True
    scaling: bool = True
    backend: str = "auto"

    def __post_init__(self) -> None:
        """Raise BenchmarkError naming the setting that is not allowed."""
        check_isa(self.isa)
        for name in ("agents", "max_agents", "rounds", "repeats", "threads"):
            if getattr(self, name) < 1:
                raise BenchmarkError(f"{name}: got {getattr(self, name)}, must be 1 or more")
        if self.points < 0 or self.agents > self.max_agents:
            raise BenchmarkError(
                f"points: got {self.points}, must be 0 or more; agents: got {self.agents}, at most "
                f"max_agents, {self.max_agents}"
            )

    def to_json(self) -> str:
        """Word the settings for the process that measures."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> BenchmarkSettings:
        """Read what to_json wrote."""
        return cls(**json.loads(text))

    def environment(self) -> dict[str, str]:
        """Environment variables that must be set before the libraries are loaded."""
        variables = dict.fromkeys(_THREAD_VARIABLES, str(self.threads))
        variables["MALLOC_MMAP_THRESHOLD_"] = _KEEP_MEMORY
        variables["MALLOC_TRIM_THRESHOLD_"] = _KEEP_MEMORY
        if self.isa:
            variables["ONEDNN_MAX_CPU_ISA"] = INSTRUCTION_SETS[self.isa]
        return {**HUGE_PAGES, **os.environ, **variables}
