"""Times of the patch covariance by algorithm: `python -m benchmarks.covariance` prints them side by side."""

from functools import partial

import torch

from ndbench import patch_covariance
from ndbench.covariance.choice import fastest
from ndbench.covariance.patches import Patches
from ndbench.timing import interleaved

ALGORITHMS = ("im2col", "lagged", "shifted")
LAYERS = {
    "16x64x32x32 k3": ((16, 64, 32, 32), {"kernel_size": 3, "padding": 1, "block": 64}),
    "16x64x32x32 k3 block 16": ((16, 64, 32, 32), {"kernel_size": 3, "padding": 1, "block": 16}),
    "16x64x32x32 k3 stride 2": ((16, 64, 32, 32), {"kernel_size": 3, "padding": 1, "block": 64, "stride": 2}),
    "16x64x32x32 k3 stride 3": ((16, 64, 32, 32), {"kernel_size": 3, "padding": 1, "block": 64, "stride": 3}),
    "8x64x32x32 k5 block 16": ((8, 64, 32, 32), {"kernel_size": 5, "padding": 2, "block": 16}),
    "64x3x32x32 k7": ((64, 3, 32, 32), {"kernel_size": 7, "padding": 3, "block": 3}),
    "16x512x4x4 k3": ((16, 512, 4, 4), {"kernel_size": 3, "padding": 1, "block": 64}),
    "8x64x56x56 k3 stride 3": ((8, 64, 56, 56), {"kernel_size": 3, "padding": 1, "block": 64, "stride": 3}),
}


def question(layer):
    shape, arguments = LAYERS[layer]
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)), arguments


def compare(rounds=15):
    """Lower quartiles of interleaved rounds, in ms, beside the choice of algorithm="auto", as Markdown."""
    print(f"| layer | {' | '.join(ALGORITHMS)} | auto |\n|---|{'---|' * (len(ALGORITHMS) + 1)}")
    for layer in LAYERS:
        x, arguments = question(layer)
        sides = {algorithm: partial(patch_covariance, x, algorithm=algorithm, **arguments) for algorithm in ALGORITHMS}
        times = [1e3 * samples.typical for samples in interleaved(sides, "cpu", rounds).values()]
        options = dict(arguments)
        chosen = fastest(tuple(x.shape), Patches.of(options.pop("kernel_size"), **options))
        print(f"| {layer} | {' | '.join(f'{t:.1f}' for t in times)} | {chosen} |", flush=True)


if __name__ == "__main__":
    compare()
