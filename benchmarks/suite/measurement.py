"""What all subjects measure of a workload of `ndbench.bench.registry`: times, memory, and figures that are tracked."""

import math
import traceback
from abc import ABC, ABCMeta, abstractmethod
from functools import cache, lru_cache
from importlib import import_module
from itertools import product

WRONG = 1e16
"""For an error that is no finite number: asv takes NaN for skipped, and cannot publish inf."""


class Measured(ABC):
    """A benchmark of one contender of one workload; `setup_cache` of its module holds the figures of all.

    Attributes:
        params: names of workloads, and of contenders.
        device: "cpu" or "cuda".
        version: raised when the problem changes, not when the code does.
    """

    param_names = ("workload", "implementation")
    device = "cpu"
    version = "1"
    timeout = 300

    @property
    @abstractmethod
    def params(self):
        # asv takes no abstract class for a benchmark
        ...


class Called(Measured):
    """What runs in its own process."""

    def setup(self, found, workload, implementation):
        self.run = call(self.device, workload, implementation, found["direction"])
        require_right(found[self.device, workload, implementation])


class Timed(Called):
    # samples of a round: at least, at most, and while so many seconds last; ten did not tell a factor of two from noise
    repeat = (10, 30, 10.0)

    def time_call(self, *_):
        self.run()


class TimedOnGPU(Timed):
    device = "cuda"


class Resident(Called):
    """The most memory of the whole process, the libraries included: what a user has to have."""

    def peakmem_call(self, *_):
        self.run()


class TrackedOnGPU(Measured):
    """Figures that depend on the device; lower is better."""

    device = "cuda"

    def setup(self, found, workload, implementation):
        self.figures = found[self.device, workload, implementation]

    def track_error(self, *_):
        return shown(self.figures["error"])

    def track_peak_memory(self, *_):
        """The most that a call held at once of PyTorch's memory, beyond what existed before."""
        return shown(self.figures["peak memory"])

    track_error.unit = "relative Frobenius distance"
    track_peak_memory.unit = "bytes"


class Tracked(TrackedOnGPU):
    device = "cpu"

    def track_flops(self, *_):
        """Of products and convolutions."""
        return shown(self.figures["flops"])

    def track_bytes(self, *_):
        """Read and written by PyTorch's operators."""
        return shown(self.figures["bytes"])

    track_flops.unit = "flops"
    track_bytes.unit = "bytes"


def benchmarks(cpu, cuda):
    """The classes of a subject: times and figures on the CPU and on a GPU.

    Its `setup_cache` it defines itself: asv tells caches apart by where their functions stand.
    """
    kinds = {"Timing": (Timed, cpu), "TimingOnGPU": (TimedOnGPU, cuda)}
    kinds |= {"Figures": (Tracked, cpu), "FiguresOnGPU": (TrackedOnGPU, cuda)}
    return [ABCMeta(name, (kind,), {"params": params}) for name, (kind, params) in kinds.items()]


def figures(direction, **params):
    """By device, workload and contender every figure, or why it is not there; "direction" is that of the calls."""
    cases = [(device, *names) for device, axes in params.items() for names in product(*axes)]
    return {"direction": direction} | {case: tracked(*case, direction) for case in cases}


def tracked(*case):
    # sums of several threads have no fixed order
    import_module("torch").set_num_threads(1)
    return {name: attempt(figure, *case) for name, figure in FIGURES.items()}


def attempt(figure, *case):
    try:
        return figure(*case)
    except NotImplementedError as reason:
        return reason
    except Exception:
        return RuntimeError(traceback.format_exc())


def known(outcome):
    """What was found, or an end to the benchmark: a skip, where it is raised in its setup, or a failure."""
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def shown(outcome):
    """What a benchmark tracks; asv takes NaN for skipped, and a skip that is raised behind the setup for a failure."""
    try:
        return known(outcome)
    except NotImplementedError as reason:
        print(f"asv: skipped: {reason!r}")
        return math.nan


def require_right(found):
    """Skip what is wrong, whose time says nothing; a commit that cannot judge is taken at its word."""
    if any(isinstance(found[name], NotImplementedError) for name in ("error", "allowed")):
        return
    error, allowed = (known(found[name]) for name in ("error", "allowed"))
    if not error <= allowed:
        raise NotImplementedError(f"wrong: the error is {error:.1e}, and its precision allows {allowed:.1e}")


def needed(module, *names):
    """What a module of the installed commit has under these names; without it, a skip."""
    try:
        return [getattr(import_module(module), name) for name in names]
    except (ModuleNotFoundError, AttributeError) as missing:
        raise NotImplementedError(f"this commit, or its environment, lacks {module}: {missing}") from missing


def contender(device, workload, implementation):
    """The workload and the contender of these names; without one, a skip."""
    if device == "cuda" and not import_module("torch").cuda.is_available():
        raise NotImplementedError("there is no CUDA device")
    (lookup,) = needed("ndbench.bench.registry", "workload")
    try:
        found = lookup(workload, device)
        return found, found.contenders(device)[implementation]
    except KeyError as unknown:
        raise NotImplementedError(f"this commit lacks {implementation} of {workload}: {unknown}") from unknown


@cache  # asv sets up anew before every sample
def call(device, workload, implementation, direction):
    """A function without arguments that has run once, and that returns when a GPU has done its work."""
    torch = import_module("torch")
    found, one = contender(device, workload, implementation)
    torch.set_float32_matmul_precision(one.settings)
    torch.backends.cudnn.allow_tf32 = one.settings == "high"
    (passes,) = needed("ndbench.bench.workloads", "passes")
    function = dict(passes(one, found.input(device)))[direction]

    def synchronized():
        answer = function()
        torch.cuda.synchronize()
        return answer

    run = synchronized if device == "cuda" else function
    run()
    return run


@lru_cache(maxsize=1)  # the truth of a large workload takes its memory
def standard(device, workload, implementation):
    """The contender, and what it has to compute."""
    found, one = contender(device, workload, implementation)
    (standard,) = needed("ndbench.bench.accuracy", "Standard")
    return one, standard(found, found.input(device))


def error(device, workload, implementation, direction):
    """||y - y*||_F / ||y*||_F of all outputs, or gradients, together; y* is the truth of the workload in float64."""
    one, truth = standard(device, workload, implementation)
    relative = truth.error(call(device, workload, implementation, direction)(), one, direction)
    return relative if math.isfinite(relative) else WRONG


def allowed(*case):
    """The error above which the contender is wrong."""
    *names, direction = case
    one, truth = standard(*names)
    if not hasattr(truth, "allowed"):
        raise NotImplementedError("this commit does not say what error is allowed")
    return truth.allowed(one, direction)


def flops(*case):
    (count,) = needed("ndbench.cost.counting", "count")
    return count(call(*case)).flops


def moved(*case):
    (traffic,) = needed("ndbench.cost.traffic", "traffic")
    return traffic(call(*case))


def held(device, *names):
    (peak_memory,) = needed("ndbench.cost.counting", "peak_memory")
    return peak_memory(call(device, *names), device)


FIGURES = {"error": error, "allowed": allowed, "flops": flops, "bytes": moved, "peak memory": held}
