"""Every workload by name: what the command line, asv and pytest-benchmark measure."""

from collections.abc import Sequence

from ndbench.bench import covariance, roots
from ndbench.bench.gradients import gradients
from ndbench.bench.layers import layers
from ndbench.bench.networks import networks
from ndbench.bench.workloads import Workload


def workloads(device: str) -> Sequence[Workload]:
    """Those of a GPU, the ones with targets first, or smaller ones for a CPU, the small ones first.

    Example:
        >>> [w.name for w in workloads("cpu") if w.family == "newton_schulz-T5"]
        ['newton_schulz-T5-n32-b16', 'newton_schulz-T5-n64-b4', 'newton_schulz-T5-n288-b1']
    """
    if device == "cuda":
        first, rest = roots.WORKLOADS[: roots.TARGETS], roots.WORKLOADS[roots.TARGETS :]
        return (*first, *covariance.WORKLOADS, *rest, *gradients(device), *layers(device), *networks(device))
    found = (*roots.SMALL, *covariance.SMALL, *gradients(device), *layers(device), *networks(device))
    return sorted(found, key=lambda workload: workload.large)


def workload(name: str, device: str) -> Workload:
    """The workload of this name on a device.

    Raises:
        KeyError: if there is none, with the names that there are.

    Example:
        >>> workload("newton_schulz-T5-n32-b16", "cpu").order
        32
    """
    known = {w.name: w for w in workloads(device)}
    if name not in known:
        raise KeyError(f"no workload on {device} is called {name}; there are {', '.join(known)}")
    return known[name]
