"""Layers of many processes that whiten by the statistics of all their batches together."""

from dataclasses import replace
from typing import Any, TypeVar

from torch import nn

from ndbench.layers import published
from ndbench.layers.whitening import Whitening

M = TypeVar("M", bound=nn.Module)


def convert_sync(model: M, process_group: Any = None) -> M:
    """Have every layer of a model take its statistics over the batches of all processes, as SyncBatchNorm does.

    In training, outputs, running averages and the gradients of the sum of all losses are then those of one process with
    the joined batch; batches may differ in size, and some may be empty. Evaluation never communicates. Where
    torch.distributed is not initialized the layers work alone. A process that is lost, or later than the group's
    timeout, gives the backend's RuntimeError in the others. Compiled graphs break at the reductions.

    Args:
        model: changed in place; its layers of this package, at any depth, are.
        process_group: of torch.distributed; None for all processes.

    Returns:
        the model.

    Raises:
        ValueError: if it has no layer of this package, or one that cannot be synchronized, as published:
            `ChannelDeconv`, and `FastDeconv` of one pixel, whose statistics count every s^2-th row of a batch, and so
            other rows of its parts. The model is then as it was.

    Example:
        >>> from torch import nn
        >>> from ndbench.layers import Deconv2d, convert_sync
        >>> convert_sync(nn.Sequential(Deconv2d(3, 8, 3), nn.ReLU()))[0].options.sync
        True
    """
    for name, module in model.named_modules():
        _require_joinable(name or "the model", module)
    layers = [module for module in model.modules() if isinstance(module, Whitening)]
    if not layers:
        raise ValueError(f"convert_sync: {type(model).__name__} has no layer of ndbench.layers to synchronize")
    for layer in layers:
        layer.options = replace(layer.options, sync=True)
        layer.process_group = process_group
    return model


def _require_joinable(name: str, module: nn.Module) -> None:
    """Refuse a published layer whose statistics are not those of the joined batch."""
    rule = "convert_sync: {}, {}, takes other statistics of a joined batch than of its parts; use ndbench.layers.{}"
    if isinstance(module, published.ChannelDeconv):
        raise ValueError(rule.format(name, "the published ChannelDeconv", "ChannelDeconv2d"))
    if isinstance(module, published.FastDeconv) and module.counts_rows:
        raise ValueError(rule.format(name, "a published FastDeconv of one pixel", "Deconv2d"))
