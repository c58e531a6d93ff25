# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Cells of index maps with their neighbours, drawn to train one plane's network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from quantv2x_ros.core.coding import index_kernels as context
from quantv2x_ros.data.scenario import open_whole
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle


class IndexMaps:
    """Sweeps spread evenly over a dataset, encoded one by one.

    Args:
        bundle: whose encoder.
        root: a dataset in the V2X-Real or OPV2V layout, one of its splits, or a scenario.
        count: sweeps wanted; fewer where the dataset has fewer.
        threads: threads of the engine; None for one a core.

    Raises:
        DatasetError: if there is no scenario. Files that lack their counterpart are left out, and
            named in the log.
    """

    def __init__(
        self, bundle: ModelBundle, root: Path, count: int, threads: int | None = None
    ) -> None:
        sweeps = [
            (scenario, timestamp, agent)
            for scenario in open_whole(root)
            for timestamp in scenario.timestamps
            for agent in scenario.agents
        ]
        chosen = np.linspace(0, len(sweeps) - 1, min(count, len(sweeps))).round().astype(int)
        self._sweeps = [sweeps[index] for index in chosen]
        self._encoder = AgentEncoder(bundle, threads=threads)

    def __len__(self) -> int:
        """Number of sweeps."""
        return len(self._sweeps)

    def __iter__(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Encode the sweeps, (planes, H, W) uint8 each."""
        for scenario, timestamp, agent in self._sweeps:
            frame = scenario.frame(timestamp)
            if agent in frame.agents:
                yield self._encoder.encode(frame[agent].points).indices.copy()


IndexArray = npt.NDArray[np.uint8]

_MAPS = 60
_STEPS = 400
_BATCH = 20_000


def learn_occupancy(
    bundle: ModelBundle, maps: Sequence[IndexArray], seed: int
) -> npt.NDArray[np.float32]:
    """Fit the pyramid's occupancy, cell by cell, with a sum over the cell's codes.

    Args:
        bundle: its pyramid says where objects are.
        maps: (planes, H, W) uint8 index maps; some of them are used.
        seed: seed of the cells drawn.

    Returns:
        (planes, k) float32, logits that add up.
    """
    detector = CooperativeDetector(bundle)
    book = bundle.codebook
    chosen = [maps[i] for i in np.unique(np.linspace(0, len(maps) - 1, _MAPS).astype(int))]
    scores = [detector.pyramid(item).scores[0] / bundle.manifest.score_gain for item in chosen]
    codes = torch.from_numpy(np.stack(chosen).astype(np.int64)).movedim(1, 3).flatten(0, 2)
    wanted = torch.from_numpy(np.stack(scores)).flatten().clamp(0.0, 1.0)
    offsets = torch.arange(book.planes) * book.dict_size
    evidence = torch.zeros(book.planes * book.dict_size, requires_grad=True)
    optimizer = torch.optim.Adam([evidence], lr=0.1)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(_STEPS):
        cells = torch.randint(len(codes), (_BATCH,), generator=generator)
        logits = evidence[codes[cells] + offsets].sum(1)
        loss = functional.binary_cross_entropy_with_logits(logits, wanted[cells])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    fitted: npt.NDArray[np.float32] = evidence.detach().numpy().reshape(book.planes, -1)
    return fitted.astype(np.float32)


#: Share of a batch that is taken where all neighbours hold the background.
_QUIET_SHARE = 0.1
#: Share of the samples that are learned without some of the coarser levels, for tiles of the finer
#: levels alone.
_ALONE_SHARE = 0.2
#: Share of the samples that are learned as if a tile began or ended at their column or near it.
_EDGE_SHARE = 0.12


class CellSamples:
    """Cells of one plane, drawn for training."""

    def __init__(self, maps: torch.Tensor, plane: int, segments: int, background: IndexArray):
        """Find the cells of each kind.

        Args:
            maps: (N, P, H + 2 MARGIN, W + 2 MARGIN) int16 codes, k in the margin.
            plane: the plane whose cells are drawn.
            segments: planes of a level.
            background: (P,) codes.
        """
        margin = context.MARGIN
        self._maps, self._plane, self._segments = maps, plane, segments
        self._inner = (maps.shape[2] - 2 * margin, maps.shape[3] - 2 * margin)
        codes = torch.from_numpy(background.astype(np.int64))
        inner = maps[:, : plane + 1, margin:-margin, margin:-margin]
        differs = (inner != codes[: plane + 1, None, None]).any(1, keepdim=True)
        near = functional.max_pool2d(differs.float(), 2 * margin + 1, 1, margin)[:, 0] > 0
        flat = near.flatten()
        self._busy = flat.nonzero()[:, 0].int()
        self._quiet = (~flat).nonzero()[:, 0].int()
        own = [(0, row, column) for row, column in context.OWN_NEIGHBOURS]
        earlier = [
            (other - plane, row, column)
            for other in range(plane)
            for row, column in context.EARLIER_NEIGHBOURS
        ]
        self._columns = torch.tensor([column for _, _, column in own + earlier])
        _, planes, height, width = maps.shape
        self._stride = (planes * height * width, height * width, width)
        self._steps = torch.tensor(
            [p * height * width + row * width + column for p, row, column in own + earlier]
        )

    def draw(
        self, count: int, unknown: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Neighbours' codes (N, tables), codes (N,) and weights (N,).

        Weights make up for how often quiet cells are drawn.
        """
        quiet = round(count * _QUIET_SHARE) if len(self._quiet) else 0
        parts, weights = [], []
        total = len(self._busy) + len(self._quiet)
        for pool, number in ((self._busy, count - quiet), (self._quiet, quiet)):
            if number and len(pool):
                parts.append(pool[torch.randint(len(pool), (number,), generator=generator)].long())
                weights.append(torch.full((number,), len(pool) / total * count / number))
        cells = torch.cat(parts)
        height, width = self._inner
        frame, cell = cells // (height * width), cells % (height * width)
        margin = context.MARGIN
        at = (
            frame * self._stride[0]
            + self._plane * self._stride[1]
            + (cell // width + margin) * self._stride[2]
            + cell % width
            + margin
        )
        flat = self._maps.view(-1)
        neighbours = flat[at[:, None] + self._steps].long()
        neighbours = self._forget_beyond_edges(neighbours, unknown, generator)
        neighbours = self._forget(neighbours, unknown, generator)
        return neighbours, flat[at].long(), torch.cat(weights)

    def _forget_beyond_edges(
        self, neighbours: torch.Tensor, unknown: int, generator: torch.Generator
    ) -> torch.Tensor:
        """Make all columns from some distance on unknown, to the left or right, in some samples."""
        count = len(neighbours)
        edge = torch.rand(count, generator=generator) < _EDGE_SHARE
        left = torch.rand(count, generator=generator) < 0.5
        within = torch.randint(0, context.MARGIN, (count,), generator=generator)
        away = torch.where(left[:, None], -self._columns, self._columns)
        neighbours[edge[:, None] & (away > within[:, None])] = unknown
        return neighbours

    def _forget(
        self, neighbours: torch.Tensor, unknown: int, generator: torch.Generator
    ) -> torch.Tensor:
        """Make all planes before some level unknown in some samples."""
        level = self._plane // self._segments
        if level == 0:
            return neighbours
        alone = torch.rand(len(neighbours), generator=generator) < _ALONE_SHARE
        first = torch.randint(1, level + 1, (len(neighbours),), generator=generator)
        first = torch.where(alone, first * self._segments, 0)
        plane_of_table = torch.arange(neighbours.shape[1] - context.OWN) // context.EARLIER
        hidden = plane_of_table < first[:, None]
        neighbours[:, context.OWN :][hidden] = unknown
        return neighbours
