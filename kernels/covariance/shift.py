"""A shift for each channel, near its mean, from a sparse sample of its pixels.

A covariance does not depend on what is subtracted from a channel, but its rounding errors do: with a shift s they are
u (1 + d^2) times the variance, d = (s - mean) / deviation. The mean of n of M pixels has d^2 <= M / n whatever the
pixels are, by Cauchy and Schwarz, and about 1 / n if they are sampled as if at random; all M pixels have d = 0.
"""

from collections.abc import Iterator

import torch
import triton.language as tl
from torch import Tensor

from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import TRITON_TYPES, Configuration, Variant

SAMPLES = 1021
"""At most so many pixels of a channel are read. A prime, so that equal steps do not fall into step with rows."""
BLOCK = 1024


@specialized_on()
def sampled_means(
    X,
    means,
    pixels: tl.int64,
    samples,
    area,
    width,
    stride_n: tl.int64,
    stride_c: tl.int64,
    stride_h: tl.int64,
    stride_w: tl.int64,
    BLOCK: tl.constexpr,
):
    """One channel a program: the mean of pixels i M // n in the order (image, row, column); means is (C,)."""
    channel = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, BLOCK)
    taken = i < samples
    at = i.to(tl.int64) * pixels // samples
    image, rest = at // area, at % area
    # 64-bit: strides times indices may pass 2**31
    offset = image * stride_n + channel * stride_c + rest // width * stride_h + rest % width * stride_w
    values = tl.load(X + offset, mask=taken, other=0).to(tl.float64)
    tl.store(means + channel, (tl.sum(values) / samples).to(tl.float32))


CONFIGURATION = Configuration({"BLOCK": BLOCK}, warps=4)


def sampled_shift(x: Tensor) -> Tensor:
    """S of every channel, (C,) in float32; x (N, C, H, W) of any strides."""
    images, channels, height, width = x.shape
    pixels = images * height * width
    means = torch.empty(channels, dtype=torch.float32, device=x.device)
    sampled_means[(channels,)](
        x, means, pixels, min(pixels, SAMPLES), height * width, width, *x.stride(), **CONFIGURATION.options()
    )
    return means


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    for element in (TRITON_TYPES[dtype] for dtype in (torch.float32, torch.float16, torch.bfloat16)):
        signature = {
            "X": f"*{element}",
            "means": "*fp32",
            "pixels": "i64",
            "samples": "i32",
            "area": "i32",
            "width": "i32",
            **dict.fromkeys(("stride_n", "stride_c", "stride_h", "stride_w"), "i64"),
        }
        yield Variant(
            f"covariance.shift/{element}", sampled_means, signature, CONFIGURATION, precision="ieee", products=False
        )
