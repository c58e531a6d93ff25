# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Stages against what the machine can do at best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quantv2x_ros.inference.bundle import ModelBundle
from quantv2x_ros.inference.results import LEVELS
from quantv2x_ros.inference.window import HeadWindow


@dataclass(frozen=True)
class StageCost:
    """What a stage costs at least.

    Attributes:
        macs: multiply-accumulates.
        bytes: moved at least once: inputs, outputs, weights.
    """

    macs: float
    bytes: float


@dataclass(frozen=True)
class Ceilings:
    """What the machine can do.

    Attributes:
        macs: INT8 multiply-accumulates a second.
        bytes: of memory traffic a second.
    """

    macs: float
    bytes: float

    def bound_ms(self, cost: StageCost) -> tuple[float, str]:
        """Least time of a stage, milliseconds, and what bounds it."""
        compute, memory = cost.macs / self.macs, cost.bytes / self.bytes
        return 1e3 * max(compute, memory), "compute" if compute >= memory else "memory"


def roofline(
    costs: Mapping[str, StageCost], medians: Mapping[str, float], ceilings: Ceilings
) -> dict[str, dict[str, Any]]:
    """Compare the stages with their least possible times.

    The costs are those of whole maps: a stage that leaves cells out may lie above the ceilings.

    Args:
        costs: by stage.
        medians: measured milliseconds by stage.
        ceilings: of the machine.
    """
    rows = {}
    for stage, cost in costs.items():
        if stage not in medians:
            continue
        least, bound = ceilings.bound_ms(cost)
        rows[stage] = {
            "macs": int(cost.macs),
            "bytes": int(cost.bytes),
            "macs_per_byte": round(cost.macs / cost.bytes, 2),
            "least_ms": round(least, 4),
            "bound": bound,
            "measured_ms": medians[stage],
            "share_of_ceiling": round(least / medians[stage], 3),
            "gmacs_per_second": round(cost.macs / medians[stage] / 1e6, 1),
        }
    return rows


def engine_shapes(bundle: ModelBundle) -> dict[str, dict[str, tuple[int, ...]]]:
    """Input shapes of the CPU's engines, by the stage that they are."""
    height, width = bundle.grid.shape
    window = HeadWindow.of(bundle.grid, bundle.detection, exact=bundle.parity)
    head: dict[str, tuple[int, ...]] = {}
    for level, channels in enumerate((64, 128, 256)[:LEVELS]):
        columns = window.at_level(level)
        size = (height >> level, columns.stop - columns.start)
        head[f"fused{level}_nhwc"] = (1, *size, channels)
    pillar_rows, pillar_columns = bundle.grid.pillar_shape
    return {
        "encoder.encoder": {
            "pillars_nhwc": (1, pillar_rows, pillar_columns, bundle.pillar_weights.channels)
        },
        "fusion.pyramid_per_agent": {"indices": (1, bundle.codebook.planes, height, width)},
        "fusion.head": head,
    }


def other_costs(bundle: ModelBundle, points: int, agents: int) -> dict[str, StageCost]:
    """Costs of the stages that are no engines.

    Pillars: 10 features by 64 channels a point, and the map's bytes. Codebook: one product of a
    cell's 64 channels with all codewords. Warp: four taps and a weight a channel, cell and agent.
    """
    height, width = bundle.grid.shape
    cells, book = height * width, bundle.codebook
    rows, columns = bundle.grid.pillar_shape
    warp_cells = sum(
        (cells >> 2 * level) * channels for level, channels in enumerate((64, 128, 256))
    )
    return {
        "encoder.pillars": StageCost(points * 640, points * 16 + rows * columns * 64),
        "encoder.codebook": StageCost(
            cells * book.channels * book.planes * book.dict_size,
            cells * (book.channels + book.planes),
        ),
        "fusion.warp": StageCost(agents * 5 * warp_cells, (agents + 1) * warp_cells),
    }
