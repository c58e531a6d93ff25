# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""In which precision the layers of a built TensorRT engine run.

TensorRT tells it in two ways: as JSON through the engine inspector, which needs a GPU, and as text
in the build log. Both are read here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from quantv2x_ros.inference.engine.engine import EngineError

#: Beginning of the message in the build log.
LOG_MARK = "LayerType:"
_LINE = re.compile(r"^\s*Name: (?P<name>.*?), LayerType: (?P<kind>[^,]*), Inputs: \[(?P<rest>.*)$")
_TYPE = re.compile(r"(?:Format/)?Datatype: ([^,}]*)")
_CONVOLUTIONS = ("correlation", "conv")


@dataclass(frozen=True)
class EngineLayer:
    """A layer of a built engine.

    Attributes:
        name: made of the names of the ONNX nodes that it computes.
        kind: TensorRT's name for the type of kernel.
        input_types: type of each input that is not constant, lower case, such as ``int8``.
    """

    name: str
    kind: str
    input_types: tuple[str, ...]

    def computes(self, node: str) -> bool:
        """Whether it computes an ONNX node."""
        return re.search(rf"(?<![\w.]){re.escape(node)}(?![A-Za-z0-9.])", self.name) is not None

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution kernel."""
        return any(word in self.kind.lower() for word in _CONVOLUTIONS)

    @property
    def is_int8(self) -> bool:
        """Whether it reads 8-bit integers."""
        return bool(self.input_types) and "int8" in self.input_types[0].split()


def layers_from_log(message: str) -> list[EngineLayer]:
    """Read the layers from the message of the build log that lists them."""
    layers = []
    for line in message.splitlines():
        match = _LINE.match(line)
        if match:
            inputs = match["rest"].split("Constants: [")[0].split("Outputs: [")[0]
            types = tuple(found.strip().lower() for found in _TYPE.findall(inputs))
            layers.append(EngineLayer(match["name"], match["kind"], types))
    return layers


def layers_from_inspector(text: str) -> list[EngineLayer]:
    """Read the layers from the engine inspector's JSON.

    Raises:
        EngineError: where the engine was built without detailed profiling verbosity.
    """
    layers = []
    for layer in json.loads(text)["Layers"]:
        if not isinstance(layer, dict):
            raise EngineError("the engine tells its layers' names only; build it again")
        inputs = layer.get("Inputs", [])
        types = tuple(
            str(item.get("Datatype", item.get("Format/Datatype", ""))).lower() for item in inputs
        )
        kind = str(layer.get("ParameterType") or layer.get("LayerType", ""))
        layers.append(EngineLayer(str(layer["Name"]), kind, types))
    return layers


def check_int8(layers: Iterable[EngineLayer], convolutions: Iterable[str]) -> dict[str, str]:
    """Check that each convolution of the ONNX file became an int8 kernel.

    Args:
        layers: layers of the built engine.
        convolutions: names of the ONNX nodes.

    Returns:
        Type of input by name of convolution.

    Raises:
        EngineError: naming the convolutions that run in another precision, or that no layer
            computes.
    """
    found = {}
    kernels = [layer for layer in layers if layer.is_convolution]
    for node in convolutions:
        own = [layer for layer in kernels if layer.computes(node)]
        found[node] = own[0].input_types[0] if own and own[0].input_types else "not found"
        if own and not all(layer.is_int8 for layer in own):
            found[node] = next(layer for layer in own if not layer.is_int8).input_types[0]
        elif own:
            found[node] = "int8"
    wrong = [f"{name} ({kind})" for name, kind in found.items() if kind != "int8"]
    if wrong:
        raise EngineError(
            f"TensorRT runs {len(wrong)} of {len(found)} convolutions not in INT8, as was asked: "
            f"{', '.join(wrong[:5])}{', …' if len(wrong) > 5 else ''}"
        )
    return found
