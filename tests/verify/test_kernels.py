"""Checks of kernels, shown to fail on functions that are not the same every time, or at every address."""

from contextlib import nullcontext
from dataclasses import replace
from typing import ClassVar

import pytest
import torch

from ndbench.catalog import CATALOG
from ndbench.verify import kernels
from ndbench.verify.kernels import IMAGES, MATRICES, is_kernel
from ndbench.verify.verdict import NotRun

ROOT = next(i for i in CATALOG if i.name == "newton_schulz.T5")
COVARIANCE = next(i for i in CATALOG if i.name == "lagged")


def wrong(right, tamper):
    """The implementation with tamper(input) in the place of its input, checked or not."""

    def tampered(function):
        return function and (lambda x, *rest, **how: function(tamper(x), *rest, **how))

    return replace(right, function=tampered(right.function), unchecked=tampered(right.unchecked))


def noisy(x):
    return x * (1 + 1e-3 * torch.rand(()))


def near(x):
    """What offsets of 32 bits read: 2^31 elements on is the beginning again."""
    offset = (x.stride(0) + 2**31) % 2**32 - 2**31
    # detached, for autograd would fill the whole storage
    return x.detach().as_strided(x.shape, (max(offset, 0), *x.stride()[1:])) + 0 * x


CASES = [(ROOT, MATRICES[0]), (COVARIANCE, IMAGES[0])]
every_operation = pytest.mark.parametrize(("right", "problem"), CASES, ids=["root", "covariance"])


@pytest.fixture
def lazy_memory(monkeypatch):
    """Do not fill 8 GiB with NaN: untouched pages then take no memory."""
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)


@every_operation
@pytest.mark.parametrize("judge", [kernels.repeatability, kernels.offsets])
def test_right_code_has_the_same_bits(right, problem, judge, lazy_memory):
    assert judge(right, problem).measured == 0


@every_operation
def test_noise_is_not_repeatable(right, problem):
    assert kernels.repeatability(wrong(right, noisy), problem).measured > 0


@every_operation
def test_offsets_of_32_bits_are_caught(right, problem, lazy_memory):
    assert kernels.offsets(wrong(right, near), problem).measured > 0


@every_operation
def test_streams_need_a_gpu(right, problem):
    with pytest.raises(NotRun, match="streams exist on a GPU only"):
        kernels.streams(replace(right, devices=("interpreter",)), problem)


class OneStream:
    """Streams and events of a device that has none, in the order in which they are used."""

    used: ClassVar = []

    def __getattr__(self, name):
        return lambda *event: self.used.append(name) or self


@every_operation
def test_streams_start_together_and_wait_for_no_values(right, problem, monkeypatch):
    for name in ("Stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, OneStream)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: OneStream.used.append("synchronize"))
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: OneStream.used.append("sleep"))
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    posed = kernels.posed
    monkeypatch.setattr(kernels, "posed", lambda i, p: posed(replace(i, devices=("cpu",)), p))
    OneStream.used = []
    checked = replace(right, devices=("cuda",), function=None) if right.unchecked else replace(right, devices=("cuda",))
    assert kernels.streams(checked, problem).measured == 0
    one_round = ["sleep", "record_event", *["wait_event"] * kernels.STREAMS, "synchronize"]
    assert OneStream.used == ["synchronize", *one_round * kernels.ROUNDS]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every_operation
def test_a_buffer_that_streams_share_is_caught(right, problem):
    shared = {}

    def through_a_buffer(x):
        buffer = shared.setdefault(x.shape, torch.empty_like(x))
        return buffer.copy_(x.detach()) + (x - x.detach())

    gpu = replace(wrong(right, through_a_buffer), devices=("cuda",))
    assert kernels.streams(gpu, problem).measured > 0
    assert kernels.streams(replace(right, devices=("cuda",)), problem).measured == 0


def test_not_a_number_differs_from_itself():
    x = torch.tensor([1.0, torch.nan])
    assert kernels.different((x,), (x,)) == 1


def test_kernels_are_what_triton_interprets():
    assert {i.name for i in CATALOG if is_kernel(i)} == {i.name for i in CATALOG if ".triton." in i.name}
