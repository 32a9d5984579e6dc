"""What is to become of each module of a network that is converted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from ndbench.layers.convolution import Deconv2d
from ndbench.layers.linear import DeconvLinear
from ndbench.layers.whitening import Whitening
from ndbench.layers.wiring import Wiring
from ndbench.operations.definite import FLOATS

LAYER, FOLDED, AFFINE, IDENTITY, LEFT = "layer", "folded", "affine", "identity", "left"

FOLDABLE: dict[type[nn.Module], type[nn.Module]] = {nn.BatchNorm2d: nn.Conv2d, nn.BatchNorm1d: nn.Linear}
"""What a batch normalization can be folded into."""

STANDS_FOR = "stands_for_batch_norm"
"""An attribute of convolutions that conversion made of batch normalizations."""

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def addition(module: nn.Module) -> str | None:
    """What this very module has that its class has not, and that a call runs."""
    if any(getattr(module, hooks) for hooks in HOOKS):
        return "hooks"
    return "a forward of its own" if "forward" in vars(module) else None


class Outcome(NamedTuple):
    """Of one module.

    Attributes:
        kind: LAYER, FOLDED, AFFINE, IDENTITY or LEFT.
        reason: why, or how.
        into: the name of the layer it is folded into.
    """

    kind: str
    reason: str
    into: str = ""


@dataclass(frozen=True)
class Factory:
    """Makes layers that stand in for others.

    Attributes:
        convolution: settings of :class:`Deconv2d`.
        linear: settings of :class:`DeconvLinear`.
    """

    convolution: dict[str, Any]
    linear: dict[str, Any]

    def layer(self, old: Any) -> Deconv2d | DeconvLinear:
        """The layer with the parameters of this convolution or linear layer, which computes the same in evaluation.

        Raises:
            TypeError: for any other module, or a setting that does not exist.
            ValueError: if there is no such layer.
        """
        device = old.weight.device
        # initial weights are thrown away, and must not take random numbers from others
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            new = self.fresh(old, device).train(old.training)
        new.weight, new.bias = old.weight, old.bias
        return new

    def fresh(self, old: nn.Module, device: Any) -> Deconv2d | DeconvLinear:
        """Such a layer with initial weights."""
        if isinstance(old, nn.Linear):
            bias, dtype = old.bias is not None, old.weight.dtype
            return DeconvLinear(old.in_features, old.out_features, bias, device=device, dtype=dtype, **self.linear)
        if not isinstance(old, nn.Conv2d):
            raise TypeError(f"there is no layer for a {type(old).__name__}")
        others: dict[str, Any] = {name: getattr(old, name) for name in ("stride", "padding", "dilation", "groups")}
        others |= {"bias": old.bias is not None, "device": device, "dtype": old.weight.dtype, **self.convolution}
        kernel: Any = old.kernel_size
        return Deconv2d(old.in_channels, old.out_channels, kernel, **others)


class Plan:
    """What is to become of each convolution, linear layer and batch normalization of a model, which is only read.

    Args:
        model: the network.
        factory: of the layers that come in.
        rule: what batch normalizations become that cannot be folded, "affine", "identity" or "keep".
        leave: names of modules that stay as they are.

    Attributes:
        modules: all of the model, by name.
        outcomes: by name, in the order of the modules.
    """

    def __init__(self, model: nn.Module, factory: Factory, rule: str, leave: frozenset[str]) -> None:
        self.model, self.factory, self.rule, self.leave = model, factory, rule, leave
        self.modules = dict(model.named_modules())
        self.wiring = Wiring.of(model)
        found = {name: self._layer(name, module) for name, module in self._of(_ConvNd, nn.Linear)}
        self.outcomes = found  # batch normalizations ask what becomes of the layers
        found = found | {name: self._norm(name, module) for name, module in self._of(_BatchNorm)}
        self.outcomes = {name: found[name] for name in self.modules if name in found}

    def told(self, name: str) -> tuple[str, str]:
        """The class of what will be in the module's place, and why or how."""
        module, (kind, reason, _) = self.modules[name], self.outcomes[name]
        owner = self._apart(name)
        apart = "" if owner is None else f"; traced apart from {owner or 'the model'}, which cannot be traced"
        into = {FOLDED: "Identity", IDENTITY: "Identity", AFFINE: "Conv2d", LEFT: type(module).__name__}
        if kind != LAYER:
            return into[kind], reason + apart
        folded = [norm for norm, outcome in self.outcomes.items() if outcome.into == name and outcome.kind == FOLDED]
        now = "DeconvLinear" if isinstance(module, nn.Linear) else "Deconv2d"
        with_it = f", with {', '.join(folded)} folded in" if folded else ""
        return now, f"its weights{with_it}{apart}"

    @property
    def exact(self) -> bool:
        """Whether evaluation is known to stay: nothing is removed, traced apart, folded on half a trace or a guess."""
        kinds = [outcome.kind for outcome in self.outcomes.values()]
        if FOLDED in kinds and self.wiring.partial:
            return False
        return IDENTITY not in kinds and not self.assumed and all(self._apart(name) is None for name in self.outcomes)

    @property
    def assumed(self) -> dict[str, str]:
        """The linear layers whose outputs are not known to be (N, C), and the batch normalizations folded into them."""
        folded = {o.into: name for name, o in self.outcomes.items() if o.kind == FOLDED}
        return {layer: norm for layer, norm in folded.items() if not self._gives_samples(layer)}

    def _gives_samples(self, layer: str) -> bool:
        """Whether a batch normalization behind this layer is known to normalize the layer's outputs."""
        return isinstance(self.modules[layer], nn.Conv2d) or self.wiring.gives_rows(layer, self.modules)

    def _apart(self, name: str) -> str | None:
        """The module that cannot be traced and holds this one, if this one is replaced."""
        return None if self.outcomes[name].kind == LEFT else self.wiring.owner(name)

    def _of(self, *kinds: type[nn.Module]) -> Iterator[tuple[str, nn.Module]]:
        """The modules of these classes that are no layers of this package."""
        for name, module in self.modules.items():
            if isinstance(module, kinds) and not isinstance(module, Whitening):
                yield name, module

    def _layer(self, name: str, module: nn.Module) -> Outcome:
        """Of a convolution or linear layer."""
        reason = self._obstacle(name) or self._misfit(module) or self.wiring.doubt(name)
        return Outcome(LEFT, reason) if reason else Outcome(LAYER, "")

    def _norm(self, name: str, norm: nn.Module) -> Outcome:
        """Of a batch normalization."""
        source = self.wiring.source(name)
        reason = self._obstacle(name)
        if not reason and type(norm) not in FOLDABLE:
            reason = "neither torch.nn.BatchNorm1d nor torch.nn.BatchNorm2d itself"
        reason = reason or self.wiring.doubt(name)
        if not reason and source in self.outcomes and self.outcomes[source].kind == LEFT:
            reason = f"follows {source}, which is left"
        if reason:
            return Outcome(LEFT, reason)
        reason = self._unfoldable(name, norm, source)
        if not reason and source is not None:
            assumed = "" if self._gives_samples(source) else ", whose output is taken to be (N, C)"
            return Outcome(FOLDED, f"folded into {source}{assumed}", source)
        return self._unfolded(norm, str(reason))

    def _unfolded(self, norm: nn.Module, reason: str) -> Outcome:
        """Of a batch normalization that cannot be folded."""
        if self.rule == "identity":
            return Outcome(IDENTITY, f"removed; {reason}")
        if self.rule == "affine" and isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None:
            return Outcome(AFFINE, f"its scale and offset; {reason}")
        return Outcome(LEFT, reason)

    def _unfoldable(self, name: str, norm: Any, source: str | None) -> str | None:
        """Why a batch normalization cannot be folded into the module that it follows."""
        if norm.running_mean is None:
            return "without running averages"
        if source is None or self.outcomes.get(source, Outcome(LEFT, "")).kind != LAYER:
            return f"its input is {self.wiring.origin(name)}"
        if not isinstance(self.modules[source], FOLDABLE[type(norm)]):
            return f"follows a {type(self.modules[source]).__name__}"
        if norm.num_features != (outputs := len(self.modules[source].weight)):
            return f"normalizes {norm.num_features} channels, which are not the {outputs} outputs of {source}"
        if norm.weight is not None and not norm.weight.is_meta and bool((norm.weight == 0).any()):
            return f"a weight of zero would erase a filter of {source}"
        return None

    def _obstacle(self, name: str) -> str | None:
        """Why this module must stay, whatever it is."""
        module = self.modules[name]
        if not name:
            return "it is the model itself, put it into a torch.nn.Sequential"
        if any(name == left or name.startswith(f"{left}.") or not left for left in self.leave):
            return "asked for"
        twins = [n for n, m in self.model.named_modules(remove_duplicate=False) if m is module and n != name]
        if twins:
            return f"shared: {', '.join(twins)} too"
        own = {id(parameter) for parameter in module.parameters()}
        parameters = self.model.named_parameters(remove_duplicate=False)
        if others := [n for n, p in parameters if id(p) in own and not n.startswith(f"{name}.")]:
            return f"shares a parameter with {', '.join(others)}"
        added = addition(module)
        return f"has {added}, which would be lost" if added else None

    def _misfit(self, module: Any) -> str | None:
        """Why there is no layer for this convolution or linear layer."""
        if type(module) not in (nn.Conv2d, nn.Linear):
            return "neither torch.nn.Conv2d nor torch.nn.Linear itself"
        if hasattr(module, STANDS_FOR):
            return "stands for a batch normalization"
        if not isinstance(module.weight, nn.Parameter) or module.weight.dtype not in FLOATS:
            return "its weight is not real floating point"
        if isinstance(module, nn.Conv2d) and module.padding_mode != "zeros":
            return f"padded by {module.padding_mode!r}, not by zeros"
        try:
            self.factory.fresh(module, "meta")
        except ValueError as error:
            return str(error)
        return None
