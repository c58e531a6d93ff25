# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Watches which channels of a network's ReLUs ever fire, while it is validated.

Validation frames are whole, and few: looking at all their activations costs little beside the
convolutions, and training steps cost nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from quantv2x_ros.inference.model.health import MOST_SILENT

#: ReLU, however it is called.
RELUS = frozenset(
    {
        torch.relu,
        torch.relu_,
        torch.Tensor.relu,
        torch.Tensor.relu_,
        nn.functional.relu,
        nn.functional.relu_,
    }
)
_LOGGER = logging.getLogger(__name__)


class FiringChannels(TorchFunctionMode):
    """Collects, while it is entered, which channels of each ReLU of a network are ever above 0.

    A ReLU is called after the module that calls it, and its number there if it calls several:
    ``backbone.0.relu0``. So modules with layers of their own and those that call functions count
    alike.

    Args:
        network: whose ReLUs count; the channels are dimension 1.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.fired: dict[str, torch.Tensor] = {}
        self._network = network
        self._handles: list[RemovableHandle] = []
        self._inside: list[list[Any]] = []  # name, and ReLUs so far, of the modules that run

    def __enter__(self) -> FiringChannels:
        """Begin to watch."""
        for name, module in self._network.named_modules():
            self._handles.append(module.register_forward_pre_hook(self._opens(name)))
            self._handles.append(module.register_forward_hook(self._closes, always_call=True))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        """End watching."""
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._inside.clear()

    def _opens(self, name: str) -> Callable[[nn.Module, Any], None]:
        def hook(module: nn.Module, inputs: Any) -> None:
            self._inside.append([name, 0])

        return hook

    def _closes(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._inside.pop()

    def __torch_function__(
        self,
        function: Any,
        types: Any,
        arguments: Sequence[Any] = (),
        named: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a function of torch, and look at what a ReLU of the network gives."""
        result = function(*arguments, **(named or {}))
        if function in RELUS and self._inside and result.ndim >= 2:
            self._take(result.detach())
        return result

    def _take(self, value: torch.Tensor) -> None:
        name, number = self._inside[-1]
        self._inside[-1][1] += 1
        key = f"{name}.relu{number}"
        axes = [axis for axis in range(value.ndim) if axis != 1]
        fired = value.amax(axes) > 0
        self.fired[key] = fired | self.fired.get(key, torch.zeros_like(fired))


class ChannelHealth(Callback):
    """Logs, after each validation, the share of each layer's channels that never fired in it.

    To TensorBoard as ``silent/<layer>``, and to the terminal: the sum, every layer that has such
    channels, and a warning for those with more than `MOST_SILENT` of them.
    """

    def __init__(self) -> None:
        self._firing: FiringChannels | None = None

    def on_validation_epoch_start(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        """Begin to watch."""
        network = module.network
        assert isinstance(network, nn.Module)
        self._firing = FiringChannels(network)
        self._firing.__enter__()

    def on_validation_epoch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        """Log what was seen by all processes."""
        fired = self._stop()
        silent = {}
        for name, channels in sorted(fired.items()):
            everywhere = trainer.strategy.reduce(channels.int(), reduce_op="max")
            assert isinstance(everywhere, torch.Tensor)
            silent[name] = (int((everywhere == 0).sum()), len(everywhere))
        shares = {f"silent/{name}": count / of for name, (count, of) in silent.items()}
        module.log_dict(shares, rank_zero_only=True)
        if trainer.is_global_zero:
            report(silent)

    def on_exception(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        """End watching where a validation was cut short."""
        self._stop()

    def _stop(self) -> dict[str, torch.Tensor]:
        if self._firing is None:
            return {}
        firing, self._firing = self._firing, None
        firing.__exit__(None, None, None)
        return firing.fired


def report(silent: Mapping[str, tuple[int, int]]) -> None:
    """Say which layers have channels that never fired.

    Args:
        silent: such channels, and all channels, by layer.
    """
    total = sum(of for _, of in silent.values())
    count = sum(number for number, _ in silent.values())
    alive = sum(number == 0 for number, _ in silent.values())
    print(
        f"{count} of {total} channels never fired on the validation frames"
        f" ({100.0 * count / max(1, total):.1f} %); {alive} of {len(silent)} layers have none of"
        " them",
        flush=True,
    )
    for name, (number, of) in silent.items():
        if number > MOST_SILENT * of:
            _LOGGER.warning(
                "%s: %d of %d channels never fired, and learn nothing any more"
                ' (docs/training.md, "Channels that never fire")',
                name,
                number,
                of,
            )
        elif number:
            print(f"{name}: {number} of {of} channels never fired", flush=True)
