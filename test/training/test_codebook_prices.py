# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Codewords with prices: fewer bits, a little more error, the same choice in the tables."""

import numpy as np
import pytest
import torch

from quantv2x_ros.core.codebook.codebook import ResidualCodebook
from quantv2x_ros.core.codebook.folding import CodebookError
from quantv2x_ros.training.codebook import TrainableCodebook
from quantv2x_ros.training.codebook_init import initialise_codebook, set_prices
from quantv2x_ros.training.codebook_usage import CodebookUsage
from quantv2x_ros.training.config import CodebookSection, TrainingConfigError
from quantv2x_ros.training.published import to_published


def some_features(cells=6000):
    """Most cells are background, as in a map."""
    generator = torch.Generator().manual_seed(1)
    mixed = torch.randn(16, 64, generator=generator)
    features = torch.randn(cells, 16, generator=generator) @ mixed
    features[: cells * 3 // 4] = 0.1 * features[: cells * 3 // 4] + 1.0
    return features


def trained_codebook(segments=1):
    codebook = TrainableCodebook(64, levels=2, segments=segments, size=16)
    initialise_codebook(codebook, some_features(), seed=0)
    return codebook


def entropy(codebook, features):
    """Bits a cell of an ideal coder that knows how often each codeword is chosen."""
    codes, _, _ = codebook.encode(features)
    usage = CodebookUsage(*codebook.shape)
    usage.add(codes.reshape(len(features), -1).T[None, :, :, None])
    return float(usage.perplexity().log2().sum())


def error(codebook, features):
    codes, _, _ = codebook.encode(features)
    return float(((codebook.decode(codes) - features) ** 2).mean().detach())


@pytest.mark.parametrize("segments", [1, 2])
def test_the_dearer_a_bit_the_fewer_are_sent_and_the_larger_the_error(segments):
    features, codebook = some_features(), trained_codebook(segments)
    found = []
    for bit_cost in (0.0, 0.3, 1.0):
        set_prices(codebook, features, bit_cost)
        found.append((entropy(codebook, features), error(codebook, features)))
    bits, errors = zip(*found, strict=True)
    assert bits[0] > bits[1] > bits[2]
    assert errors[0] < errors[1] < errors[2]


def test_bits_are_those_of_the_choice_without_prices():
    features, codebook = some_features(), trained_codebook()
    free = set_prices(codebook, features, 0.0)
    assert all(not level.price.any() for level in codebook.ordered_levels())
    set_prices(codebook, features, 2.0)
    assert torch.equal(set_prices(codebook, features, 0.5), free)
    assert torch.exp2(-free).sum(dim=1).tolist() == pytest.approx([1.0, 1.0])


def test_the_folded_tables_choose_the_same_codewords():
    features, codebook = some_features(), trained_codebook(segments=2)
    set_prices(codebook, features, 0.5)
    state = {f"codebook.{name}": value for name, value in codebook.state_dict().items()}
    folded = ResidualCodebook.from_layers(to_published(state))
    with torch.no_grad():
        codes, _, _ = codebook.encode(features)
    wanted = codes.reshape(len(features), -1).T.numpy()
    same = folded.encode(features.numpy()) == wanted
    assert same.mean() > 0.999  # ties may fall either way
    free = {name: value for name, value in state.items() if not name.endswith("price")}
    without = ResidualCodebook.from_layers(to_published(free))
    assert (without.encode(features.numpy()) != wanted).any()
    assert without.fingerprint == folded.fingerprint  # receivers need not know


def test_a_price_of_another_shape_is_refused():
    state = {f"codebook.{k}": v for k, v in trained_codebook().state_dict().items()}
    arrays = to_published(state)
    arrays["codebook._encoders.0._quantizer._price"] = np.zeros((1, 3), np.float32)
    with pytest.raises(CodebookError, match=r"_price has the shape \(1, 3\), expected \(1, 16\)"):
        ResidualCodebook.from_layers(arrays)


def test_a_checkpoint_without_prices_is_one_of_free_codewords():
    features, codebook = some_features(), trained_codebook()
    set_prices(codebook, features, 0.5)
    state = {k: v for k, v in codebook.state_dict().items() if not k.endswith("price")}
    codebook.load_state_dict(state)
    assert all(not level.price.any() for level in codebook.ordered_levels())


@pytest.mark.parametrize("bit_cost", [-0.1, 11.0, float("nan")])
def test_a_bit_cost_out_of_range_is_refused(bit_cost):
    with pytest.raises(TrainingConfigError, match="bit_cost"):
        CodebookSection(bit_cost=bit_cost)
