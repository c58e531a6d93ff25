# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Training configurations: those that come with the package, and what is wrong with others."""

from dataclasses import replace

import pytest

from quantv2x_ros.environment.resources import find_bundle, shared_folder
from quantv2x_ros.inference.model.bundle_files import CHECKPOINT_FILE
from quantv2x_ros.training.checkpoint import load_checkpoint
from quantv2x_ros.training.config import TrainingConfigError, load_config

CODEBOOK_FIELDS = ("codebook", "levels", "segments", "dict_size", "reduced", "groups", "ema")

FOLDER = shared_folder("config") / "training"


@pytest.mark.parametrize(
    ("stage", "epochs", "rate", "milestones", "codebook"),
    [(1, 20, 2e-3, (15, 25), 0.05), (2, 20, 2e-3, (15, 25), 1.0), (3, 10, 2e-4, (5, 8), 0.05)],
)
def test_published_schedules(stage, epochs, rate, milestones, codebook):
    config = load_config(FOLDER / "published" / f"stage{stage}.yaml")
    assert (config.stage, config.epochs) == (stage, epochs)
    assert config.optimizer.name == "adam"
    assert config.optimizer.learning_rate == pytest.approx(rate)
    assert config.optimizer.milestones == milestones
    assert config.losses.codebook == codebook
    assert (config.losses.focal_alpha, config.losses.focal_gamma) == (0.25, 2.0)
    assert (config.losses.positive, config.losses.box, config.losses.sigma) == (2.0, 2.0, 3.0)
    assert config.losses.direction == 0.2
    assert config.losses.occupancy == (0.4, 0.2, 0.1)


@pytest.mark.parametrize("path", sorted((FOLDER / "default").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_stage_of_the_default_bundle_builds_its_network(path):
    config = load_config(path)
    network = config.network_config()
    shipped = load_checkpoint(find_bundle("") / CHECKPOINT_FILE).config
    assert network == (shipped if config.stage != 1 else replace(shipped, levels=0))


def test_the_published_architecture_is_trained_on_simulated_scenes_by_stages_of_one_network():
    paths = sorted((FOLDER / "published_simulated").glob("*.yaml"))
    networks = {path.stem: load_config(path).network_config() for path in paths}
    assert {network.architecture for network in networks.values()} == {"published"}
    # an experiment in training alone: its BatchNorm folds away at export
    assert networks.pop("receiver_normed") == replace(networks["receiver"], shrink_norm=True)
    assert {replace(network, levels=0) for network in networks.values()} == {
        replace(networks["stage3"], levels=0)
    }


@pytest.mark.parametrize("stage", [2, 3])
def test_revqoms_stages_code_24_bits_a_cell(stage):
    config = load_config(FOLDER / "revqom" / f"stage{stage}.yaml")
    codebook = config.network_config().make_codebook()
    planes, size = codebook.shape
    assert planes * (size - 1).bit_length() == 24
    assert config.stage == stage


def test_revqom_goes_on_from_the_default_bundle_with_30_bits_a_cell():
    config = load_config(FOLDER / "revqom" / "default_bundle.yaml")
    network = config.network_config()
    planes, size = network.make_codebook().shape
    assert planes * (size - 1).bit_length() == 30
    before = load_config(FOLDER / "default" / "stage1.yaml").network_config()
    plain = replace(network, **{name: getattr(before, name) for name in CODEBOOK_FIELDS})
    assert plain == before
    assert config.samples.window is None, "normalised over whole maps"


def test_overrides_replace_the_file(tmp_path):
    path = tmp_path / "stage.yaml"
    path.write_text("stage: 1\nepochs: 3\noptimizer: {learning_rate: 1}\n")
    config = load_config(path, {"epochs": 5, "seed": 7})
    assert (config.epochs, config.seed, config.optimizer.learning_rate) == (5, 7, 1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 2", "'stage' is missing"),
        ("stage: 4", "stage must be 1, 2 or 3, got 4"),
        ("stage: 1\nepoch: 2", "unknown key 'epoch'; allowed are stage"),
        ("stage: 1\nlosses: {bx: 2.0}", "unknown key 'losses.bx'"),
        ("stage: 1\nepochs: two", "epochs must be a int, got 'two'"),
        ("stage: 1\nepochs: true", "epochs must be a int, got True"),
        ("stage: 1\nbatch: 0", "batch must be 1 or more, got 0"),
        ("stage: 1\ngrid: {voxel_size: [0.4]}", "grid.voxel_size must be a list of 3"),
        ("stage: 1\nsamples: 3", "must be a section"),
        ("stage: 1\noptimizer: {name: sgd}", "adam or adamw, got 'sgd'"),
        ("stage: 1\ncodebook: {sampling: soft}", "nearest or gumbel, got 'soft'"),
        ("stage: 1\nprecision: 16", "precision must be a str, got 16"),
        (
            "stage: 3\nnetwork: {codebook: revqom}\ncodebook: {sampling: gumbel}",
            "must be nearest, got gumbel",
        ),
        ("- 1\n- 2", "expected keys and values, got list"),
        ("stage: [", "not readable as YAML"),
    ],
)
def test_a_bad_configuration_names_file_key_and_what_is_allowed(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(TrainingConfigError) as error:
        load_config(path)
    assert message in str(error.value)
    assert "bad.yaml" in str(error.value)
