"""Conversion of networks with batch normalization into networks with deconvolution."""

import copy
import inspect
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ndbench.layers.calibration import calibrate
from ndbench.layers.options import Others
from ndbench.layers.plan import AFFINE, FOLDED, IDENTITY, LAYER, LEFT, STANDS_FOR, Factory, Plan
from ndbench.layers.restoration import restored_on_failure

UNFOLDED = ("affine", "identity", "keep")


class Settings(Others, total=False):
    """Those that both layers have, see :class:`Deconv2d`."""

    eps: float
    steps: int
    method: str
    momentum: float | None
    grouping: str
    pooled: bool


@dataclass(frozen=True)
class Change:
    """What became of one module.

    Attributes:
        name: of the module, as in `model.named_modules()`; empty for the model itself.
        was: its class.
        now: the class of what is in its place; the same if it was left.
        reason: why, or how.
    """

    name: str
    was: str
    now: str
    reason: str


@dataclass(frozen=True)
class Conversion:
    """A converted network and what was done to it; print it for a table.

    Attributes:
        model: the network.
        replaced: the modules in whose place there are others.
        left: convolutions, linear layers and batch normalizations that are as they were.
        exact: whether evaluation, until the first step of training, computes what it did before, up to rounding.
            False too where that is not known, since modules were traced apart, or a batch normalization was folded into
            a linear layer whose output is taken to be (N, C).
    """

    model: nn.Module
    replaced: tuple[Change, ...]
    left: tuple[Change, ...]
    exact: bool

    def __str__(self) -> str:
        kept = "as before" if self.exact else "not known to be as before"
        lines = [f"replaced: {len(self.replaced)}", *_table(self.replaced), f"left: {len(self.left)}"]
        return "\n".join([*lines, *_table(self.left), f"evaluation before training: {kept}"])


def convert(
    model: nn.Module,
    *,
    block: int | None = 64,
    sampling_stride: int = 3,
    linear_block: int | None = 512,
    unfolded: str = "affine",
    leave: Collection[str] = (),
    data: Iterable[Any] | None = None,
    inplace: bool = False,
    **settings: Unpack[Settings],
) -> Conversion:
    """Put deconvolution in place of convolutions and linear layers, and remove batch normalizations.

    Every `Conv2d` becomes a :class:`Deconv2d` and every `Linear` a :class:`DeconvLinear`, with the weights it has. A
    batch normalization (running mean m, variance v, weight g, bias h) whose only input is a convolution's output, and
    the only thing that output is used for, is folded into that convolution and becomes an `Identity`,

        w' = s w,    b' = h + s (b - m),    s = g / (v + eps)^(1/2).

    So is a `BatchNorm1d` behind a linear layer, whose output is taken to be (N, C) even where that is not known. A new
    layer has mean 0 and D = I: evaluation, until the first step of training, computes what it did. Training does not:
    there it whitens by the batch, where it normalized by the batch. A trained network is best converted with data,
    whose mean and D become the averages, and from them

        w'' = D^(-1) w',    b'' = b' + mean . w'.

    Evaluation still computes what it did, and training too on batches with the statistics of the data.

    A batch normalization that cannot be folded (it follows a sum, a concatenation, an activation, or a convolution
    whose output is used elsewhere; it has a weight that is zero, which would erase a filter) is in evaluation a scale
    and an offset of each channel, and becomes just that, a `Conv2d` of one pixel and one channel a group. This too
    leaves evaluation as it was. As published all batch normalizations are removed: `unfolded="identity"`.

    What follows what is taken from traces of `forward` by `torch.fx`, in training and in evaluation. Where a module
    cannot be traced, those that it holds are traced alone, on the assumption that it calls each of them once and as a
    whole; the report says where.

    Args:
        model: in training or in evaluation, which does not matter and does not change.
        block: of convolutions, as is sampling_stride, see :class:`Deconv2d`.
        sampling_stride: of convolutions.
        linear_block: the block of linear layers.
        unfolded: "affine", "identity", or "keep" for batch normalizations that cannot be folded.
        leave: names of modules that stay as they are, with all that they hold.
        data: batches that the model is called with, in evaluation, to find the averages; of a tuple or list, as loaders
            of pairs give them, its first. None for mean 0 and D = I. If it fails, the model is as it was.
        inplace: whether to change this model instead of a copy. Parameters keep their identity, and new ones come in,
            frozen if those that they stand for are: make the optimizer afterwards.
        settings: of both layers: eps, steps, method, momentum, grouping, lower, scaled_steps, track_running_stats,
            running, bias_correction, freeze_after, sync.

    Returns:
        the converted model with the list of what was replaced, and of what was left and why. Left are modules that
        are called more than once or are shared, since their inputs have several statistics; subclasses; modules with
        hooks, or parameters that others use too; convolutions of other dimensions, transposed, or padded with
        anything but zeros; and batch normalizations behind any of these.

    Raises:
        TypeError: if the model is not a module, data are no batches, or a setting does not exist.
        ValueError: if nothing can be replaced, a lazy module has no shape yet, a name in leave is of none, a setting
            is out of its range, or data is empty, not finite, or without use since there are no running averages.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from ndbench.layers import convert
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()).eval()
        >>> conversion = convert(network)
        >>> print(conversion)
        replaced: 2
          0  Conv2d -> Deconv2d       its weights, with 1 folded in
          1  BatchNorm2d -> Identity  folded into 0
        left: 0
        evaluation before training: as before
        >>> x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        >>> torch.allclose(conversion.model(x), network(x), atol=1e-6)
        True

    References:
        Ye et al., Network Deconvolution, ICLR 2020, section 4: "we remove all batch normalization in the networks and
        replace them with deconvolution before each convolution/fully-connected layer".
    """
    _check(model, unfolded, leave)
    _check_settings(settings)
    _check_data(data, settings.get("track_running_stats", True))
    factory = Factory(
        {"block": block, "sampling_stride": sampling_stride, **settings}, {"block": linear_block, **settings}
    )
    # a setting that no layer takes is an error, not a reason to leave all
    for module in (nn.Conv2d(1, 1, 1, device="meta"), nn.Linear(1, 1, device="meta")):
        factory.fresh(module, "meta")
    plan = Plan(model, factory, unfolded, frozenset(leave))
    changes = {name: Change(name, type(plan.modules[name]).__name__, *plan.told(name)) for name in plan.outcomes}
    left = tuple(change for name, change in changes.items() if plan.outcomes[name].kind == LEFT)
    if len(left) == len(changes):
        reasons = "\n".join(_table(left)) or "it holds no convolution, linear layer or batch normalization"
        raise ValueError(f"convert: there is nothing to convert in this {type(model).__name__}:\n{reasons}")
    converted = model if inplace else copy.deepcopy(model)
    if data is None:
        _carry_out(plan, converted)
    else:
        # only a model in place outlives a failure
        with restored_on_failure(converted, plan.outcomes) if inplace else nullcontext():
            _carry_out(plan, converted)
            _calibrate(plan, converted, data)
    replaced = tuple(change for name, change in changes.items() if plan.outcomes[name].kind != LEFT)
    return Conversion(converted, replaced, left, exact=settings.get("track_running_stats", True) and plan.exact)


def _calibrate(plan: Plan, model: nn.Module, data: Iterable[Any]) -> None:
    """Give the layers that came in the averages of the data."""
    made = [name for name, outcome in plan.outcomes.items() if outcome.kind == LAYER]
    layers: dict[str, Any] = {name: model.get_submodule(name) for name in made}
    rows = {layers[layer]: (layer, norm) for layer, norm in plan.assumed.items()}
    calibrate(model, list(layers.values()), data, rows)


def _check(model: Any, unfolded: str, leave: Collection[str]) -> None:
    """Refuse what is no model, or not wholly made, no rule, or no name of a module."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"convert: model must be a torch.nn.Module; got {type(model).__name__}")
    for name, module in model.named_modules():
        if any(map(is_lazy, chain(module.parameters(recurse=False), module.buffers(recurse=False)))):
            who = f"{name or 'the model'} ({type(module).__name__})"
            raise ValueError(f"convert: {who} has no shape yet; call the model with a batch first")
    if unfolded not in UNFOLDED:
        raise ValueError(f"convert: unfolded must be one of {', '.join(UNFOLDED)}; got {unfolded!r}")
    if isinstance(leave, str):
        raise TypeError(f"convert: leave must be a collection of names; got the string {leave!r}")
    names = {name for name, _ in model.named_modules(remove_duplicate=False)}
    if missing := sorted(set(leave) - names):
        raise ValueError(f"convert: leave must name modules of the model; it has no {', '.join(missing)}")


def _check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse a setting that does not exist."""
    if unknown := settings.keys() - Settings.__annotations__.keys():
        own = [p.name for p in inspect.signature(convert).parameters.values() if p.kind is p.KEYWORD_ONLY]
        known = ", ".join([*own, *Settings.__annotations__])
        raise TypeError(f"convert: there is no setting {', '.join(sorted(unknown))}, only {known}")


def _check_data(data: Any, tracked: bool) -> None:
    """Refuse what holds no batches, or what nothing is made of."""
    if data is None:
        return
    if not tracked:
        raise ValueError("convert: data sets running averages, and with track_running_stats=False there are none")
    if isinstance(data, (Tensor, str, Mapping)) or not isinstance(data, Iterable):
        raise TypeError(
            "convert: data must be an iterable of batches, such as [x] or a DataLoader; got a " + type(data).__name__
        )


@torch.no_grad()
def _carry_out(plan: Plan, model: nn.Module) -> None:
    """Replace the modules of this model, which is the plan's or a copy of it."""
    modules = dict(model.named_modules())
    for name, outcome in plan.outcomes.items():
        if outcome.kind == FOLDED:
            _fold(modules[name], modules[outcome.into])
    for name, outcome in plan.outcomes.items():
        if outcome.kind == LAYER:
            model.set_submodule(name, plan.factory.layer(modules[name]))
        elif outcome.kind == AFFINE:
            model.set_submodule(name, _affine(modules[name]))
        elif outcome.kind in (FOLDED, IDENTITY):
            model.set_submodule(name, nn.Identity().train(modules[name].training))


def _fold(norm: Any, layer: Any) -> None:
    """Write the layer's weight and bias so that it computes what both did."""
    scale, offset = scale_and_offset(norm)
    layer.weight.copy_(layer.weight * scale.reshape(-1, *[1] * (layer.weight.ndim - 1)))
    if layer.bias is None:
        own = [parameter.requires_grad for parameter in (norm.weight, norm.bias) if parameter is not None]
        learned = any(own) if own else layer.weight.requires_grad
        layer.bias = nn.Parameter(offset.to(layer.weight.dtype), requires_grad=learned)
    else:
        layer.bias.copy_(layer.bias * scale + offset)


def _affine(norm: Any) -> nn.Conv2d:
    """What batch normalization of C channels is in evaluation."""
    scale, offset = scale_and_offset(norm)
    C = len(scale)
    # on the meta device nothing random is drawn
    layer = nn.Conv2d(C, C, 1, groups=C, device="meta").train(norm.training)
    weight, bias = (parameter is None or parameter.requires_grad for parameter in (norm.weight, norm.bias))
    layer.weight = nn.Parameter(scale.reshape(C, 1, 1, 1), requires_grad=weight)
    layer.bias = nn.Parameter(offset, requires_grad=bias)
    # it is no convolution to convert
    setattr(layer, STANDS_FOR, True)
    return layer


def scale_and_offset(norm: Any) -> tuple[Tensor, Tensor]:
    """Of each channel, s and o, with which evaluation computes s x + o.

    With running mean m, variance v, weight g and bias h, s = g / (v + eps)^(1/2) and o = h - s m.
    """
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    offset = -norm.running_mean * scale
    return scale, (offset if norm.bias is None else offset + norm.bias)


def _table(changes: Sequence[Change]) -> list[str]:
    """Lines of aligned columns."""
    cells = [(c.name, c.was if c.was == c.now else f"{c.was} -> {c.now}", c.reason) for c in changes]
    wide = [max((len(row[column]) for row in cells), default=0) for column in (0, 1)]
    return [f"  {name:{wide[0]}}  {kind:{wide[1]}}  {reason}" for name, kind, reason in cells]
