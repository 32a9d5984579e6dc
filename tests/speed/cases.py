"""What is timed: every contender of every workload of `ndbench.bench.registry`, in one direction."""

from dataclasses import dataclass

from ndbench.bench.registry import workloads
from ndbench.bench.workloads import Contender, Workload

DIRECTIONS = {
    "root": ("forward", "forward+backward"),
    "covariance": ("forward", "forward+backward"),
    "gradient": ("forward+backward",),
    "layer": ("forward+backward",),
    "network": ("forward+backward",),
}
"""By kind of workload: a training step, and a gradient, are a forward with a backward pass."""


@dataclass(frozen=True)
class Case:
    """One time."""

    workload: Workload
    name: str
    contender: Contender
    direction: str

    @property
    def id(self):
        return f"{self.workload.name}/{self.name}/{self.direction}"


def kind(workload):
    """The beginning of the family; iterations, which have names of their own, are of roots."""
    first = workload.family.split()[0].partition("-")[0]
    return first if first in DIRECTIONS else "root"


def cases(wanted, device):
    """Those of one kind; `ndbench bench --workload NAME` times the large ones, which this leaves out."""
    for workload in workloads(device):
        if kind(workload) == wanted and not workload.large:
            for name, contender in workload.contenders(device).items():
                for direction in DIRECTIONS[wanted]:
                    yield Case(workload, name, contender, direction)
