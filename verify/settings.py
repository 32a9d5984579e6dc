"""PyTorch's settings while implementations are judged."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def exact_convolutions() -> Iterator[None]:
    """Convolutions of float32 in float32 on a GPU too, and the same bits every time, inside the block.

    By default cuDNN rounds operands to tf32, where products follow `torch.set_float32_matmul_precision`, whose default
    is float32; and it may take algorithms that add up in any order.

    Example:
        >>> with exact_convolutions():
        ...     torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
        (False, True)
    """
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark
    cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = False, True, False
    try:
        yield
    finally:
        cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = before
