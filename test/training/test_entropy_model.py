# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An entropy model trained on a bundle's indices makes other sweeps of that bundle small."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.core.codebook.codebook import codebook_id
from quantv2x_ros.core.coding.index_model import check_tree, ways
from quantv2x_ros.core.coding.wire import EntropyModel, decode_indices, encode_indices, packed_size
from quantv2x_ros.data.v2x_real import write_agent_frame
from quantv2x_ros.inference.encoder import AgentEncoder
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.bundle_files import ENTROPY_MODEL_FILE
from quantv2x_ros.inference.model.manifest import MANIFEST_NAME, BundleError
from quantv2x_ros.training.entropy_model.learn import code_tree
from quantv2x_ros.training.export.random_bundle import random_cloud


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, bundle_folder: Path) -> Path:
    root = tmp_path_factory.mktemp("data")
    grid = ModelBundle.load(bundle_folder).grid
    for stamp in range(8):
        write_agent_frame(
            root / "scene" / "1",
            f"{stamp:06d}",
            random_cloud(stamp, grid, 6000),
            lidar_pose=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
            objects=(),
            infrastructure=False,
        )
    return root


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, bundle_folder: Path, dataset: Path
) -> ModelBundle:
    folder = tmp_path_factory.mktemp("bundle") / "trained"
    shutil.copytree(bundle_folder, folder)
    size = ["--sweeps", "8", "--steps", "80", "--batch", "512"]
    where = ["--bundle", str(folder), "--data", str(dataset)]
    result = CliRunner().invoke(app, ["train-prior", *size, *where])
    assert result.exit_code == 0, result.output
    assert "codebook id" in result.output
    return ModelBundle.load(folder)


@pytest.fixture(scope="module")
def unseen(trained: ModelBundle) -> list[npt.NDArray[np.uint8]]:
    encoder = AgentEncoder(trained)
    clouds = (random_cloud(seed, trained.grid, 6000) for seed in (100, 101))
    return [encoder.encode(cloud).indices.copy() for cloud in clouds]


def test_unseen_sweeps_get_smaller_and_come_back(
    trained: ModelBundle, unseen: list[npt.NDArray[np.uint8]]
) -> None:
    for indices in unseen:
        payload = encode_indices(indices, trained.entropy_model)
        assert len(payload) < 0.8 * packed_size(indices.shape, trained.entropy_model)
        np.testing.assert_array_equal(
            decode_indices(payload, trained.entropy_model, indices.shape), indices
        )


def test_neighbours_and_coarser_levels_are_worth_something(
    trained: ModelBundle, unseen: list[npt.NDArray[np.uint8]]
) -> None:
    """Fine levels take less beside the coarse one than alone, and cells less than shuffled."""
    indices = unseen[0]
    whole = len(encode_indices(indices, trained.entropy_model))
    parts = [indices[:1], indices[1:]]
    alone = [
        len(encode_indices(part, trained.entropy_model, 1 if i else 0))
        for i, part in enumerate(parts)
    ]
    assert whole < sum(alone)
    cells = indices.reshape(len(indices), -1)
    order = np.random.default_rng(0).permutation(cells.shape[1])
    shuffled = np.ascontiguousarray(cells[:, order].reshape(indices.shape))
    assert whole < 0.95 * len(encode_indices(shuffled, trained.entropy_model))


def test_the_prior_is_part_of_the_bundle_and_of_its_id(
    trained: ModelBundle, bundle_folder: Path, tmp_path: Path
) -> None:
    assert trained.entropy_model.model is not None
    assert trained.codebook_id == codebook_id(trained.codebook, trained.entropy_model.model)
    assert trained.codebook_id != ModelBundle.load(bundle_folder).codebook_id
    assert ModelBundle.load(bundle_folder).entropy_model == EntropyModel(trained.codebook.dict_size)
    without = tmp_path / "without"
    shutil.copytree(trained.folder, without)
    lines = (without / MANIFEST_NAME).read_text().splitlines(keepends=True)
    kept = "".join(line for line in lines if f"{ENTROPY_MODEL_FILE}:" not in line)
    (without / MANIFEST_NAME).write_text(kept)
    with pytest.raises(BundleError, match="codebook and entropy model have id"):
        ModelBundle.load(without)
    altered = tmp_path / "altered"
    shutil.copytree(trained.folder, altered)
    (altered / ENTROPY_MODEL_FILE).write_bytes(b"nothing")
    with pytest.raises(BundleError, match="was altered"):
        ModelBundle.load(altered)


@pytest.mark.parametrize("size", [2, 3, 17, 256])
def test_trees_hold_every_code_and_frequent_ones_are_near(size: int) -> None:
    generator = np.random.default_rng(size)
    counts = (1000 * generator.random(size) ** 6).astype(np.int64)
    background = int(counts.argmax())
    tree = code_tree(generator.normal(size=(size, 8)), counts, background)
    check_tree(tree, 0)
    lengths = {code: len(way) for code, way in ways(tree).items()}
    assert lengths[background] == 1
    seen = np.array([lengths[code] for code in range(size)])
    assert np.average(seen, weights=counts + 0.5) <= seen.mean() + 1e-9


def test_codes_that_nobody_saw_and_that_are_alike_have_a_place_too() -> None:
    tree = code_tree(np.zeros((9, 4)), np.zeros(9, np.int64), 4)
    check_tree(tree, 0)
