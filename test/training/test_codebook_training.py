# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The codebook learns: its start, its use, codewords that nobody uses, and sampling."""

import pytest
import torch

from quantv2x_ros.training.codebook import Noise, TrainableCodebook
from quantv2x_ros.training.codebook_init import initialise_codebook
from quantv2x_ros.training.codebook_usage import CodebookUsage, revive


def some_features(cells=4000):
    generator = torch.Generator().manual_seed(1)
    mixed = torch.randn(16, 64, generator=generator)
    return torch.randn(cells, 16, generator=generator) @ mixed


def error(codebook, features):
    codes, _, _ = codebook.encode(features)
    return float(((codebook.decode(codes) - features) ** 2).mean().detach())


def as_maps(features):
    return features.T.reshape(1, 64, 40, -1)


def test_every_level_of_the_initial_codebook_lowers_the_error():
    features = some_features()
    errors = []
    for levels in (1, 2, 3):
        codebook = TrainableCodebook(64, levels=levels, size=32)
        initialise_codebook(codebook, features, seed=0)
        errors.append(error(codebook, features))
    assert errors[0] < 0.7 * float((features**2).mean())
    assert errors[2] < errors[1] < errors[0]


def test_use_and_perplexity_are_those_of_the_codes():
    usage = CodebookUsage(2, 4)
    usage.add(torch.tensor([[[[0, 1], [2, 3]], [[1, 1], [1, 1]]]], dtype=torch.uint8))
    assert usage.used().tolist() == [1.0, 0.25]
    assert usage.perplexity().tolist() == pytest.approx([4.0, 1.0])
    usage.reset()
    assert usage.used().tolist() == [0.0, 0.0]


@pytest.mark.parametrize("segments", [1, 2])
def test_dead_codewords_come_back_to_life_and_lower_the_error(segments):
    features = some_features()
    codebook = TrainableCodebook(64, levels=2, segments=segments, size=16)
    with torch.no_grad():
        for level in codebook.ordered_levels():
            level.codebook[:, 4:] += 1000.0  # where no feature is
    usage = CodebookUsage(*codebook.shape)
    usage.add(codebook(as_maps(features)).indices)
    assert (usage.used() <= 0.25).all()
    before = error(codebook, features)
    moved = revive(codebook, features, usage, torch.Generator().manual_seed(0))
    assert moved == int((usage.counts == 0).sum())
    usage.reset()
    usage.add(codebook(as_maps(features)).indices)
    assert (usage.used() > 0.8).all()
    assert error(codebook, features) < before


def test_codewords_in_use_stay_where_they_are():
    features = some_features()
    codebook = TrainableCodebook(64, levels=1, size=16)
    initialise_codebook(codebook, features, seed=0)
    usage = CodebookUsage(*codebook.shape)
    usage.add(codebook(as_maps(features)).indices)
    before = codebook.levels[0].codebook.clone()
    alive = usage.counts[0] > 0
    revive(codebook, features, usage, torch.Generator().manual_seed(0))
    assert torch.equal(codebook.levels[0].codebook[0, alive], before[0, alive])


def test_gumbel_noise_repeats_with_its_generator_and_vanishes_without():
    codebook = TrainableCodebook(64, levels=2, size=16)
    maps = as_maps(some_features(800))

    def codes(seed):
        noise = None if seed is None else Noise(1.0, torch.Generator().manual_seed(seed))
        return codebook(maps, noise).indices

    assert torch.equal(codes(1), codes(1))
    assert not torch.equal(codes(1), codes(2))
    assert torch.equal(codes(None), codes(None))
    nearest = codebook.levels[0].assign(maps.permute(0, 2, 3, 1).reshape(-1, 64))
    assert torch.equal(codes(None)[0, 0].flatten().long(), nearest[:, 0])


def test_with_gumbel_noise_codewords_that_were_not_drawn_learn_too():
    codebook = TrainableCodebook(64, levels=1, size=64)
    maps = as_maps(some_features(80) * 0.01)

    def moved(noise):
        codebook.zero_grad()
        codebook(maps, noise).features.square().sum().backward()
        return int((codebook.levels[0].codebook.grad.abs().sum(-1) > 0).sum())

    assert moved(Noise(1.0, torch.Generator().manual_seed(0))) > moved(None)


@pytest.mark.parametrize("gumbel", [False, True])
def test_training_lowers_the_error(gumbel):
    torch.manual_seed(0)
    features = some_features(800) * 0.3
    codebook = TrainableCodebook(64, levels=2, size=16)
    initialise_codebook(codebook, features, seed=0)
    optimizer = torch.optim.Adam(codebook.parameters(), lr=3e-4)
    generator = torch.Generator().manual_seed(0)
    before = error(codebook, features)
    for _ in range(80):
        noise = Noise(0.5, generator) if gumbel else None
        optimizer.zero_grad()
        codebook(as_maps(features), noise).loss.backward()
        optimizer.step()
    assert error(codebook, features) < 0.98 * before
