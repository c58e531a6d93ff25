# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The exported engines compute what the network, or its quantized simulation, computes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import openvino
import pytest
import torch

from quantv2x_ros.core.fusion.fusion import fuse_scale
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.geometry.pose import warp_theta
from quantv2x_ros.inference.cpu.engine import OpenVinoEngine
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.training.export.bundle_writer import BundleSettings, write_bundle
from quantv2x_ros.training.export.random_bundle import (
    SMALL_RANGE,
    VOXEL,
    random_frames,
    random_network,
)
from quantv2x_ros.training.graphs.executor import GraphExecutor
from quantv2x_ros.training.graphs.graph import Concatenation, LayerGraph, TensorSpec
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.quantization.post_training import QuantizationConfig, quantize_network
from quantv2x_ros.training.quantization.simulation import CalibrationFrame, run_frame

GRID = BevGrid(SMALL_RANGE, VOXEL)
BORDERS = {
    "encoder": {"pillars": (128, 128, 64)},
    "pyramid": {"decoded": (64, 64, 64)},
    "head": {"fused0": (64, 64, 64), "fused1": (32, 32, 128), "fused2": (16, 16, 256)},
}
HEADS = {"cls", "reg", "dir", "occupancy0", "occupancy1", "occupancy2"}


@dataclass(frozen=True)
class Exported:
    """A network folded in one precision, and the bundle written from that."""

    graphs: NetworkGraphs
    bundle: ModelBundle
    frame: CalibrationFrame


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def quantized(precision: str, folder: Path) -> Exported:
    network = random_network(11, GRID)
    frames = random_frames(11, GRID, (1, 2))
    graphs = quantize_network(network, frames, QuantizationConfig.parse(precision))
    bundle = write_bundle(network, graphs, folder, "test", BundleSettings())
    return Exported(graphs, bundle, frames[1])


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return quantized("w8a8", tmp_path_factory.mktemp("int8") / "bundle")


@pytest.fixture(scope="module")
def w4a4(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return quantized("w4a4", tmp_path_factory.mktemp("w4a4") / "bundle")


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    network = random_network(11, GRID)
    graphs = NetworkGraphs.fold(network)
    folder = tmp_path_factory.mktemp("fp32") / "bundle"
    bundle = write_bundle(network, graphs, folder, "test", BundleSettings())
    return Exported(graphs, bundle, random_frames(11, GRID, (1, 2))[1])


def engine(exported: Exported, name: str, shapes: dict[str, tuple[int, ...]]) -> OpenVinoEngine:
    return OpenVinoEngine(exported.bundle.engine_path(name), shapes, threads=2)


def nchw(array: npt.NDArray[Any], scale: float = 1.0) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float64) * scale).permute(0, 3, 1, 2)


def run_with_insides(
    model: onnx.ModelProto, tensors: list[str], inputs: dict[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    """Run a model in OpenVINO and return the numbers of its quantized tensors, (1, C, H, W)."""
    kinds = {i.name: i.data_type for i in model.graph.initializer}
    known = {output.name for output in model.graph.output}
    for name in tensors:
        kind = kinds[f"{name}.zero_point"]
        if f"{name}.q" not in known:
            model.graph.output.append(onnx.helper.make_tensor_value_info(f"{name}.q", kind, None))
    core = openvino.Core()
    network = core.read_model(model.SerializeToString())
    network.reshape({name: list(value.shape) for name, value in inputs.items()})
    compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    request.infer(inputs)
    numbers = {name: request.get_tensor(f"{name}.q").data.copy() for name in tensors}
    if "decoded" in numbers:  # looked up cell by cell, so channels last
        numbers["decoded"] = numbers["decoded"].transpose(0, 3, 1, 2)
    return numbers


@pytest.mark.parametrize("precision", ["int8", "w4a4"])
@pytest.mark.parametrize("name", ["encoder", "pyramid", "head"])
def test_every_int8_layer_equals_its_simulation(
    name: str, precision: str, request: pytest.FixtureRequest
) -> None:
    """Layer by layer, from the engine's own inputs: a whole stack would amplify single steps."""
    int8: Exported = request.getfixturevalue(precision)
    generator = np.random.default_rng(0)
    inputs: dict[str, npt.NDArray[Any]] = {
        f"{tensor}_nhwc": generator.integers(0, 160, (1, *shape)).astype(np.uint8)
        for tensor, shape in BORDERS[name].items()
    }
    if name == "pyramid":
        inputs = {"indices": generator.integers(0, 128, (1, 3, 64, 64)).astype(np.uint8)}
    graph, scales = int8.graphs.graphs[name], int8.graphs.graph_scales(name)
    made = [c for c in graph.convolutions if c.target in scales]
    inside = [c.target for c in made] + (["decoded"] if name == "pyramid" else [])
    numbers = run_with_insides(onnx.load(int8.bundle.engine_path(name)), inside, inputs)
    numbers.update(
        {
            spec.name: inputs[f"{spec.name}_nhwc"].transpose(0, 3, 1, 2)
            for spec in graph.inputs
            if spec.name not in numbers
        }
    )
    for node in graph.nodes:
        if isinstance(node, Concatenation):
            numbers[node.target] = np.concatenate([numbers[n] for n in node.sources], axis=1)
    values = {
        k: torch.from_numpy(v.astype(np.float64)) * scales[k].scale for k, v in numbers.items()
    }
    distinct: list[int] = []
    for node in made:
        sources = tuple(TensorSpec(n, 1) for n in dict.fromkeys((node.source, node.residual)) if n)
        alone = LayerGraph("alone", sources, (node,), ())
        run = GraphExecutor(alone, scales, int8.graphs.graph_weights(name), torch.float64)
        expected = torch.round(run(values)[node.target] / scales[node.target].scale).numpy()
        difference = np.abs(numbers[node.target] - expected)
        low, high = scales[node.target].limits
        # joined tensors share a scale, and with 4 bits the smallest of them can vanish
        assert len(np.unique(expected)) > 5 or scales[node.target].bits == 4, node.name
        assert numbers[node.target].min() >= low, node.name
        assert numbers[node.target].max() <= high, node.name
        distinct.append(len(np.unique(expected)))
        # float32 against float64 where a value lies on the border between two steps
        assert difference.max() <= 1, node.name
        assert (difference > 0).mean() < 1e-3, node.name
    assert np.median(distinct) > 5


def test_int8_head_outputs_equal_their_simulation(int8: Exported) -> None:
    generator = np.random.default_rng(0)
    fused = {
        name: generator.integers(0, 160, (1, *shape)).astype(np.uint8)
        for name, shape in BORDERS["head"].items()
    }
    head = engine(int8, "head", {f"{name}_nhwc": value.shape for name, value in fused.items()})
    outputs = head.run({f"{name}_nhwc": value for name, value in fused.items()})
    simulated = int8.graphs.executor("head", torch.float64)(
        {name: nchw(value, int8.bundle.scale(name) or 0) for name, value in fused.items()}
    )
    weights = {node.name: node.weight for node in int8.graphs.graphs["head"].convolutions}
    scale = int8.graphs.graph_scales("head")["shrink1"].scale
    for name in ("cls", "reg", "dir"):
        expected = simulated[name].permute(0, 2, 3, 1).numpy()
        error = np.abs(outputs[f"{name}_nhwc"] - expected)
        # near a tie the two may round the heads' input to different steps, in a few of its channels
        step = scale * np.abs(weights[name]).max()
        assert (error > step).mean() < 0.01
        assert error.max() < 8 * step


def test_a_whole_int8_frame_equals_its_simulation(int8: Exported) -> None:
    expected = run_frame(int8.graphs, int8.frame, dtype=torch.float64)
    encoder = AgentEncoder(int8.bundle, threads=2)
    detector = CooperativeDetector(int8.bundle, threads=2)
    indices = [encoder.encode(cloud).indices for cloud in int8.frame.clouds]
    codes = expected["indices"].numpy()
    assert (np.stack(indices) == codes).mean() > 0.99
    maps = detector.head_maps([detector.pyramid(code) for code in codes], int8.frame.ego_to_agent)
    reference = expected["cls"][0].permute(1, 2, 0).numpy()
    # fifty layers of random weights amplify single steps
    assert np.abs(maps.cls - reference).mean() < 0.01 * np.abs(reference).max()


def precisions(exported: Exported, name: str) -> dict[str, str]:
    """In which precision each convolution of an engine runs, by its name in the graph."""
    shapes: dict[str, tuple[int, ...]] = {"indices": (1, 3, 64, 64)}
    if name != "pyramid":
        shapes = {f"{tensor}_nhwc": (1, *shape) for tensor, shape in BORDERS[name].items()}
    layers = engine(exported, name, shapes).layer_precisions()
    convolutions = exported.graphs.graphs[name].convolutions
    assert len(layers) == len(convolutions)
    return {
        node.name: precision
        for node in convolutions
        for layer, precision in layers.items()
        if f"{node.name}.conv" in layer
    }


@pytest.mark.parametrize("name", ["encoder", "pyramid", "head"])
def test_every_convolution_of_an_int8_engine_runs_in_int8(name: str, int8: Exported) -> None:
    found = precisions(int8, name)
    assert set(found) == {node.name for node in int8.graphs.graphs[name].convolutions}
    assert set(found.values()) == {"I8"}


def test_heads_keep_full_precision_where_asked(int8: Exported, tmp_path: Path) -> None:
    network = random_network(11, GRID)
    graphs = quantize_network(
        network, random_frames(11, GRID, (1,)), QuantizationConfig(heads="fp32")
    )
    bundle = write_bundle(network, graphs, tmp_path / "bundle", "test", BundleSettings())
    exported = Exported(graphs, bundle, int8.frame)
    for name in ("pyramid", "head"):
        for layer, precision in precisions(exported, name).items():
            assert precision == ("f32" if layer in HEADS else "I8"), layer


def test_an_fp32_engine_computes_in_fp32(fp32: Exported) -> None:
    for name in ("encoder", "pyramid", "head"):
        assert set(precisions(fp32, name).values()) == {"f32"}


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_fuse_engine_equals_warp_and_head_engine(
    precision: str, request: pytest.FixtureRequest
) -> None:
    exported: Exported = request.getfixturevalue(precision)
    detector = CooperativeDetector(exported.bundle, threads=2)
    encoder = AgentEncoder(exported.bundle, threads=2)
    pyramids = [detector.pyramid(encoder.encode(c).indices) for c in exported.frame.clouds]
    transforms = exported.frame.ego_to_agent
    expected = detector.head_maps(pyramids, transforms)
    thetas = np.stack([warp_theta(m, GRID) for m in transforms])
    inputs: dict[str, npt.NDArray[Any]] = {"theta": np.ascontiguousarray(thetas, np.float32)}
    for level in range(3):
        inputs[f"level{level}_nhwc"] = np.stack([p.features[level] for p in pyramids])
        inputs[f"score{level}_nhwc"] = np.stack([p.scores[level] for p in pyramids])[..., None]
    fuse = engine(exported, "fuse", {name: value.shape for name, value in inputs.items()})
    actual = fuse.run(inputs)
    for name in ("cls", "reg", "dir"):
        wanted = getattr(expected, name)
        error = np.abs(actual[f"{name}_nhwc"][0] - wanted) / np.abs(wanted).max()
        # sampling positions in float32 move values by less than a step, and decide at a map's
        # edge whether a border cell is reached
        assert error.mean() < (2e-4 if precision == "fp32" else 2e-3)
        assert np.quantile(error, 0.999) < 0.02


def test_int8_fusion_rounds_what_the_float_fusion_gives(int8: Exported) -> None:
    generator = np.random.default_rng(1)
    features = generator.integers(0, 200, (2, 16, 16, 8)).astype(np.uint8)
    scores = generator.random((2, 16, 16)).astype(np.float32) + 0.1
    thetas = np.stack([warp_theta(m, GRID) for m in int8.frame.ego_to_agent])
    exact = fuse_scale(features.astype(np.float32) * 0.5, scores, thetas)
    rounded = fuse_scale(features, scores, thetas, scale_in=0.5, scale_out=0.4)
    np.testing.assert_allclose(rounded * 0.4, exact, atol=0.2 + 1e-4)
