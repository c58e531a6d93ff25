# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Trains the entropy coder's model of a bundle's indices on index maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from quantv2x_ros.core.codebook.codebook import codebook_id
from quantv2x_ros.core.coding import index_kernels as context
from quantv2x_ros.core.coding import index_kernels as kernels
from quantv2x_ros.core.coding.index_model import IndexModel, ways
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.bundle_files import ENTROPY_MODEL_FILE, file_sha256
from quantv2x_ros.training.entropy_model.samples import CellSamples, learn_occupancy


def install_entropy_model(folder: str | Path, model: IndexModel) -> ModelBundle:
    """Write a model into a bundle and update its manifest; returns the bundle.

    Args:
        folder: the bundle.
        model: trained on its indices.

    Raises:
        BundleError: for a damaged bundle, or a model that does not fit its codebook.
    """
    bundle = ModelBundle.load(folder)
    path = bundle.folder / ENTROPY_MODEL_FILE
    model.save(path)
    manifest = replace(
        bundle.manifest,
        codebook=replace(bundle.manifest.codebook, id=codebook_id(bundle.codebook, model)),
        files=dict(
            sorted({**bundle.manifest.files, ENTROPY_MODEL_FILE: file_sha256(path)}.items())
        ),
    )
    return bundle.rewritten(manifest)


Float = npt.NDArray[np.floating]


def code_tree(
    vectors: Float, counts: npt.NDArray[np.integer], background: int
) -> npt.NDArray[np.int16]:
    """Build a tree for the entropy coder.

    The root asks whether a code is the background's. All other branches halve the occurrences of
    their codes along the direction in which their vectors differ most.

    Args:
        vectors: (k, C) what each code decodes to.
        counts: (k,) occurrences.
        background: the commonest code.

    Returns:
        (k - 1, 2) int16, as in `IndexModel.children`.
    """
    weights = counts.astype(np.float64) + 0.5  # codes that were never seen still have a place
    children: list[list[int]] = [[-1, -1]]
    others = np.setdiff1d(np.arange(len(vectors)), [background])
    children[0][1] = ~background
    waiting = [(0, 0, others)]  # parent, bit, codes below
    while waiting:
        parent, bit, codes = waiting.pop()
        if len(codes) == 1:
            children[parent][bit] = ~int(codes[0])
            continue
        children[parent][bit] = len(children)
        children.append([-1, -1])
        low, high = _halves(codes, vectors[codes].astype(np.float64), weights[codes])
        waiting += [(len(children) - 1, 0, low), (len(children) - 1, 1, high)]
    return np.array(children, np.int16)


def _halves(
    codes: npt.NDArray[np.int64], vectors: Float, weights: Float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Two parts, neither empty, of about equal weight along the first principal direction."""
    centred = vectors - np.average(vectors, axis=0, weights=weights)
    _, _, directions = np.linalg.svd(centred * np.sqrt(weights)[:, None], full_matrices=False)
    order = np.argsort(centred @ directions[0], kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    cut = int(np.clip(np.abs(share - 0.5).argmin() + 1, 1, len(codes) - 1))
    return codes[order[:cut]], codes[order[cut:]]


IndexArray = npt.NDArray[np.uint8]


class PlaneNetwork(nn.Module):
    """The network of one plane in floating point; core.coding.index_kernels has it in integers."""

    def __init__(self, tables: int, size: int) -> None:
        super().__init__()
        hidden = context.HIDDEN
        self.tables = nn.Parameter(0.1 * torch.randn(tables, size + 1, hidden))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.branches = nn.Linear(hidden, size - 1)
        self.offsets = torch.arange(tables) * (size + 1)

    def forward(self, neighbours: torch.Tensor) -> torch.Tensor:
        """Logits (N, k - 1) of all branches from neighbours' codes (N, tables)."""
        flat = self.tables.flatten(0, 1)
        hidden = functional.embedding_bag(neighbours + self.offsets, flat, mode="sum")
        limit = kernels.HIDDEN_MAX / 2**kernels.HIDDEN_BITS
        logits: torch.Tensor = self.branches((hidden + self.hidden_bias).clamp(0.0, limit))
        return logits


def assemble(
    networks: list[PlaneNetwork],
    children: npt.NDArray[np.int16],
    background: IndexArray,
    occupancy: npt.NDArray[np.float32],
) -> IndexModel:
    """Round the networks of all planes to the coder's integers."""

    def whole(values: torch.Tensor, bits: int, dtype: type[np.generic]) -> npt.NDArray[np.generic]:
        limits = np.iinfo(dtype)  # type: ignore[type-var]
        scaled = np.rint(values.detach().double().numpy() * 2.0**bits)
        return scaled.clip(limits.min, limits.max).astype(dtype)

    unit = kernels.HIDDEN_BITS
    tables, biases = [], []
    for plane, network in enumerate(networks):
        seen = [plane] * context.OWN + [e for e in range(plane) for _ in range(context.EARLIER)]
        empty = torch.from_numpy(background.astype(np.int64))[seen]
        common = network.tables[torch.arange(len(seen)), empty]
        tables.append(whole(network.tables - common[:, None], unit, np.int16))
        biases.append(whole(network.hidden_bias + common.sum(0), unit, np.int16))
    return IndexModel(
        tables=np.concatenate(tables),
        hidden_bias=np.stack(biases),
        weights=np.stack(
            [whole(n.branches.weight, kernels.WEIGHT_BITS, np.int16) for n in networks]
        ),
        weight_bias=np.stack(
            [whole(n.branches.bias, kernels.LOGIT_BITS, np.int32) for n in networks]
        ),
        children=children,
        background=background,
        occupancy=occupancy,
    )


#: Shows the progress of steps under a title.
Progress = Callable[[Sequence[int], str], Iterable[int]]


@dataclass(frozen=True)
class EntropyModelRecipe:
    """How the model is trained.

    Attributes:
        steps: batches a plane.
        batch: cells a batch.
        learning_rate: largest one of a one-cycle schedule.
        seed: seed of weights and batches.
    """

    steps: int = 4000
    batch: int = 4096
    learning_rate: float = 5e-3
    seed: int = 0


def learn_entropy_model(
    bundle: ModelBundle, maps: Sequence[IndexArray], recipe: EntropyModelRecipe, progress: Progress
) -> IndexModel:
    """Train the model of a bundle's indices.

    Args:
        bundle: its codebook and pyramid are used.
        maps: (planes, H, W) uint8 index maps of sweeps.
        recipe: how.
        progress: shows the steps.
    """
    book = bundle.codebook
    background = bundle.background
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
    recipe: EntropyModelRecipe,
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
