"""What evaluation would pay for comparing parameters and averages with those that it folded.

    OMP_NUM_THREADS=1 python -m benchmarks.comparison

prints the processor time of a forward pass, and of comparing weight, bias, mean and D with copies, all of them or 64
entries of each: writes through `.data` would show in the values alone. Lower quartiles of 60 interleaved rounds of five
calls each.
"""

import time

import torch

from ndbench.layers import Deconv2d, DeconvLinear
from ndbench.timing import interleaved

CASES = {
    "Deconv2d, 64 to 64, 32 x 32": (lambda: Deconv2d(64, 64, 3, padding=1), (64, 32, 32)),
    "Deconv2d, 256 to 256, 8 x 8": (lambda: Deconv2d(256, 256, 3, padding=1), (256, 8, 8)),
    "DeconvLinear, 512 to 512": (lambda: DeconvLinear(512, 512), (512,)),
}
ENTRIES, ROUNDS, CALLS = 64, 60, 5


def repeated(function):
    """A function that calls another five times."""

    def calls():
        for _ in range(CALLS):
            function()

    return calls


def comparison(tensors):
    """A function that compares these tensors with copies of them."""
    pairs = [(tensor, tensor.clone()) for tensor in tensors]
    return lambda: all(torch.equal(now, then) for now, then in pairs)


@torch.no_grad()
def row(make, shape, samples):
    """Microseconds of forward, of comparing everything, and of comparing some entries."""
    torch.manual_seed(0)
    layer = make()
    layer(torch.randn(64, *shape))
    layer.eval()
    x, sources = torch.randn(samples, *shape), [*layer.parameters(), *layer.averages()]
    some = [source.flatten()[:: max(1, source.numel() // ENTRIES)] for source in sources]
    functions = {"forward": lambda: layer(x), "all": comparison(sources), "some": comparison(some)}
    sides = {name: repeated(function) for name, function in functions.items()}
    found = interleaved(sides, "cpu", ROUNDS, clock=time.process_time)
    return [1e6 * samples.typical / CALLS for samples in found.values()]


def main():
    """Print the table."""
    print("| layer | samples | forward, us | all entries, us | 64 of each, us |\n|---|---|---|---|---|")
    for name, (make, shape) in CASES.items():
        for samples in (16, 1):
            forward, everything, some = row(make, shape, samples)
            print(f"| {name} | {samples} | {forward:.0f} | {everything:.0f} | {some:.1f} |")


if __name__ == "__main__":
    main()
