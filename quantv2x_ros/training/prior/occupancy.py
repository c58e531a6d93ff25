# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How much each code speaks for an object nearby, as the bundle's own pyramid sees it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from quantv2x_ros.inference.bundle import ModelBundle
from quantv2x_ros.inference.pipeline import CooperativeDetector

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
        seed: of the cells drawn.

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
