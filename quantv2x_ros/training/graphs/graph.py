# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The deployed part of the network as a list of folded convolutions.

One description, three readings: the ONNX writer exports it, the executor runs it in torch in full
precision (calibration) or quantized (what the engines will compute).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Scalar = TypeVar("Scalar", bound=np.generic)

#: Channels a group that OpenVINO's int8 kernels want; narrower groups are widened with zeros.
WIDE_GROUP = 64

#: Sizes of kernels.
KERNELS = (1, 2, 3, 5, 7)

#: Least fusion score (docs/network.md, "Fusion weights").
SCORE_FLOOR = 1e-4


@dataclass(frozen=True)
class Convolution:
    """A convolution with its BatchNorm folded in, and what follows it.

    Computed: convolution, bias, plus residual, ReLU, pixel shuffle, in this order. The padding
    keeps the size (1x1: 0, 3x3: 1, 5x5: 2, 7x7: 3); a 2x2 kernel with stride 2 needs none.

    Attributes:
        name: unique in its graph.
        source: name of the input tensor.
        target: name of the output tensor.
        weight: (O, I / groups, k, k) float32.
        bias: (O,) float32.
        stride: 1 or 2.
        groups: groups of channels.
        relu: whether a ReLU follows.
        residual: name of a tensor added before the ReLU.
        upscale: factor u of a pixel shuffle at the end. Channel (row * u + column) * C + c goes to
            channel c of the cell at that row and column of the u x u block: a transposed
            convolution whose kernel equals its stride.
        rounded: whether the INT8 variant rounds its output to 8 bits; the heads' leave as they are.
    """

    name: str
    source: str
    target: str
    weight: Float32
    bias: Float32
    stride: int = 1
    groups: int = 1
    relu: bool = True
    residual: str | None = None
    upscale: int = 1
    rounded: bool = True

    def __post_init__(self) -> None:
        """Raise ValueError where the shapes do not fit or a value is not finite."""
        out, _, rows, columns = self.weight.shape
        if self.bias.shape != (out,) or rows != columns or rows not in KERNELS:
            raise ValueError(
                f"convolution {self.name}: weight {self.weight.shape} and bias {self.bias.shape}, "
                f"expected (O, I, k, k) with k of {KERNELS}, and (O,)"
            )
        if out % self.groups or out % self.upscale**2:
            raise ValueError(
                f"convolution {self.name}: {out} output channels do not split into "
                f"{self.groups} groups and {self.upscale} x {self.upscale} cells"
            )
        if not (np.isfinite(self.weight).all() and np.isfinite(self.bias).all()):
            raise ValueError(f"convolution {self.name}: weights that are not finite")

    @property
    def padding(self) -> int:
        """Cells of zeros around the input."""
        return (int(self.weight.shape[2]) - 1) // 2

    def widened(self) -> Convolution:
        """Return the same function with groups of at least 64 channels, block-diagonally."""
        groups, weight = self.wide_groups, widen_weight(self.weight, self.groups, self.wide_groups)
        return self if groups == self.groups else replace(self, weight=weight, groups=groups)

    @property
    def wide_groups(self) -> int:
        """Number of groups when neighbours are merged until they have 64 channels.

        Depthwise convolutions stay: they have kernels of their own.
        """
        width = self.weight.shape[1]
        merge = WIDE_GROUP // width if self.groups > 1 and 1 < width < WIDE_GROUP else 1
        return self.groups // int(np.gcd(merge, self.groups))


def widen_weight(weight: npt.NDArray[Scalar], groups: int, wide_groups: int) -> npt.NDArray[Scalar]:
    """Lay the groups of a weight (O, I / groups, k, k) out block-diagonally in fewer groups.

    Returns:
        (O, I / wide_groups, k, k); what the merged groups do not share is 0.
    """
    merge = groups // wide_groups
    out, width = weight.shape[:2]
    wide = np.zeros((out, width * merge, *weight.shape[2:]), dtype=weight.dtype)
    for group in range(groups):
        rows = slice(group * out // groups, (group + 1) * out // groups)
        start = group % merge * width
        wide[rows, start : start + width] = weight[rows]
    return wide


@dataclass(frozen=True)
class Concatenation:
    """Tensors of one resolution, one after another along the channels.

    Attributes:
        name: unique in its graph.
        sources: names of the input tensors.
        target: name of the output tensor.
    """

    name: str
    sources: tuple[str, ...]
    target: str


@dataclass(frozen=True)
class Score:
    """Fusion score of an occupancy logit: gain * (sigmoid(o) + 1e-4).

    See docs/network.md, "Fusion weights".

    Attributes:
        name: unique in its graph.
        source: name of the logit tensor, one channel.
        target: name of the output tensor.
        gain: factor, positive.
    """

    name: str
    source: str
    target: str
    gain: float


Node = Convolution | Concatenation | Score


def node_sources(node: Node) -> tuple[str, ...]:
    """Names of the tensors that a node reads, the residual last."""
    if isinstance(node, Concatenation):
        return node.sources
    if isinstance(node, Convolution) and node.residual is not None:
        return (node.source, node.residual)
    return (node.source,)


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a graph.

    Attributes:
        name: name of the tensor.
        channels: number of channels.
        reduction: the graph's full resolution divided by this tensor's.
    """

    name: str
    channels: int
    reduction: int = 1


@dataclass(frozen=True)
class LayerGraph:
    """Nodes in order of execution.

    Attributes:
        name: encoder, pyramid or head.
        inputs: NHWC at the engine's border.
        nodes: see the classes.
        outputs: NHWC at the engine's border.
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[TensorSpec, ...]

    def __post_init__(self) -> None:
        """Raise ValueError where a tensor is used before it is made, or made twice."""
        known = {spec.name for spec in self.inputs}
        for node in self.nodes:
            missing = [name for name in node_sources(node) if name not in known]
            if missing or node.target in known:
                raise ValueError(
                    f"graph {self.name}: node {node.name} needs {missing} or makes "
                    f"{node.target} a second time"
                )
            known.add(node.target)
        lost = [spec.name for spec in self.outputs if spec.name not in known]
        if lost:
            raise ValueError(f"graph {self.name}: nothing makes the outputs {lost}")

    @property
    def reach(self) -> int:
        """Return how many cells beyond one its outputs depend on, to each side.

        Counted in cells of full resolution, for a map whose columns begin and end at whole cells
        of the coarsest input: it then holds all that the outputs need.
        """
        step = max(spec.reduction for spec in self.inputs)
        needed = [(cell, *self._needed(cell)) for cell in range(step)]
        halo = 0
        while any(
            (cell - halo) // step * step > low or -(-(cell + 1 + halo) // step) * step < high
            for cell, low, high in needed
        ):
            halo += 1
        return halo

    def _needed(self, cell: int) -> tuple[int, int]:
        """Return the first cell that the outputs in a cell depend on, and the one behind the last.

        All at full resolution; rows and columns alike.
        """
        spans = {
            spec.name: (cell // spec.reduction, cell // spec.reduction) for spec in self.outputs
        }
        for node in reversed(self.nodes):
            low, high = spans[node.target]
            own = (low, high)
            if isinstance(node, Convolution):
                low, high = low // node.upscale, high // node.upscale
                own = (low, high)
                low = low * node.stride - node.padding
                high = high * node.stride - node.padding + int(node.weight.shape[2]) - 1
            for source in node_sources(node):
                added = isinstance(node, Convolution) and source == node.residual
                first, last = own if added else (low, high)
                known = spans.get(source, (first, last))
                spans[source] = (min(first, known[0]), max(last, known[1]))
        ends = [
            (spans[s.name][0] * s.reduction, (spans[s.name][1] + 1) * s.reduction)
            for s in self.inputs
        ]
        return min(low for low, _ in ends), max(high for _, high in ends)

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        """Its convolutions in order."""
        return tuple(node for node in self.nodes if isinstance(node, Convolution))
