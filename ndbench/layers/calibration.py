"""Averages from data, for layers whose weights make up for them."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ndbench.layers.whitening import Whitening
from ndbench.operations.deconvolution import deconvolve


@torch.no_grad()
def calibrate(
    model: nn.Module,
    layers: Sequence[Whitening],
    batches: Iterable[Any],
    rows: Mapping[Whitening, tuple[str, str]] = MappingProxyType({}),
) -> None:
    """Give layers that compute the plain w and b the averages of data, and weights that still compute w and b.

    With mean and D of the data, as they reach each layer in evaluation,

        w' = D^(-1) w,    b' = b + mean . w,

    so that evaluation stays what it is, and training, which whitens by the batch, begins near it: the nearer the
    statistics of a batch are to those of all.

    Args:
        model: the network that holds the layers.
        layers: of it, with mean 0 and D = I. Those that evaluation does not call stay as they are.
        batches: inputs, or tuples and lists whose first is one; all count alike.
        rows: layers that must see inputs (N, C), with their names and those of the batch normalizations that are
            folded into them.

    Raises:
        ValueError: if there is no batch, statistics are not finite, or an input of these has other dimensions.
    """
    modes = {module: module.training for module in model.modules()}
    seen = {layer: _observer(layer) for layer in layers}
    hooks = [
        layer.register_forward_pre_hook(lambda one, inputs, named: _see(seen[one], *inputs, **named), with_kwargs=True)
        for layer in layers
    ]
    hooks += [
        layer.register_forward_pre_hook(partial(_require_rows, names), with_kwargs=True)
        for layer, names in rows.items()
    ]
    try:
        model.eval()
        count = sum(1 for _ in map(model, map(_input, batches)))
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    if not count:
        raise ValueError("convert: data must hold at least one batch")
    for layer, observer in seen.items():
        if observer.num_batches_tracked:
            _absorb(layer, observer)


def _input(batch: Any) -> Any:
    """What the model is called with."""
    return batch[0] if isinstance(batch, (tuple, list)) and batch else batch


def _require_rows(
    names: tuple[str, str], layer: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor]
) -> None:
    layer_name, norm = names
    (x,) = (*inputs, *named.values())
    if x.ndim != 2:
        raise ValueError(
            f"convert: {norm} was taken to normalize outputs (N, C) of {layer_name}, whose inputs have shape "
            f"{tuple(x.shape)}; name {norm} in leave"
        )


def _observer(layer: Whitening) -> Any:
    """A copy of the layer that averages all batches alike."""
    observer = copy.deepcopy(layer).train()
    observer.options = replace(layer.options, momentum=None, freeze_after=None)
    return observer


def _see(observer: Whitening, input: Tensor) -> None:
    observer.require(input)
    observer.mean_and_root(observer.batched(input))


def _absorb(layer: Any, observer: Any) -> None:
    """Take over the averages, and undo them in weight and bias."""
    for name, average in observer.named_buffers():
        getattr(layer, name).copy_(average)
    if layer.options.freeze_after is not None:
        # of training
        layer.options = replace(layer.options, freeze_after=layer.options.freeze_after + int(layer.num_batches_tracked))
    mean, D = (average.double() for average in layer.averages())
    weight, grouping = layer.weight.double(), layer.grouping
    new, _ = deconvolve(weight, None, torch.zeros_like(mean), torch.linalg.inv(D), grouping=grouping)
    _, shift = deconvolve(new, None, mean, D, grouping=grouping)
    layer.weight.copy_(new)
    if layer.bias is None:
        layer.bias = nn.Parameter(-shift.to(layer.weight.dtype), requires_grad=layer.weight.requires_grad)
    else:
        layer.bias.copy_(layer.bias - shift)
