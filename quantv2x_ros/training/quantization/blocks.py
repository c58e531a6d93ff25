# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Splits a graph into the blocks that are reconstructed one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantv2x_ros.training.graphs.graph import (
    Concatenation,
    Convolution,
    LayerGraph,
    Node,
    TensorSpec,
    node_sources,
)


@dataclass(frozen=True)
class Block:
    """Nodes between two places where a single tensor carries everything on.

    Attributes:
        nodes: in order of execution.
        inputs: tensors that they read and do not make.
        output: the one tensor that is used afterwards.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    output: str

    @classmethod
    def of(cls, nodes: tuple[Node, ...]) -> Block:
        """Make a block of nodes in order."""
        made = {node.target for node in nodes}
        read = [name for node in nodes for name in node_sources(node) if name not in made]
        return cls(nodes, tuple(dict.fromkeys(read)), nodes[-1].target)

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        """Its convolutions in order."""
        return tuple(node for node in self.nodes if isinstance(node, Convolution))

    def graph(self, name: str) -> LayerGraph:
        """The block as a graph of its own."""
        inputs = tuple(TensorSpec(tensor, 0) for tensor in self.inputs)
        return LayerGraph(name, inputs, self.nodes, ())


def is_head(node: Node) -> bool:
    """Whether a node is a leaf whose output leaves as a real number: heads and their scores."""
    if isinstance(node, Convolution):
        return not node.rounded
    return not isinstance(node, Concatenation)


def split_blocks(graph: LayerGraph) -> list[Block]:
    """Split a graph's trunk (all but the heads) into the smallest blocks there are.

    A block ends where one tensor is all that what follows needs: a residual block of the encoder,
    a bottleneck of the pyramid, the three deblocks together, a shrink convolution. Where the trunk
    ends in branches, each is a block.
    """
    trunk = [node for node in graph.nodes if not is_head(node)]
    kept = {spec.name for spec in graph.outputs}
    kept |= {name for node in graph.nodes if is_head(node) for name in node_sources(node)}
    blocks: list[Block] = []
    start = 0
    for index, node in enumerate(trunk):
        later = {name for follower in trunk[index + 1 :] for name in node_sources(follower)}
        made = {earlier.target for earlier in trunk[: index + 1]}
        live = {name for name in later if name in made or name in _input_names(graph)}
        live |= kept & _targets(trunk[start : index + 1])
        if live and live <= {node.target}:
            blocks.append(Block.of(tuple(trunk[start : index + 1])))
            start = index + 1
    blocks += [Block.of(branch) for branch in _branches(trunk[start:])]
    if not {block.output for block in blocks} >= kept & _targets(trunk):
        raise ValueError(f"graph {graph.name}: its trunk does not split into blocks")
    return blocks


def _branches(nodes: Sequence[Node]) -> list[tuple[Node, ...]]:
    """Group nodes by the tensors that they make for each other."""
    branches: list[list[Node]] = []
    for node in nodes:
        sources = node_sources(node)
        read = [b for b in branches if any(earlier.target in sources for earlier in b)]
        joined = [earlier for branch in read for earlier in branch]
        branches = [branch for branch in branches if branch not in read] + [[*joined, node]]
    return [tuple(branch) for branch in branches]


def _input_names(graph: LayerGraph) -> set[str]:
    return {spec.name for spec in graph.inputs}


def _targets(nodes: list[Node]) -> set[str]:
    return {node.target for node in nodes}
