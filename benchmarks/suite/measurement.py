"""What all subjects measure of a workload of `ndbench.bench.registry`: times, memory, and figures that are tracked."""

import math
import traceback
from abc import ABC, ABCMeta, abstractmethod
from functools import cache
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
        known(found, self.device, workload, implementation)
        self.run = call(self.device, workload, implementation, found["direction"])


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
        self.figures = known(found, self.device, workload, implementation)

    def track_error(self, *_):
        return self.figures["error"]

    def track_peak_memory(self, *_):
        """The most that a call held at once of PyTorch's memory, beyond what existed before."""
        return self.figures["peak memory"]

    track_error.unit = "relative Frobenius distance"
    track_peak_memory.unit = "bytes"


class Tracked(TrackedOnGPU):
    device = "cpu"

    def track_flops(self, *_):
        """Of products and convolutions."""
        return self.figures["flops"]

    def track_bytes(self, *_):
        """Read and written by PyTorch's operators."""
        return self.figures["bytes"]

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
    """By device, workload and contender what is tracked, or why it is not; "direction" is that of the calls."""
    cases = [(device, *names) for device, axes in params.items() for names in product(*axes)]
    return {"direction": direction} | {case: attempt(*case, direction) for case in cases}


def attempt(*case):
    try:
        return tracked(*case)
    except NotImplementedError as reason:
        return reason
    except Exception:
        return RuntimeError(traceback.format_exc())


def known(found, *case):
    """The figures of a case, or an end to the benchmark: a skip, or a failure."""
    if isinstance(found[case], Exception):
        raise found[case]
    return found[case]


def tracked(device, workload, implementation, direction):
    count, peak_memory = needed("ndbench.cost.counting", "count", "peak_memory")
    (traffic,) = needed("ndbench.cost.traffic", "traffic")
    # sums of several threads have no fixed order
    import_module("torch").set_num_threads(1)
    run = call(device, workload, implementation, direction)
    return {
        "error": error(device, workload, implementation, direction),
        "flops": count(run).flops,
        "bytes": traffic(run),
        "peak memory": peak_memory(run, device),
    }


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


def error(device, workload, implementation, direction):
    """||y - y*||_F / ||y*||_F of all outputs, or gradients, together; y* is the truth of the workload in float64."""
    found, one = contender(device, workload, implementation)
    (standard,) = needed("ndbench.bench.accuracy", "Standard")
    answers = call(device, workload, implementation, direction)()
    relative = standard(found, found.input(device)).error(answers, one, direction)
    return relative if math.isfinite(relative) else WRONG
