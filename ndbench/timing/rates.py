"""How often a comparison is wrong: `python -m ndbench.timing.rates` measures it.

On synthetic samples with a known ratio, and on real calls: the same function timed twice in interleaved rounds, and one
that does a tenth more of the same work. A false alarm is a verdict "faster" or "slower" on equals. Rows marked "wrong"
show what the timer avoids: rounds in a fixed order with a neighbour that empties the caches, and two runs one after the
other. The exit status is 1 if another row of equals has 2 % of false alarms, or 5 % of synthetic slowdowns by a
tenth are missed.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from ndbench.timing.comparison import Comparison, Outcome, compare
from ndbench.timing.rounds import Function, by_the_clock, interleaved
from ndbench.timing.samples import Samples
from ndbench.timing.synthetic import NOISES, Noise, pair

Compare = Callable[[Samples, Samples], Comparison]
RATIOS = (1.0, 1.05, 1.1)
DETECTED = 0.95
"""Of synthetic slowdowns by a tenth, at least."""
WORK = 10
"""Repeats of the work that is timed; one more is a slowdown by a tenth."""


def synthetic(
    noise: Noise, ratio: float, cases: int = 200, *, together: bool = True, by: Compare = compare
) -> Counter[Outcome]:
    """Count the verdicts on synthetic pairs with this true ratio, 30 independent samples each or as many as tell that.

    Example:
        >>> synthetic(NOISES[0], 1.1, cases=20)
        Counter({<Outcome.SLOWER: 'slower'>: 20})
    """
    pairs = (pair(noise, ratio, seed, noise.samples, together=together) for seed in range(cases))
    return Counter(by(base, head).verdict for base, head in pairs)


def real(
    work: Callable[[], object], pairs: int, device: str, *, repeats: int = WORK, rounds: int = 30
) -> Counter[Outcome]:
    """Count the verdicts on real pairs: `work` done ten times and `repeats` times, in interleaved rounds."""
    functions = {"base": partial(_repeated, work, WORK), "head": partial(_repeated, work, repeats)}
    found: Counter[Outcome] = Counter()
    for _ in range(pairs):
        samples = interleaved(functions, device, rounds)
        found[compare(samples["base"], samples["head"]).verdict] += 1
    return found


def one_after_the_other(work: Callable[[], object], pairs: int, device: str, rounds: int = 30) -> Counter[Outcome]:
    """Count the verdicts on pairs of runs of the same work, the second begun when the first has ended."""
    run = partial(interleaved, {"work": partial(_repeated, work, WORK)}, device, rounds)
    return Counter(compare(run()["work"], run()["work"]).verdict for _ in range(pairs))


def beside_a_neighbour(pairs: int, times: Callable[[Mapping[str, Function]], dict[str, Samples]]) -> Counter[Outcome]:
    """Count the verdicts on a copy of 1.2 MB and itself, with one of 16 MB taking turns between them, on a CPU."""
    x, large = torch.ones(300_000), torch.ones(4_000_000)
    y, elsewhere = torch.empty_like(x), torch.empty_like(large)
    copy = partial(y.copy_, x)
    functions: dict[str, Function] = {"one": copy, "neighbour": partial(elsewhere.copy_, large), "again": copy}
    found: Counter[Outcome] = Counter()
    for _ in range(pairs):
        samples = times(functions)
        found[compare(samples["one"], samples["again"]).verdict] += 1
    return found


def in_a_fixed_order(functions: Mapping[str, Function], rounds: int = 30) -> dict[str, Samples]:
    """Times as no comparison should take them."""
    found: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            found[name].append(by_the_clock(function))
    return {name: Samples(tuple(seconds), rounds="fixed") for name, seconds in found.items()}


def false_alarms(counts: Counter[Outcome]) -> float:
    """The share of "faster" and "slower"."""
    return (counts[Outcome.FASTER] + counts[Outcome.SLOWER]) / counts.total()


def works(device: str) -> dict[str, Callable[[], Tensor]]:
    """What is timed for real: small products, bound by arithmetic and launches, and a copy, bound by memory."""
    rng = torch.Generator().manual_seed(0)
    A, x = (torch.randn(shape, generator=rng).to(device) for shape in ((96, 96), (300_000,)))
    y = torch.empty_like(x)
    return {"products of order 96": lambda: A @ A, "copies of 1.2 MB": lambda: y.copy_(x)}


def _repeated(work: Callable[[], object], times: int) -> None:
    for _ in range(times):
        work()


def heading() -> str:
    """The head of the table in Markdown."""
    return f"| samples | true ratio | pairs | {' | '.join(Outcome)} |\n|---|---|---|{'---|' * len(Outcome)}"


def line(samples: str, ratio: str, counts: Counter[Outcome]) -> str:
    """What was compared, the true ratio, and the share of each verdict.

    Example:
        >>> line("some", "1.00", Counter({Outcome.SAME: 3, Outcome.SLOWER: 1}))
        '| some | 1.00 | 4 | 0.0% | 75.0% | 25.0% | 0.0% |'
    """
    shares = (f"{counts[outcome] / counts.total():.1%}" for outcome in Outcome)
    return f"| {samples} | {ratio} | {counts.total()} | {' | '.join(shares)} |"


def _measured(pairs: int, device: str) -> Iterable[tuple[str, str, Counter[Outcome]]]:
    for noise in NOISES:
        for together in (True,) if noise.shared else (True, False):
            name = f"{noise.name}, {noise.samples} samples, {'same rounds' if together else 'apart'}"
            for ratio in RATIOS:
                yield name, f"{ratio:.2f}", synthetic(noise, ratio, pairs, together=together)
    for name, work in works(device).items():
        yield f"real, {name}", "1.00", real(work, pairs, device)
        yield f"real, {name}", f"{1 + 1 / WORK:.2f}", real(work, pairs, device, repeats=WORK + 1)
        yield f"wrong: one run after the other, {name}", "1.00", one_after_the_other(work, pairs, device)
    if device == "cpu":
        changing = partial(interleaved, device="cpu")
        yield "real, copies beside a neighbour", "1.00", beside_a_neighbour(pairs, changing)
        yield "wrong: the same in a fixed order", "1.00", beside_a_neighbour(pairs, in_a_fixed_order)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m ndbench.timing.rates", description=__doc__)
    parser.add_argument("--pairs", type=int, default=200, help="comparisons for each row, at least 1")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="of the real calls")
    arguments = parser.parse_args(argv)
    if arguments.pairs < 1:
        parser.error(f"--pairs must be at least 1; got {arguments.pairs}")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device; leave out --device cuda")
    torch.set_num_threads(1)
    print(heading())  # noqa: T201
    failed = False
    for row in _measured(arguments.pairs, arguments.device):
        print(line(*row), flush=True)  # noqa: T201
        failed |= _failed(*row)
    return int(failed)


def _failed(samples: str, ratio: str, counts: Counter[Outcome]) -> bool:
    if samples.startswith("wrong"):
        return False
    if ratio == "1.00":
        return false_alarms(counts) >= 0.02
    synthetic = any(samples.startswith(noise.name) for noise in NOISES)
    return synthetic and ratio == "1.10" and counts[Outcome.SLOWER] < DETECTED * counts.total()


if __name__ == "__main__":
    sys.exit(main())
