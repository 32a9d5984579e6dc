"""Which module calls a network makes, and where their outputs go, from traces of its `forward`."""

import copy
import gc
import inspect
import warnings
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from ndbench.layers.rows import are_rows
from ndbench.layers.whitening import Whitening

LAYERS = (_ConvNd, nn.Linear, _BatchNorm, Whitening)
"""Classes whose modules, and those of their subclasses, are one thing each."""


@dataclass(frozen=True)
class Trace:
    """The calls of one run of `forward`, or of a module's that is traced alone.

    Attributes:
        calls: the calls of every module, by its name.
        names: the module of every call.
        touched: names of parameters and buffers that are used outside their module's call.
        kept: values that `forward` keeps, in an attribute or anywhere else, where others may find them.
    """

    calls: dict[str, list[fx.Node]]
    names: dict[fx.Node, str]
    touched: frozenset[str]
    kept: frozenset[fx.Node]

    @classmethod
    def of(cls, graph: fx.Graph, prefix: str, kept: frozenset[fx.Node]) -> "Trace":
        """What the graph says, for a module whose parts' names begin with the prefix."""
        names = {node: prefix + str(node.target) for node in graph.nodes if node.op == "call_module"}
        calls: dict[str, list[fx.Node]] = {}
        for node, name in names.items():
            calls.setdefault(name, []).append(node)
        touched = frozenset(prefix + str(node.target) for node in graph.nodes if node.op == "get_attr")
        return cls(calls, names, touched, kept)


@dataclass
class Wiring:
    """What all traces of a network agree on.

    `forward` is traced in training and in evaluation, with its optional arguments at their defaults and given. What
    cannot be traced is taken apart: the modules it holds are traced alone.

    Attributes:
        traces: one or more for every mode.
        opaque: why a module's `forward` cannot be traced, by its name.
        partial: why it cannot be traced with its optional arguments given.
    """

    traces: list[Trace] = field(default_factory=list)
    opaque: dict[str, str] = field(default_factory=dict)
    partial: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, model: nn.Module) -> "Wiring":
        """The wiring of a network, which is left as it is."""
        wiring, before = cls(), -1
        # what cannot be traced in one mode is taken apart in both
        while before < len(wiring.opaque):
            before = len(wiring.opaque)
            follower = _Follower(wiring.opaque, wiring.partial)
            wiring.traces = [trace for mode in (False, True) for trace in follower.follow(model, mode)]
        return wiring

    def doubt(self, name: str) -> str | None:
        """Why it is not certain that every run calls this module at most once, and some do; None if it is."""
        most = max((len(trace.calls.get(name, ())) for trace in self.traces), default=0)
        if most > 1:
            return f"called {most} times, on inputs of different statistics"
        if any(touched.rpartition(".")[0] == name for trace in self.traces for touched in trace.touched):
            return "its parameters are used outside its own call"
        if most == 0:
            return self._uncalled(name)
        return None

    def owner(self, name: str) -> str | None:
        """The innermost module that cannot be traced and holds this one; None if there is none."""
        owners = [owner for owner in self.opaque if owner == "" or name.startswith(f"{owner}.")]
        return max(owners, key=len) if owners else None

    def _uncalled(self, name: str) -> str:
        owner = self.owner(name)
        if owner is None:
            return "forward does not call it"
        return f"called, if at all, by {owner or 'the model'}, which cannot be traced: {self.opaque[owner]}"

    def source(self, name: str) -> str | None:
        """The module whose output is this one's only input, and goes nowhere else; None if there is none."""
        found = {source for trace in self.traces for source in _sources(trace, name)}
        if len(found) != 1:
            return None
        (source,) = found
        if source is None or any((source in trace.calls) != (name in trace.calls) for trace in self.traces):
            return None
        return source

    def gives_rows(self, name: str, modules: Mapping[str, nn.Module]) -> bool:
        """Whether every output of this module of these is known to have two dimensions."""
        return all(
            are_rows(call, {node: modules[called] for node, called in trace.names.items()})
            for trace in self.traces
            for call in trace.calls.get(name, ())
        )

    def origin(self, name: str) -> str:
        """What this module's input is, in words."""
        found = set()
        for trace in self.traces:
            for node in (node for call in trace.calls.get(name, ()) for node in call.all_input_nodes):
                shared = len(node.users) > 1 or node in trace.kept
                elsewhere = " (used elsewhere too)" if shared and node in trace.names else ""
                found.add(f"{trace.names.get(node, node.name)}{elsewhere}")
        return ", ".join(sorted(found))


def _sources(trace: Trace, name: str) -> Iterator[str | None]:
    for call in trace.calls.get(name, ()):
        inputs = call.all_input_nodes
        alone = len(inputs) == 1 and list(inputs[0].users) == [call] and inputs[0] not in trace.kept
        yield trace.names.get(inputs[0]) if alone else None


def _renew(model: nn.Module) -> None:
    """Put others in the place of all layers, as conversion does.

    Who calls one that it holds in a list, not by its name, cannot be traced then.
    """
    layers = {name: m for name, m in model.named_modules(remove_duplicate=False) if name and isinstance(m, LAYERS)}
    new = {layer: _twin(layer) for layer in layers.values()}
    for name, layer in layers.items():
        model.set_submodule(name, new[layer])


def _twin(module: nn.Module) -> nn.Module:
    """Another with the same attributes; what is parametrized refuses `copy.copy`."""
    twin = object.__new__(type(module))
    vars(twin).update(vars(module))
    return twin


Traces = list[tuple[str, Trace]]


@dataclass
class _Follower:
    """Traces one network in one mode.

    Attributes:
        opaque: why a module cannot be traced, by its name.
        partial: why one cannot be traced with its optional arguments given, by its name.
    """

    opaque: dict[str, str]
    partial: dict[str, str]

    def follow(self, model: nn.Module, training: bool) -> list[Trace]:
        """The traces of the network, or of its parts where it cannot be traced."""
        # forward may keep the proxies it is given, and write to buffers
        ghost = copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()}).train(training)
        _renew(ghost)
        return [trace for _, trace in self._follow(ghost, "")]

    def _follow(self, module: nn.Module, prefix: str) -> Traces:
        """The traces of this module, or of its parts, each with the prefix of its names."""
        sealed = len(self.opaque)
        if self._name(prefix) in self.opaque:
            return self._parts(module, prefix)
        found, problem = self._try(module, prefix)
        if not problem:
            return found + self._inside(self._parts(module, prefix))
        parts = self._parts(module, prefix)
        if len(self.opaque) > sealed:
            found, problem = self._try(module, prefix)
        if not problem:
            return found + self._inside(parts)
        self.opaque[self._name(prefix)] = problem
        return parts

    def _parts(self, module: nn.Module, prefix: str) -> Traces:
        """The traces of the modules that this one holds."""
        return [pair for name, child in module.named_children() for pair in self._part(child, f"{prefix}{name}.")]

    def _part(self, module: nn.Module, prefix: str) -> Traces:
        if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
            return self._parts(module, prefix)
        if self._name(prefix) not in self.opaque and _Tracer({}, "").is_leaf_module(module, prefix):
            return []
        return self._follow(module, prefix)

    def _inside(self, traces: Traces) -> Traces:
        """Those of parts of what cannot be traced; all others are in the trace of their owner."""
        return [
            (prefix, trace) for prefix, trace in traces if any(prefix.startswith(f"{name}.") for name in self.opaque)
        ]

    @staticmethod
    def _name(prefix: str) -> str:
        return prefix.removesuffix(".")

    def _try(self, module: nn.Module, prefix: str) -> tuple[Traces, str]:
        """Its traces, or else the problem: that of the optional arguments at their defaults."""
        defaults = _defaults(module)
        found, problem = self._trace(module, prefix, defaults)
        if problem or not defaults:
            return found, problem
        given, obstacle = self._trace(module, prefix, {})
        if obstacle:
            self.partial[self._name(prefix)] = obstacle
        return found + given, ""

    def _trace(self, module: nn.Module, prefix: str, arguments: dict[str, Any]) -> tuple[Traces, str]:
        if "forward" in vars(module):
            return [], "its forward is not that of its class"
        try:
            # fx warns of values that it cannot check at each call
            with warnings.catch_warnings(action="ignore"), _new_ones_young():
                tracer = _Tracer(self.opaque, prefix)
                graph = tracer.trace(module, arguments or None)
                kept = tracer.kept()
        except Exception as error:
            # whatever forward raises when it is given proxies
            return [], " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
        return [(prefix, Trace.of(graph, prefix, kept))], ""


@contextmanager
def _new_ones_young() -> Iterator[None]:
    """Nothing ages: a collection of the youngest generation finds all cycles of new objects."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Tracer(fx.Tracer):
    """Enters all modules but PyTorch's, layers of any class, and those that cannot be traced."""

    def __init__(self, opaque: Mapping[str, str], prefix: str) -> None:
        super().__init__()
        self.opaque, self.prefix = opaque, prefix
        self.proxies: list[weakref.ref[fx.Proxy]] = []

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """What stands for the node's value in `forward`."""
        made = super().proxy(node)
        self.proxies.append(weakref.ref(made))
        return made

    def kept(self) -> frozenset[fx.Node]:
        """The values that outlive `forward`."""
        if any(made() is not None for made in self.proxies):
            # some may live in cycles only, all of them young
            gc.collect(0)
        return frozenset(proxy.node for made in self.proxies if (proxy := made()) is not None)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a call of this module is one node."""
        sealed = self.prefix + module_qualified_name in self.opaque
        return sealed or isinstance(m, LAYERS) or super().is_leaf_module(m, module_qualified_name)


def _defaults(module: nn.Module) -> dict[str, Any]:
    """The optional arguments of `forward`."""
    arguments = inspect.signature(module.forward).parameters.values()
    return {a.name: a.default for a in arguments if a.default is not a.empty}
