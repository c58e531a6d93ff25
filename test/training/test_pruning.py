# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What is left out of a graph changes nothing: random graphs before and after, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quantv2x_ros.training.graphs.executor import GraphExecutor
from quantv2x_ros.training.graphs.graph import (
    Concatenation,
    Convolution,
    LayerGraph,
    Node,
    Score,
    TensorSpec,
)
from quantv2x_ros.training.graphs.pruning import PruningError, prune, removable, tensor_channels

Masks = dict[str, npt.NDArray[np.bool_]]
CELLS = 8


class GraphMaker:
    """A random graph of small whole numbers, whose sums float32 holds exactly."""

    def __init__(self, seed: int, steps: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._nodes: list[Node] = []
        # name to channels and resolution, in cells of a side
        self._tensors = {"input0": (4, CELLS), "input1": (6, CELLS)}
        for _ in range(steps):
            self._step()

    def graph(self) -> LayerGraph:
        read = {n.source for n in self._nodes if not isinstance(n, Concatenation)}
        last = [node.target for node in self._nodes if node.target not in read]
        name = last[-1]
        self._nodes.append(self._convolution(name, "logit", 1, relu=False))
        self._nodes.append(Score("score", "logit", "score", 6.0))
        outputs = [*last, "score"]
        inputs = tuple(TensorSpec(f"input{i}", c) for i, c in enumerate((4, 6)))
        made = LayerGraph("random", inputs, tuple(self._nodes), ())
        channels = tensor_channels(made)
        return replace(made, outputs=tuple(TensorSpec(n, channels[n]) for n in outputs))

    def _step(self) -> None:
        name = f"t{len(self._nodes)}"
        source = str(self._rng.choice(sorted(self._tensors)))
        channels, size = self._tensors[source]
        alike = sorted(n for n, (_, other) in self._tensors.items() if other == size)
        kind = self._rng.integers(6)
        if kind == 0 and len(alike) > 1:
            parts = tuple(str(n) for n in self._rng.choice(alike, 2, replace=False))
            self._nodes.append(Concatenation(name, parts, name))
            self._tensors[name] = (sum(self._tensors[n][0] for n in parts), size)
            return
        if kind == 1:  # depthwise, also with several channels a group
            width = int(self._rng.integers(1, 3))
            groups = channels // width if channels % width == 0 else channels
            node = self._convolution(source, name, channels, groups=groups)
        elif kind == 2 and size <= CELLS:
            node = self._convolution(source, name, 4 * int(self._rng.integers(1, 4)), upscale=2)
        elif kind == 3:  # a sum with another tensor, if one fits
            residual = str(self._rng.choice(alike))
            count = self._tensors[residual][0]
            node = self._convolution(source, name, count, residual=residual)
        else:
            stride = 2 if kind == 4 and size > 2 else 1
            node = self._convolution(source, name, int(self._rng.integers(1, 9)), stride=stride)
        self._nodes.append(node)
        self._tensors[name] = (
            len(node.bias) // node.upscale**2,
            size // node.stride * node.upscale,
        )

    def _convolution(
        self, source: str, name: str, rows: int, *, groups: int = 1, stride: int = 1, **more: object
    ) -> Convolution:
        channels = self._tensors[source][0]
        kernel = int(self._rng.choice([1, 3]))
        weight = self._rng.integers(-1, 2, (rows, channels // groups, kernel, kernel))
        weight[:, self._rng.random(channels // groups) < 0.1] = 0  # columns that read nothing
        bias = self._rng.integers(-2, 3, rows)
        bias[self._rng.random(rows) < 0.4] -= 1_000_000  # rows that never fire
        return Convolution(
            name,
            source,
            name,
            weight.astype(np.float32),
            bias.astype(np.float32),
            stride,
            groups,
            **more,  # type: ignore[arg-type]
        )

    def inputs(self) -> dict[str, torch.Tensor]:
        """Small whole numbers from 0 on; some channels are 0 throughout."""
        values = {}
        for name, channels in (("input0", 4), ("input1", 6)):
            array = self._rng.integers(0, 3, (2, channels, CELLS, CELLS))
            array[:, self._rng.random(channels) < 0.3] = 0
            values[name] = torch.from_numpy(array.astype(np.float32))
        return values


def zeros(values: Mapping[str, torch.Tensor]) -> Masks:
    """Channels that are 0 in all cells."""
    return {name: (value == 0).all(3).all(2).all(0).numpy() for name, value in values.items()}


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(2, 10))
def test_outputs_are_the_same_without_what_is_always_zero(seed: int, steps: int) -> None:
    maker = GraphMaker(seed, steps)
    graph, inputs = maker.graph(), maker.inputs()
    before = GraphExecutor(graph)(inputs)
    dead = zeros(before)
    pruned = prune(graph, dead)
    assert pruned.inputs == graph.inputs
    assert pruned.outputs == graph.outputs
    after = GraphExecutor(pruned)(inputs)
    for spec in graph.outputs:
        assert torch.equal(after[spec.name], before[spec.name]), spec.name
    gone = removable(graph, dead)
    for name, channels in tensor_channels(pruned).items():
        assert channels == int((~gone[name]).sum()) > 0
        assert torch.equal(after[name], before[name][:, torch.from_numpy(~gone[name])])


def conv(name: str, source: str, weight: npt.NDArray[np.float32], **more: object) -> Convolution:
    bias = np.zeros(len(weight), np.float32)
    return Convolution(name, source, name, weight, bias, **more)  # type: ignore[arg-type]


def ones(*shape: int) -> npt.NDArray[np.float32]:
    return np.ones(shape, np.float32)


def graph_of(*nodes: Convolution | Concatenation, channels: int = 4) -> LayerGraph:
    made = LayerGraph("made", (TensorSpec("input", channels),), nodes, ())
    last = nodes[-1].target
    return replace(made, outputs=(TensorSpec(last, tensor_channels(made)[last]),))


def mask(*dead: int, of: int) -> npt.NDArray[np.bool_]:
    return np.isin(np.arange(of), dead)


def shapes(graph: LayerGraph) -> list[tuple[int, ...]]:
    return [node.weight.shape for node in graph.convolutions]


def test_rows_and_the_columns_that_read_them_go() -> None:
    graph = graph_of(conv("a", "input", ones(8, 4, 3, 3)), conv("b", "a", ones(2, 8, 3, 3)))
    pruned = prune(graph, {"a": mask(0, 3, 7, of=8)})
    assert shapes(pruned) == [(5, 4, 3, 3), (2, 5, 3, 3)]


def test_what_only_dead_rows_read_goes_too() -> None:
    graph = graph_of(
        conv("a", "input", ones(8, 4, 1, 1)),
        conv("b", "a", np.eye(8, dtype=np.float32)[:, :, None, None]),
        conv("c", "b", ones(2, 8, 1, 1)),
    )
    pruned = prune(graph, {"b": mask(2, 5, of=8)})
    assert shapes(pruned) == [(6, 4, 1, 1), (6, 6, 1, 1), (2, 6, 1, 1)]


def test_a_depthwise_channel_goes_with_the_channel_that_it_reads() -> None:
    graph = graph_of(
        conv("a", "input", ones(8, 4, 1, 1)),
        conv("b", "a", ones(8, 1, 3, 3), groups=8),
        conv("c", "b", ones(2, 8, 1, 1)),
    )
    assert shapes(prune(graph, {"b": mask(1, of=8)})) == [(7, 4, 1, 1), (7, 1, 3, 3), (2, 7, 1, 1)]
    # a constant input still makes the channel's bias
    assert shapes(prune(graph, {"a": mask(1, of=8)})) == shapes(graph)


def test_groups_go_as_many_as_can_still_be_merged() -> None:
    graph = graph_of(
        conv("a", "input", ones(128, 4, 1, 1)),
        conv("b", "a", ones(128, 4, 3, 3), groups=32),
        conv("c", "b", ones(2, 128, 1, 1)),
    )
    assert graph.convolutions[1].wide_groups == 2
    few, half = mask(*range(60), of=128), mask(*range(64, 128), of=128)
    assert shapes(prune(graph, {"b": few})) == shapes(graph)
    pruned = prune(graph, {"b": half})
    assert shapes(pruned) == [(64, 4, 1, 1), (64, 4, 3, 3), (2, 64, 1, 1)]
    assert pruned.convolutions[1].groups == 16


def test_a_sum_goes_only_where_it_never_fires() -> None:
    graph = graph_of(
        conv("a", "input", ones(8, 4, 1, 1)),
        conv("b", "a", ones(8, 8, 3, 3), residual="a"),
        conv("c", "b", ones(2, 8, 1, 1)),
    )
    assert shapes(prune(graph, {"a": mask(0, 1, of=8)})) == shapes(graph)
    both = prune(graph, {"a": mask(0, 1, of=8), "b": mask(1, 2, of=8)})
    assert shapes(both) == [(7, 4, 1, 1), (7, 7, 3, 3), (2, 7, 1, 1)]


def test_a_shuffled_channel_goes_with_all_its_cells() -> None:
    graph = graph_of(
        conv("a", "input", ones(12, 4, 1, 1), upscale=2), conv("c", "a", ones(2, 3, 3, 3))
    )
    pruned = prune(graph, {"a": mask(1, of=3)})
    assert shapes(pruned) == [(8, 4, 1, 1), (2, 2, 3, 3)]


def test_borders_stay_and_so_does_one_channel() -> None:
    graph = graph_of(conv("a", "input", ones(8, 4, 1, 1)), conv("b", "a", ones(2, 8, 1, 1)))
    everything = {name: np.ones(c, np.bool_) for name, c in tensor_channels(graph).items()}
    assert shapes(prune(graph, everything)) == [(1, 4, 1, 1), (2, 1, 1, 1)]


def test_masks_that_do_not_fit_are_named() -> None:
    graph = graph_of(conv("a", "input", ones(8, 4, 1, 1)))
    with pytest.raises(PruningError, match=r"\(3,\) for tensor a, which has 8 channels"):
        prune(graph, {"a": np.zeros(3, np.bool_)})
    with pytest.raises(PruningError, match="tensor b, which has no channels"):
        prune(graph, {"b": np.zeros(3, np.bool_)})
