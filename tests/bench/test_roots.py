"""Contenders of the inverse square roots."""

import pytest
import torch

from ndbench.bench.accuracy import Standard
from ndbench.bench.roots import Iteration
from ndbench.bench.workloads import Contender, passes
from ndbench.roots import newton_schulz

HALF = [torch.float16, torch.bfloat16]


def ratio(iteration, contender, direction):
    """Error over what is allowed."""
    workload = iteration.workload()
    x = workload.input("cpu")
    standard = Standard(workload, x)
    found = dict(passes(contender, x))[direction]()
    assert all(y.dtype == iteration.dtype for y in found)
    return standard.error(found, contender, direction) / standard.allowed(contender, direction)


@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
@pytest.mark.parametrize("dtype", HALF)
def test_contenders_in_16_bits_are_right(dtype, direction):
    iteration = Iteration("newton_schulz", 64, 8, dtype=dtype)
    for name, contender in iteration.contenders("cpu").items():
        assert ratio(iteration, contender, direction) < 0.5, name


WRONG = {
    "zeros": torch.zeros_like,
    "twice as large": lambda A: 2 * newton_schulz(A, 5),
    "the first of the batch": lambda A: newton_schulz(A[:1], 5).expand_as(A),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("dtype", HALF)
def test_wrong_roots_in_16_bits_are_wrong(dtype, wrong):
    iteration = Iteration("newton_schulz", 64, 8, dtype=dtype)
    assert not ratio(iteration, Contender(lambda A: (wrong(A),)), "forward") <= 1


@pytest.mark.parametrize("dtype", HALF)
def test_matrices_in_16_bits_keep_positive_eigenvalues(dtype):
    A = Iteration("newton_schulz", 64, 1024, dtype=dtype).matrices("cpu")
    assert (A.dtype, A.shape) == (dtype, (1024, 64, 64))
    assert torch.linalg.eigvalsh(A.double()).min() > 0


def test_bytes_are_those_of_the_type():
    single, half = (Iteration("newton_schulz", 8, 2, dtype=dtype).workload() for dtype in (torch.float32, HALF[0]))
    assert (single.bytes, half.bytes) == (2 * 4 * 128, 2 * 2 * 128)
    assert (single.name, half.name) == ("newton_schulz-T5-n8-b2", "newton_schulz-T5-float16-n8-b2")
