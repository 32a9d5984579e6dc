"""Networks for inference: every layer of this package becomes a plain one of PyTorch's."""

import copy
from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from ndbench.layers import published
from ndbench.layers.channel import ChannelDeconv1d, ChannelDeconv2d, ChannelDeconv3d
from ndbench.layers.convolution import Deconv2d
from ndbench.layers.linear import DeconvLinear
from ndbench.layers.memo import full_precision
from ndbench.layers.plan import addition
from ndbench.layers.whitening import Whitening


def fold(model: nn.Module, *, inplace: bool = False) -> nn.Module:
    """Fold mean and deconvolution matrix of every layer into weights, for a model without this package's classes.

    A :class:`Deconv2d` with running averages mean and D becomes a `Conv2d`, a :class:`DeconvLinear` a `Linear`, with

        w' = D w,    b' = b - mean . w',

    and a :class:`ChannelDeconv2d` of G blocks of B channels, y = ((x - mean) D) w + b, a `Conv2d` of one pixel and G
    groups, with C B weights (1d and 3d alike; with interleaved blocks one group, with C^2 weights most of which are
    zero). The model computes what it did in evaluation, up to rounding, and is stored and loaded without ndbench. Only
    rows (N, C), which a :class:`ChannelDeconv1d` takes too, a `Conv1d` takes for one sequence: give it (N, C, 1).

    Args:
        model: in evaluation. Plain layers take inputs of their weights' type; for a channel layer that is the type of
            its weight, or of its averages (float32 or better) if it has none.
        inplace: whether to change this model instead of a copy.

    Returns:
        the model, or what replaces it if it is a layer itself.

    Raises:
        TypeError: if the model is not a module.
        ValueError: if it holds no layer of this package, or one in training, without running averages, with hooks or a
            forward of its own, parametrized, of a class of its own, or the published `ChannelDeconv`, which does not
            know how many channels it has.

    Example:
        >>> import torch
        >>> from ndbench.layers import Deconv2d, fold
        >>> network = torch.nn.Sequential(Deconv2d(3, 8, 3, stride=2), torch.nn.ReLU())
        >>> x = torch.rand(4, 3, 9, 9, generator=torch.Generator().manual_seed(0))
        >>> y = network(x)  # a step of training
        >>> plain = fold(network.eval())
        >>> plain[0]
        Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2))
        >>> torch.allclose(plain(x), network(x), atol=1e-5)
        True
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"fold: model must be a torch.nn.Module; got {type(model).__name__}")
    names = [name for name, module in model.named_modules() if isinstance(module, OURS)]
    if not names:
        refuse(f"there is no layer of ndbench in this {type(model).__name__}")
    for name in names:
        _check(name, model.get_submodule(name))
    plain = {id(layer): _plain(layer) for layer in map(model.get_submodule, names)}
    if not inplace or id(model) in plain:
        # to a copy, what a layer was copied to before is known; a shared one stays shared, and no buffer is copied
        return copy.deepcopy(model, dict(plain))
    for name, module in list(model.named_modules(remove_duplicate=False)):
        if id(module) in plain:
            model.set_submodule(name, plain[id(module)])
    return model


def _check(name: str, layer: Any) -> None:
    """Refuse a layer that is not a plain one in evaluation."""
    who = f"{name or 'the model'}, a {type(layer).__name__},"
    if isinstance(layer, published.ChannelDeconv):
        refuse(f"{who} does not know how many channels it has; use ndbench.layers.ChannelDeconv2d")
    if is_parametrized(layer):
        tensor = next(iter(layer.parametrizations))
        call = f'torch.nn.utils.parametrize.remove_parametrizations(layer, "{tensor}")'
        refuse(f"{who} has a parametrized {tensor}; call {call} first")
    if type(layer) not in PLAIN:
        refuse(f"{who} is of a class whose forward is not known")
    if layer.training:
        refuse(f"{who} is in training, where it whitens by the batch; call model.eval() first")
    if not layer.options.track_running_stats:
        refuse(f"{who} has no running averages (track_running_stats=False): it whitens every batch by itself")
    if added := addition(layer):
        refuse(f"{who} has {added}, which would be lost; {REMEDIES.get(added, 'restore the plain layer first')}")


@torch.no_grad()
def _plain(layer: Any) -> nn.Module:
    """PyTorch's layer that computes the same."""
    new = PLAIN[type(layer)](layer)
    own = list(layer.parameters(recurse=False))
    return new.eval().requires_grad_(any(parameter.requires_grad for parameter in own) or not own)


def _convolution(layer: Deconv2d) -> nn.Module:
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
    return _with(nn.Conv2d(**{name: getattr(layer, name) for name in names}, device="meta"), *_folded(layer))


def _linear(layer: DeconvLinear) -> nn.Module:
    return _with(nn.Linear(layer.in_features, layer.out_features, device="meta"), *_folded(layer))


def _channels(layer: Any) -> nn.Module:
    """A convolution of one pixel."""
    C, B = layer.num_features, layer.block
    dtype = layer.running_mean.dtype if layer.weight is None else layer.weight.dtype
    matrix, constant = (part.to(dtype) for part in _folded(layer))
    matrix, constant = matrix.expand(C // B, B, B), constant.expand(C // B, B, 1).flatten()
    groups = C // B
    if layer.grouping == "interleaved":
        # block g holds the channels g, g + G, g + 2 G, ...
        order = torch.arange(C, device=matrix.device).reshape(B, groups).mT.flatten()
        inverse = order.argsort()
        whole = matrix.new_zeros(groups, B, groups, B)
        whole[range(groups), :, range(groups)] = matrix
        groups, matrix, constant = 1, whole.reshape(C, C)[inverse][:, inverse], constant[inverse]
    new: Any = CONVOLUTIONS[layer.axes](C, C, 1, groups=groups, device="meta")
    return _with(new, matrix.reshape(new.weight.shape), constant)


def _folded(layer: Whitening) -> tuple[Tensor, Tensor]:
    """Weight and bias as they are now, whatever evaluation kept."""
    mean, D = layer.averages()
    with full_precision(mean.device):
        return layer.fold(mean, D)


def _with(layer: nn.Module, weight: Tensor, bias: Tensor) -> nn.Module:
    """The layer with these parameters; on the meta device it drew no random numbers."""
    layer.weight, layer.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return layer


def refuse(message: str) -> NoReturn:
    """Raise the ValueError of a model that cannot be folded."""
    raise ValueError(f"fold: {message}")


REMEDIES = {
    "hooks": "remove them first, those of pruning or normalization by torch.nn.utils.prune.remove, remove_weight_norm "
    "or remove_spectral_norm"
}

CONVOLUTIONS: dict[int, type[Any]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}

PLAIN: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    Deconv2d: _convolution,
    published.FastDeconv: _convolution,
    DeconvLinear: _linear,
    published.Delinear: _linear,
    ChannelDeconv1d: _channels,
    ChannelDeconv2d: _channels,
    ChannelDeconv3d: _channels,
}

OURS = (Whitening, published.ChannelDeconv)
