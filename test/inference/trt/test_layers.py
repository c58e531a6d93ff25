# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading layers and precisions of an engine, in the words of each TensorRT."""

from __future__ import annotations

import json

import pytest

from quantv2x_ros.inference.engine.engine import EngineError
from quantv2x_ros.inference.trt.layers import (
    EngineLayer,
    check_int8,
    layers_from_inspector,
    layers_from_log,
)

LOG = """Engine Layer Information:
Name: __myl_CastTran_0, LayerType: kgen, Inputs: [ { Name: x, Dimensions: [1,64], Datatype: UInt8, \
Format: (Linear) }], Constants: [ { Name: c, Datatype: Float }], Outputs: [], TacticName: a
Name: block0.conv1.conv_U39_myl0_2, LayerType: correlation, Inputs: [ { Name: y, Datatype: Int8, \
Format: (NHWC) }], Constants: [ { Name: w, Datatype: Float }], Outputs: [], TacticName: b
"""
#: As TensorRT 10 words it.
JSON = json.dumps(
    {
        "Layers": [
            {
                "Name": "block0.conv1.weight + QuantizeLinear + block0.conv1.conv",
                "LayerType": "CaskConvolution",
                "ParameterType": "Convolution",
                "Inputs": [{"Name": "x", "Format/Datatype": "Row major Int8 format"}],
            },
            {
                "Name": "Reformat",
                "LayerType": "Reformat",
                "Inputs": [{"Name": "x", "Format/Datatype": "Row major linear FP32"}],
            },
        ],
        "Bindings": ["x"],
    }
)


@pytest.mark.parametrize(
    "layers", [layers_from_log(LOG), layers_from_inspector(JSON)], ids=["log", "inspector"]
)
def test_convolutions_and_their_types_are_found(layers: list[EngineLayer]) -> None:
    assert len(layers) == 2
    (kernel,) = [layer for layer in layers if layer.is_convolution]
    assert kernel.computes("block0.conv1.conv")
    assert kernel.is_int8
    assert check_int8(layers, ["block0.conv1.conv"]) == {"block0.conv1.conv": "int8"}


def test_a_name_within_another_name_is_not_it() -> None:
    layer = EngineLayer("level0.block0.conv1.conv_U3", "correlation", ("int8",))
    assert layer.computes("level0.block0.conv1.conv")
    assert not layer.computes("block0.conv1.conv")
    assert not layer.computes("level0.block0.conv1")


def test_a_convolution_that_no_layer_computes_is_an_error() -> None:
    with pytest.raises(EngineError, match=r"1 of 2 .*block9\.conv \(not found\)"):
        check_int8(layers_from_log(LOG), ["block0.conv1.conv", "block9.conv"])


def test_uint8_is_not_int8() -> None:
    layer = EngineLayer("a.conv_1", "correlation", ("uint8",))
    with pytest.raises(EngineError, match=r"a\.conv \(uint8\)"):
        check_int8([layer], ["a.conv"])


def test_one_of_two_kernels_in_another_precision_is_an_error() -> None:
    layers = [
        EngineLayer("a.conv_part1", "correlation", ("int8",)),
        EngineLayer("a.conv_part2", "correlation", ("half",)),
    ]
    with pytest.raises(EngineError, match=r"a\.conv \(half\)"):
        check_int8(layers, ["a.conv"])


def test_an_engine_without_details_says_so() -> None:
    with pytest.raises(EngineError, match="build it again"):
        layers_from_inspector(json.dumps({"Layers": ["conv1", "conv2"]}))
