# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""ReVQom's codebook learns, and what is exported codes and decodes as it does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from quantv2x_ros.core.codebook.codebook import ResidualCodebook
from quantv2x_ros.core.codebook.folding import CodebookError
from quantv2x_ros.core.coding.wire import EntropyModel, decode_indices, encode_indices
from quantv2x_ros.core.detection.detection import detect
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.inference.detector import CooperativeDetector
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.training.checkpoint import load_checkpoint, save_checkpoint
from quantv2x_ros.training.codebook_init import initialise_codebook
from quantv2x_ros.training.codebook_usage import CodebookUsage, revive
from quantv2x_ros.training.export.bundle_writer import export_bundle
from quantv2x_ros.training.export.random_bundle import (
    SMALL_RANGE,
    VOXEL,
    random_frames,
    random_network,
)
from quantv2x_ros.training.graphs.folding import fold_codebook
from quantv2x_ros.training.network import NetworkConfig, NetworkConfigError, QuantV2XNetwork
from quantv2x_ros.training.points import pillar_input
from quantv2x_ros.training.revqom import ReVQomCodebook

GRID = BevGrid((-12.8, -12.8, -5.0, 12.8, 12.8, 1.0), (0.4, 0.4, 6.0))
SHAPE = (24, 20)


def a_map(seed=0):
    """A map like a BEV feature: most cells alike, the others in a space of few dimensions."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(12, 64, generator=generator)
    cells = torch.relu(torch.randn(SHAPE[0] * SHAPE[1], 12, generator=generator) @ mixed * 0.4)
    cells[torch.rand(len(cells), generator=generator) < 0.6] = 0.3
    return cells.T.reshape(1, 64, *SHAPE).contiguous()


def trained(stages=3, size=16):
    torch.manual_seed(0)
    codebook = ReVQomCodebook(64, 16, 4, stages, size)
    cells = a_map().permute(0, 2, 3, 1).reshape(-1, 64)
    initialise_codebook(codebook, cells, seed=0)
    return codebook.eval()


def error(codebook, maps):
    with torch.no_grad():
        return float(((codebook.eval()(maps).features - maps) ** 2).mean())


def network(stages=2, size=16):
    torch.manual_seed(0)
    config = NetworkConfig(grid=GRID, levels=stages, dict_size=size, codebook="revqom")
    return QuantV2XNetwork(config)


def test_more_stages_code_more_exactly():
    errors = [error(trained(stages), a_map()) for stages in (1, 2, 4)]
    assert errors[2] < errors[1] < errors[0] < float((a_map() ** 2).mean())


@pytest.mark.parametrize("stages", [1, 3, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_exported_tables_choose_and_decode_as_the_module_does(stages, seed):
    model = network(stages)
    model.codebook = trained(stages)
    with torch.no_grad():  # as after training: the normalisation has learned gains
        model.codebook.norm.weight.uniform_(0.5, 2.0)
        model.codebook.norm.bias.uniform_(-0.5, 0.5)
    folded = fold_codebook(model)
    maps = a_map(seed)
    with torch.no_grad():
        expected = model.codebook(maps)
    nhwc = np.ascontiguousarray(maps[0].permute(1, 2, 0).numpy())
    codes = folded.encode_map(nhwc)
    assert (codes == expected.indices[0].numpy()).mean() > 0.999
    decoded = folded.decode_map(expected.indices[0].numpy())
    np.testing.assert_allclose(
        decoded, expected.features[0].permute(1, 2, 0).numpy(), rtol=0, atol=2e-5
    )


def test_a_scaled_map_of_bytes_is_coded_as_its_values():
    model = network(2)
    model.codebook = trained(2)
    folded = fold_codebook(model)
    codes = np.random.default_rng(0).integers(0, 255, (12, 10, 64)).astype(np.uint8)
    values = codes.astype(np.float32) * np.float32(0.01)
    assert (folded.encode_map(codes, 0.01) == folded.encode_map(values)).mean() > 0.999


def test_a_map_where_all_cells_are_alike_is_coded(tmp_path):
    model = network(2)
    codes = fold_codebook(model).encode_map(np.zeros((4, 4, 64), np.float32))
    assert (codes == codes[:, :1, :1]).all()


def test_the_file_of_an_exported_codebook_keeps_its_bottleneck(tmp_path):
    folded = fold_codebook(network(2))
    folded.save(tmp_path / "codebook.npz")
    again = ResidualCodebook.load(tmp_path / "codebook.npz")
    nhwc = np.ascontiguousarray(a_map()[0].permute(1, 2, 0).numpy())
    assert (again.encode_map(nhwc) == folded.encode_map(nhwc)).all()
    assert again.fingerprint == folded.fingerprint


def test_a_file_with_half_a_bottleneck_is_refused(tmp_path):
    fold_codebook(network(2)).save(tmp_path / "codebook.npz")
    with np.load(tmp_path / "codebook.npz") as archive:
        kept = {name: archive[name] for name in archive.files if name != "bottleneck_gain"}
    np.savez(tmp_path / "broken.npz", **kept)
    with pytest.raises(CodebookError, match="bottleneck_gain"):
        ResidualCodebook.load(tmp_path / "broken.npz")


def test_codewords_follow_their_features_only_while_training():
    codebook = trained()
    before = [stage.codewords.clone() for stage in codebook.ordered_stages()]
    codebook.eval()(a_map(1))
    for stage, words in zip(codebook.ordered_stages(), before, strict=True):
        assert torch.equal(stage.codewords, words)
    start = error(codebook, a_map(1))
    codebook.train()
    for _ in range(60):
        codebook(a_map(1))
    assert not torch.equal(codebook.ordered_stages()[0].codewords, before[0])
    assert error(codebook, a_map(1)) < start


def test_gradients_reach_the_features_the_bottleneck_and_the_way_back():
    codebook = trained().train()
    maps = a_map().requires_grad_()
    result = codebook(maps)
    (result.features.square().mean() + result.loss).backward()
    assert maps.grad.abs().sum() > 0
    for name, parameter in codebook.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_dead_codewords_of_a_stage_come_back_to_life():
    codebook = trained()
    codebook.ordered_stages()[0].codewords[4:] += 1000.0
    usage = CodebookUsage(*codebook.shape)
    usage.add(codebook(a_map()).indices)
    dead = int((usage.counts == 0).sum())
    assert dead >= 12
    cells = a_map().permute(0, 2, 3, 1).reshape(-1, 64)
    assert revive(codebook, cells, usage, torch.Generator().manual_seed(0)) == dead
    usage.reset()
    usage.add(codebook(a_map()).indices)
    assert usage.used()[0] > 0.5


def test_a_bundle_with_it_sends_the_networks_codes_and_finds_the_networks_boxes(tmp_path):
    grid = BevGrid(SMALL_RANGE, VOXEL)
    model = random_network(3, grid)
    config = replace(model.config, codebook="revqom", levels=4, dict_size=64)
    coded = QuantV2XNetwork(config).eval()
    state = {k: v for k, v in model.state_dict().items() if not k.startswith("codebook.")}
    coded.load_state_dict(state, strict=False)
    frame = random_frames(1, grid, (2,))[0]
    features = coded.encode(pillar_input(frame.clouds, [grid] * 2)).detach()
    cells = features.permute(0, 2, 3, 1).reshape(-1, 64)
    initialise_codebook(coded.codebook, cells, seed=0)
    export_bundle(coded, tmp_path / "b", name="revqom", precision="fp32", calibration_frames=())

    bundle = ModelBundle.load(tmp_path / "b")
    expected = coded.forward_points(frame.clouds, frame.ego_to_agent)
    encoder, entropy_model = AgentEncoder(bundle, threads=1), EntropyModel(64)
    sent = []
    for cloud in frame.clouds:
        indices = encoder.encode(cloud).indices
        payload = encode_indices(indices, entropy_model)
        assert len(payload) < 1.01 * indices[0].size * 4 * 6 / 8 + 64  # 24 bits a cell
        sent.append(decode_indices(payload, entropy_model, indices.shape))
    codes = np.stack(sent)
    assert (codes == expected["indices"].numpy()).mean() > 0.99

    detector = CooperativeDetector(bundle, threads=1)
    pyramids = [detector.pyramid(np.asarray(item, np.uint8)) for item in codes]
    found = detector.fuse(pyramids, frame.ego_to_agent).detections
    maps = [expected[key][0].permute(1, 2, 0).numpy() for key in ("cls", "reg", "dir")]
    anchors = bundle.anchors.grid_anchors(grid)
    wanted = detect(*map(np.ascontiguousarray, maps), anchors, bundle.detection)
    assert len(found) == pytest.approx(len(wanted), abs=max(2, 0.05 * len(wanted)))


def test_a_checkpoint_keeps_the_kind_of_codebook(tmp_path):
    source = network(3)
    save_checkpoint(source, tmp_path / "network.safetensors")
    again = load_checkpoint(tmp_path / "network.safetensors")
    assert again.config == source.config
    cloud = np.zeros((1, 4), np.float32)
    codes = [m.eval().forward_points([cloud], np.eye(4)[None])["indices"] for m in (source, again)]
    assert codes[0].shape == (1, 3, 32, 32)
    assert torch.equal(*codes)


@pytest.mark.parametrize(
    "changes", [{"segments": 2}, {"groups": 3}, {"ema": 0.5}, {"codebook": "vq"}]
)
def test_a_codebook_that_cannot_be_is_refused(changes):
    with pytest.raises(NetworkConfigError):
        NetworkConfig(**{"codebook": "revqom", **changes})
