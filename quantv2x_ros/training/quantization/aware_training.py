# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training, QD-BEV's recipe (arXiv 2308.10515) for cooperative LiDAR.

Progressive: one part after the other is rounded and trained while those behind it are still in
full precision: encoder, pyramid, then deblocks, shrink and heads. Then all of them together, with
distillation from the full-precision network. There the views of QD-BEV's cameras are the agents:
each agent's own map is compared with the teacher's, and the fused map where that agent sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import nn
from torch.nn import functional

from quantv2x_ros.inference.cpu.processor import has_bfloat16
from quantv2x_ros.training.graphs.executor import round_to_scale
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs, tensor_name
from quantv2x_ros.training.graphs.scales import QuantizationError
from quantv2x_ros.training.head_outputs import HeadOutputs
from quantv2x_ros.training.losses import LossWeights, detection_losses, occupancy_loss
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.pyramid import fuse_frame, warp
from quantv2x_ros.training.quantization.learnable import LearnableNodes, LearnedWeight
from quantv2x_ros.training.samples import Sample

#: The graphs in order: what is sent, what each agent's map becomes, what the fused map becomes.
STAGES = ("encoder", "pyramid", "head")
SCALES = 3


@dataclass(frozen=True)
class StudentOutputs:
    """What a network makes of a batch.

    Attributes:
        heads: boxes, (B, C, H, W).
        occupancy: logits of the three levels, (sum of agents, 1, h, w).
        levels: each agent's own maps, (sum of agents, C, h, w).
        fused: fused maps, (B, C, h, w).
    """

    heads: HeadOutputs
    occupancy: tuple[torch.Tensor, ...]
    levels: tuple[torch.Tensor, ...]
    fused: tuple[torch.Tensor, ...]


class Student(nn.Module):
    """A quantized network to be trained; with no stage rounded, its full-precision teacher.

    Pillar layer and codebook stay as they are: indices keep their meaning.

    Args:
        network: trained, for pillar layer and codebook.
        graphs: the same network quantized, before its groups are widened.
        bfloat16: convolutions in bfloat16.
    """

    def __init__(self, network: QuantV2XNetwork, graphs: NetworkGraphs, bfloat16: bool) -> None:
        super().__init__()
        if network.codebook is None:
            raise ValueError("the network has no codebook: nothing could be transmitted")
        self._network = network.eval().requires_grad_(False)
        self._codebook = network.codebook
        self._graphs = graphs
        self._offset = torch.from_numpy(graphs.offset)[:, None, None]

        def nodes(stage: str, rounded: bool) -> LearnableNodes:
            return LearnableNodes(
                graphs.graphs[stage].nodes,
                graphs.graph_scales(stage) if rounded else {},
                graphs.graph_weights(stage) if rounded else {},
                LearnedWeight,
                bfloat16,
            )

        self.rounded = nn.ModuleDict({stage: nodes(stage, True) for stage in STAGES})
        self.exact = nn.ModuleDict({stage: nodes(stage, False) for stage in STAGES})
        self.exact.requires_grad_(False)

    def parameters_of(self, stage: str) -> list[nn.Parameter]:
        """Weights, biases and steps of a stage's rounded nodes."""
        return [p for p in self.rounded[stage].parameters() if p.requires_grad]

    def _run(
        self, stage: str, inputs: dict[str, torch.Tensor], rounded: Sequence[str]
    ) -> dict[str, torch.Tensor]:
        if stage in rounded:
            scales = self._graphs.graph_scales(stage)
            inputs = {n: _passed(v, round_to_scale(v, scales[n])) for n, v in inputs.items()}
            values: dict[str, torch.Tensor] = self.rounded[stage](inputs)
        else:
            values = self.exact[stage](inputs)
        return values

    def forward(
        self,
        canvas: torch.Tensor,
        thetas: torch.Tensor,
        agents: Sequence[int],
        rounded: Sequence[str],
    ) -> StudentOutputs:
        """Run a batch.

        Args:
            canvas: (sum of agents, C, rows, columns) scattered pillar features.
            thetas: (sum of agents, 2, 3) float64.
            agents: number of agents of each frame.
            rounded: stages that round; the others are in full precision.
        """
        feature = self._run("encoder", {"pillars": canvas}, rounded)["feature"]
        heard = self._network.heard(feature, self._codebook(feature).features, agents)
        decoded = heard + self._offset
        values = self._run("pyramid", {"decoded": decoded}, rounded)
        levels = tuple(values[f"level{i}"] for i in range(SCALES))
        fused = []
        for level in range(SCALES):
            frames = zip(
                levels[level].split(list(agents)),
                values[f"score{level}"].split(list(agents)),
                thetas.split(list(agents)),
                strict=True,
            )
            fused.append(torch.cat([fuse_frame(f, s, t) for f, s, t in frames]))
        out = self._run("head", {f"fused{i}": fused[i] for i in range(SCALES)}, rounded)
        return StudentOutputs(
            HeadOutputs(out["cls"], out["reg"], out["dir"]),
            tuple(values[f"occupancy{i}"] for i in range(SCALES)),
            levels,
            tuple(fused),
        )

    def decided(self) -> NetworkGraphs:
        """The trained network, ready for simulation and export."""
        weights, scales = dict(self._graphs.weights), dict(self._graphs.scales)
        graphs = {}
        for stage in STAGES:
            nodes = self.rounded[stage]
            assert isinstance(nodes, LearnableNodes)
            for name, weight in nodes.decided_weights().items():
                weights[tensor_name(stage, name)] = weight
            for name, scale in nodes.decided_scales().items():
                scales[tensor_name(stage, name)] = scale
            graphs[stage] = replace(self._graphs.graphs[stage], nodes=nodes.decided_nodes())
        return replace(self._graphs, graphs=graphs, weights=weights, scales=scales)


def _passed(value: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    """Rounded forwards, the value's gradient backwards."""
    return value + (rounded - value).detach()


Batches = Iterator[tuple[Sample, list[int]]]
Report = Callable[[str, int, dict[str, float]], object]

#: The last phase, after one for each stage.
DISTILLATION = "distillation"


@dataclass(frozen=True)
class AwareTrainingConfig:
    """Schedule of quantization-aware training.

    Attributes:
        steps: optimizer steps of each phase: one a stage, and the distillation.
        learning_rate: learning rate of weights and biases.
        step_rate: learning rate of the logarithm of the activations' steps.
        distillation: weight of the distillation loss.
        bfloat16: convolutions in bfloat16; by default where the processor has it.
    """

    steps: int
    learning_rate: float = 1e-4
    step_rate: float = 1e-3
    distillation: float = 1.0
    bfloat16: bool = field(default_factory=has_bfloat16)

    def __post_init__(self) -> None:
        """Raise QuantizationError for values out of range."""
        if self.steps < 1 or min(self.learning_rate, self.step_rate) <= 0:
            raise QuantizationError(
                f"aware training: {self.steps} steps at rates {self.learning_rate} and "
                f"{self.step_rate}, expected one step or more and positive rates"
            )
        if self.distillation < 0:
            raise QuantizationError(f"distillation: got {self.distillation}, expected 0 or more")


def channel_divergence(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of each cell's channels, (N, 1, h, w) of (N, C, h, w)."""
    wanted = functional.log_softmax(teacher, dim=1)
    given = functional.log_softmax(student, dim=1)
    divergence = functional.kl_div(given, wanted, reduction="none", log_target=True)
    return divergence.sum(1, keepdim=True)


def view_masks(shape: Sequence[int], thetas: torch.Tensor) -> torch.Tensor:
    """Tell which cells of the ego's map each agent's map reaches.

    Args:
        shape: rows and columns.
        thetas: (N, 2, 3) float64.

    Returns:
        (N, 1, rows, columns) float32, 1 or 0.
    """
    return (warp(torch.ones(len(thetas), 1, *shape), thetas) > 0).float()


def view_distillation(
    student: StudentOutputs, teacher: StudentOutputs, thetas: torch.Tensor, agents: Sequence[int]
) -> torch.Tensor:
    """Distillation guided by the agents' views, averaged over levels and agents.

    For each agent: the divergence of its own map, and that of its frame's fused map over the cells
    that it reaches. What several agents see counts once for each.
    """
    frame = torch.repeat_interleave(torch.arange(len(agents)), torch.tensor(list(agents)))
    total = student.fused[0].new_zeros(())
    for level in range(SCALES):
        own = channel_divergence(student.levels[level], teacher.levels[level]).mean((1, 2, 3))
        fused = channel_divergence(student.fused[level], teacher.fused[level])
        masks = view_masks(fused.shape[2:], thetas)
        seen = (fused[frame] * masks).sum((1, 2, 3)) / masks.sum((1, 2, 3)).clamp_min(1)
        total = total + (own + seen).mean()
    return total / SCALES


class AwareTraining:
    """Trains a quantized network.

    Args:
        network: trained, in full precision.
        graphs: the same network quantized, to start from.
        config: the schedule.
        weights: weights of the losses.
    """

    def __init__(
        self,
        network: QuantV2XNetwork,
        graphs: NetworkGraphs,
        config: AwareTrainingConfig,
        weights: LossWeights | None = None,
    ) -> None:
        self._network = network
        self._config = config
        self._weights = weights or LossWeights()
        self.student = Student(network, graphs, config.bfloat16)

    def run(self, batches: Batches, report: Report) -> NetworkGraphs:
        """Train all phases; the trained network, ready for simulation and export.

        Args:
            batches: endless batches with targets.
            report: called after every step with phase, step and losses.

        Raises:
            FloatingPointError: if the loss is no longer finite.
        """
        for index, stage in enumerate(STAGES):
            self._phase(stage, STAGES[: index + 1], (stage,), batches, report)
        self._phase(DISTILLATION, STAGES, STAGES, batches, report)
        return self.student.decided()

    def _optimizer(self, trained: Sequence[str]) -> torch.optim.Optimizer:
        parameters = [p for stage in trained for p in self.student.parameters_of(stage)]
        config = self._config
        # steps are single numbers, weights and biases are not
        return torch.optim.Adam(
            [
                {"params": [p for p in parameters if p.ndim], "lr": config.learning_rate},
                {"params": [p for p in parameters if not p.ndim], "lr": config.step_rate},
            ]
        )

    def _phase(
        self,
        phase: str,
        rounded: Sequence[str],
        trained: Sequence[str],
        batches: Batches,
        report: Report,
    ) -> None:
        optimizer = self._optimizer(trained)
        for step in range(1, self._config.steps + 1):
            sample, agents = next(batches)
            losses = self._losses(sample, agents, rounded, phase == DISTILLATION)
            total = torch.stack(list(losses.values())).sum()
            if not torch.isfinite(total):
                raise FloatingPointError(
                    f"aware training: the loss is {float(total.detach())} at step {step} of {phase}"
                )
            optimizer.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            report(phase, step, {name: float(loss.detach()) for name, loss in losses.items()})

    def _losses(
        self, sample: Sample, agents: Sequence[int], rounded: Sequence[str], distill: bool
    ) -> dict[str, torch.Tensor]:
        with torch.no_grad():
            canvas = self._network.scatter(sample.pillars)
        out = self.student(canvas, sample.thetas, agents, rounded)
        losses = detection_losses(out.heads, sample.targets, self._weights)
        occupied = sample.targets.occupancy
        losses["occupancy"] = occupancy_loss(out.occupancy, occupied, self._weights)
        if distill and self._config.distillation > 0:
            with torch.no_grad():
                teacher = self.student(canvas, sample.thetas, agents, ())
            losses["distillation"] = self._config.distillation * view_distillation(
                out, teacher, sample.thetas, agents
            )
        return losses
