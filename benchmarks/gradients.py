"""Time, memory and error of inverse square roots with their gradients.

`python -m benchmarks.gradients` compares the adjoints with autograd through the plain loop of 3T products. Time is
forward plus backward, the lower quartile of interleaved rounds. Peak extra memory is taken from PyTorch's
record of its CPU allocations, in the same process: the largest sum of what the call has allocated and not yet freed,
LAPACK's workspaces included, from before the forward to after the backward pass; A and the upstream gradient exist
before. What BLAS packs internally is invisible there, on both sides alike.
"""

import argparse
from functools import partial

import torch

from ndbench import inverse_sqrt
from ndbench.cost.counting import peak_memory
from ndbench.problems import MatrixProblem
from ndbench.timing import interleaved

STEPS = 5
SIDES = ("plain", "autograd", "reverse", "eigenbasis")


def plain_loop(A, steps=STEPS):
    """The recurrence as printed, all 3T products."""
    eye = torch.eye(A.shape[-1], dtype=A.dtype)
    c = torch.linalg.matrix_norm(A, keepdim=True)
    Y, Z = A / c, eye
    for _ in range(steps):
        S = (3 * eye - Z @ Y) / 2
        Y, Z = Y @ S, S @ Z
    return Z / c.sqrt()


def side(name, steps=STEPS):
    """A -> D with the gradient of that name."""
    if name == "plain":
        return partial(plain_loop, steps=steps)
    return partial(inverse_sqrt, steps=steps, check=False, adjoint=name)


def question(n, dtype=torch.float32):
    A = MatrixProblem("geometric", n, 1e3, batch=1, dtype=dtype).matrices()[0]
    G = torch.randn(n, n, generator=torch.Generator().manual_seed(n), dtype=torch.float64).to(dtype)
    return A.requires_grad_(), G


def gradient(function, A, G):
    (found,) = torch.autograd.grad(function(A), A, G)
    return found


def error(function, A, G, steps=STEPS):
    """Of the symmetric part of the gradient, against the plain loop in float64."""
    found = gradient(function, A, G).double()
    exact = gradient(side("plain", steps), A.detach().double().requires_grad_(), G.double())
    found, exact = found + found.mT, exact + exact.mT
    return float(torch.linalg.matrix_norm(found - exact) / torch.linalg.matrix_norm(exact))


def extra_memory(function, A, G):
    return peak_memory(partial(gradient, function, A, G))


def compare(n, dtype, rounds, steps):
    """A table of both resources, and each side's share of the plain loop's."""
    A, G = question(n, dtype)
    functions = {name: side(name, steps) for name in SIDES}
    samples = interleaved({name: partial(gradient, f, A, G) for name, f in functions.items()}, "cpu", rounds)
    times = {name: 1e3 * found.typical for name, found in samples.items()}
    memory = {name: extra_memory(function, A, G) / 2**20 for name, function in functions.items()}
    print(f"\nn = {n}, T = {steps}, {str(dtype).removeprefix('torch.')}, {torch.get_num_threads()} threads\n")
    print("| gradient | ms | of plain | peak extra MiB | of plain | error |\n|---|---|---|---|---|---|")
    for name, function in functions.items():
        time_share, memory_share = times[name] / times["plain"], memory[name] / memory["plain"]
        resources = f"{times[name]:.1f} | {time_share:.0%} | {memory[name]:.1f} | {memory_share:.0%}"
        print(f"| {name} | {resources} | {error(function, A, G, steps):.1e} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, nargs="+", default=[64, 144, 288, 576])
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--rounds", type=int, default=31, help="at least 15")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for n in arguments.orders:
        compare(n, getattr(torch, arguments.dtype), max(arguments.rounds, 15), arguments.steps)


if __name__ == "__main__":
    main()
