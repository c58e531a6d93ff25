# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Trains the entropy coder's model of a bundle's indices on index maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from quantv2x_ros.core import index_context as context
from quantv2x_ros.core import index_kernels as kernels
from quantv2x_ros.core.index_model import IndexModel
from quantv2x_ros.core.index_tree import ways
from quantv2x_ros.inference.bundle import ModelBundle
from quantv2x_ros.training.prior.code_tree import code_tree
from quantv2x_ros.training.prior.networks import PlaneNetwork, assemble
from quantv2x_ros.training.prior.occupancy import learn_occupancy
from quantv2x_ros.training.prior.samples import CellSamples

IndexArray = npt.NDArray[np.uint8]
#: Shows the progress of steps under a title.
Progress = Callable[[Sequence[int], str], Iterable[int]]


@dataclass(frozen=True)
class PriorRecipe:
    """How the model is trained.

    Attributes:
        steps: batches a plane.
        batch: cells a batch.
        learning_rate: largest one of a one-cycle schedule.
        seed: of weights and batches.
    """

    steps: int = 4000
    batch: int = 4096
    learning_rate: float = 5e-3
    seed: int = 0


def learn_prior(
    bundle: ModelBundle, maps: Sequence[IndexArray], recipe: PriorRecipe, progress: Progress
) -> IndexModel:
    """Train the model of a bundle's indices.

    Args:
        bundle: its codebook and pyramid are used.
        maps: (planes, H, W) uint8 index maps of sweeps.
        recipe: how.
        progress: shows the steps.
    """
    book = bundle.codebook
    background = np.array(bundle.manifest.codebook.background, np.uint8)
    vectors = book.tables.reshape(book.planes, book.dict_size, -1)
    stacked = np.stack(maps)
    children = np.stack(
        [
            code_tree(
                vectors[plane],
                np.bincount(stacked[:, plane].reshape(-1), minlength=book.dict_size),
                int(background[plane]),
            )
            for plane in range(book.planes)
        ]
    )
    margin = ((0, 0), (0, 0), (context.MARGIN,) * 2, (context.MARGIN,) * 2)
    padded = np.pad(stacked.astype(np.int16), margin, constant_values=book.dict_size)
    codes = torch.from_numpy(padded)
    networks = []
    for plane, tree in enumerate(children):
        samples = CellSamples(codes, plane, book.segments, background)
        networks.append(train_plane(samples, plane, tree, recipe, progress))
    occupancy = learn_occupancy(bundle, maps, recipe.seed)
    return assemble(networks, children, background, occupancy)


def train_plane(
    samples: CellSamples,
    plane: int,
    children: npt.NDArray[np.int16],
    recipe: PriorRecipe,
    progress: Progress,
) -> PlaneNetwork:
    """Train the network of one plane; loss is the bits that the codes take.

    Args:
        samples: cells of the plane.
        plane: its number.
        children: its tree of codes.
        recipe: how.
        progress: shows the steps.
    """
    size = len(children) + 1
    torch.manual_seed(recipe.seed + plane)
    generator = torch.Generator().manual_seed(recipe.seed + plane)
    network = PlaneNetwork(context.OWN + context.EARLIER * plane, size)
    signs = _signs(children)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.steps
    )
    limit = kernels.WEIGHT_MAX / 2**kernels.WEIGHT_BITS
    for _ in progress(range(recipe.steps), f"Plane {plane}"):
        neighbours, codes, weights = samples.draw(recipe.batch, size, generator)
        way = signs[codes]
        surprise = functional.softplus(-way * network(neighbours)) * way.abs()
        loss = (surprise.sum(1) * weights).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            network.branches.weight.clamp_(-limit, limit)
    return network


def _signs(children: npt.NDArray[np.int16]) -> torch.Tensor:
    """(k, k - 1): +1 or -1 where the way to a code takes a branch's bit 1 or 0, else 0."""
    signs = torch.zeros(len(children) + 1, len(children))
    for code, bits in ways(children).items():
        branch = 0
        for bit in bits:
            signs[code, branch] = 1.0 if bit else -1.0
            branch = int(children[branch, bit])
    return signs
