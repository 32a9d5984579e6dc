"""Whether a traced value is known to have two dimensions, (N, C): what batch normalization of a linear layer needs."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.modules import activation

Modules = Mapping[fx.Node, nn.Module]

KEEPING: tuple[type[nn.Module], ...] = (
    nn.Linear,
    nn.BatchNorm1d,
    nn.Dropout,
    nn.Identity,
    *(getattr(activation, name) for name in activation.__all__ if name != "MultiheadAttention"),
)
"""Modules whose output has as many dimensions as their input."""

ACTIVATIONS = ("relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "hardswish", "dropout")
ELEMENTWISE: frozenset[Callable[..., Any]] = frozenset(
    (
        *(getattr(functional, name) for name in ACTIVATIONS),
        *(torch.relu, torch.tanh, torch.sigmoid),
        *(operator.add, operator.mul, torch.add, torch.mul),
    )
)
"""Functions whose output has as many dimensions as their inputs, if those agree."""


def are_rows(node: fx.Node, modules: Modules) -> bool:
    """Whether it is certain; modules are those that the graph's nodes call."""
    if node.op == "call_module":
        module = modules.get(node)
        if isinstance(module, nn.Flatten):
            return (module.start_dim, module.end_dim) == (1, -1)
        return isinstance(module, KEEPING) and _all_are_rows(node, modules)
    if node.target in (torch.flatten, "flatten"):
        return _flattens(*node.args[1:], **node.kwargs)
    if node.op == "call_method":
        return node.target in ("view", "reshape") and _sizes(node) == 2
    return node.target in ELEMENTWISE and _all_are_rows(node, modules)


def _all_are_rows(node: fx.Node, modules: Modules) -> bool:
    return bool(node.all_input_nodes) and all(are_rows(source, modules) for source in node.all_input_nodes)


def _flattens(start_dim: Any = 0, end_dim: Any = -1, **_: Any) -> bool:
    """Whether all but the first dimension become one."""
    return bool(start_dim == 1 and end_dim == -1)


def _sizes(node: fx.Node) -> int:
    """How many sizes a call of `view` has, in a tuple or one by one."""
    sizes = node.args[1:]
    return len(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else len(sizes)
