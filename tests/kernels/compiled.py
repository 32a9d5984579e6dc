"""What launches compile, and what variants declare, in words that can be compared."""

from triton.backends.compiler import GPUTarget
from triton.compiler import make_backend
from triton.runtime.interpreter import InterpretedFunction
from triton.runtime.jit import JITFunction, create_function_from_signature

BACKENDS = {"nvidia": GPUTarget("cuda", 90, 32), "amd": GPUTarget("hip", "gfx942", 64)}


class Launches:
    """A kernel of which every launch is kept, as what it compiles, and none runs."""

    def __init__(self, kernel, backend, found):
        jitted = kernel if isinstance(kernel, JITFunction) else JITFunction(kernel.fn, **kernel.kwargs)
        self.fn, self.arg_names = kernel.fn, jitted.arg_names
        self.finds_out = create_function_from_signature(jitted.signature, jitted.params, backend)
        self.found = found

    def __getitem__(self, grid):
        return self.launched

    def launched(self, *arguments, **options):
        _, told, rest = self.finds_out(*arguments, **options)
        told = [(kind, "" if key is None else key) for kind, key in told]
        arguments = dict(zip(self.arg_names, told, strict=True))
        self.found.add(compiled(self.fn.__name__, arguments, rest["num_warps"], rest["num_stages"]))


def compiled(kernel, arguments, warps, stages):
    """What can be compared, and read where it differs."""
    told = ", ".join(f"{name}: {' '.join(map(str, kind))}" for name, kind in arguments.items())
    return f"{kernel}({told}), {warps} warps, {stages} stages"


def declared(variant):
    """The same of a variant."""
    chosen = variant.configuration
    constants = {**chosen.constants, **dict.fromkeys(variant.ones, 1)}
    arguments = {
        name: ("constexpr", constants[name])
        if name in constants
        else (variant.signature[name], "D" if name in variant.divisible else "")
        for name in variant.kernel.arg_names
    }
    return compiled(variant.kernel.fn.__name__, arguments, chosen.warps, chosen.stages)


def watched(modules, vendor, monkeypatch):
    """Put a `Launches` in the place of every kernel of the modules; returns the set of what they compile."""
    found = set()
    for module in modules:
        for name, kernel in list(vars(module).items()):
            if isinstance(kernel, InterpretedFunction | JITFunction):
                monkeypatch.setattr(module, name, Launches(kernel, make_backend(BACKENDS[vendor]), found))
    return found
