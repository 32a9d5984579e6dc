"""What makes the interpreter quick changes no bit, and ends with its block."""

from contextlib import nullcontext

import pytest
import torch
import triton
import triton.language as tl

from ndbench import inverse_sqrt
from ndbench.kernels.runtime import interpreted
from ndbench.verify.interpretation import overflow_checked, patching_once, quickly

if not interpreted():
    pytest.skip("these are about Triton's interpreter", allow_module_level=True)

from triton.runtime import interpreter
from triton.runtime.errors import InterpreterError


@triton.jit
def add_one(x):
    return x + 1


@triton.jit
def successor(x, y):
    tl.store(y, add_one(add_one(tl.load(x))))


def root_and_gradient(n):
    """By a kernel of several functions, which call each other and the language's own."""
    A = (2 * torch.eye(n) + 0.1 * torch.ones(n, n)).requires_grad_()
    D = inverse_sqrt(A, method="newton_schulz", steps=3, backend="triton", precision="ieee")
    return D.detach(), torch.autograd.grad(D.sum(), A)[0]


@pytest.mark.parametrize("n", [7, 40, 130])
def test_every_bit_is_the_same(n):
    with quickly():
        quick = root_and_gradient(n)
    for found, wanted in zip(quick, root_and_gradient(n), strict=True):
        assert torch.equal(found, wanted)


def test_a_launch_patches_once(monkeypatch):
    patches, patch = [], interpreter._patch_lang
    monkeypatch.setattr(interpreter, "_patch_lang", lambda function: (patches.append(function), patch(function))[1])
    x, y = torch.tensor([40], dtype=torch.int32), torch.zeros(1, dtype=torch.int32)
    successor[(3,)](x, y)
    assert len(patches) == 1 + 3 * 2
    patches.clear()
    with patching_once():
        successor[(3,)](x, y)
        successor[(3,)](x, y)
    assert (len(patches), int(y)) == (2, 42)


@pytest.mark.parametrize("setting", [nullcontext(), overflow_checked(False)], ids=["Triton's own", "unchecked"])
def test_overflow_is_not_reported(setting):
    x, y = torch.tensor([2**31 - 1], dtype=torch.int32), torch.zeros(1, dtype=torch.int32)
    with setting:
        successor[(1,)](x, y)
    assert int(y) == -(2**31) + 1


def test_overflow_is_reported_where_it_is_asked_for():
    x, y = torch.tensor([2**31 - 1], dtype=torch.int32), torch.zeros(1, dtype=torch.int32)
    with overflow_checked(True), pytest.raises(InterpreterError, match="int32 overflow detected"):
        successor[(1,)](x, y)


def test_the_block_ends_with_what_was_there_after_an_error_too():
    def hooked():
        return (
            interpreter._patch_lang,
            interpreter._get_np_dtype,
            interpreter.GridExecutor.__call__,
            interpreter.interpreter_builder.options,
            tl.core.block_type.__init__,
            tl.core.tensor.__init__,
        )

    before = hooked()
    with quickly():
        assert all(now is not then for now, then in zip(hooked(), before, strict=True))
    assert hooked() == before
    with pytest.raises(KeyError), quickly():
        raise KeyError
    assert hooked() == before


def test_types_are_those_that_the_interpreter_finds():
    types = [*map(tl.dtype, ("int1", "int32", "uint64", "fp16", "bf16", "fp32", "fp64"))]
    types += [tl.pointer_type(tl.float32), tl.block_type(tl.float64, [2, 4]), tl.block_type(tl.int8, [2])]
    wanted = [interpreter._get_np_dtype(t) for t in types]
    with quickly():
        assert [interpreter._get_np_dtype(t) for t in types * 2] == wanted * 2


def described(element, shape):
    """All that a type of blocks and a tensor of it say."""
    kind = tl.block_type(element, shape)
    found = tl.core.tensor("handle", kind)
    sizes = [size.value for size in found.shape.values]
    return vars(kind) | {"shape": kind.shape.values}, sizes, found.numel.value, found.dtype, found.handle, found.type


def test_types_and_tensors_are_those_that_triton_makes():
    asked = [(element, shape) for element in (tl.float32, tl.int64, tl.pointer_type(tl.float16)) for shape in SHAPES]
    wanted = [described(*each) for each in asked]
    with quickly():
        assert [described(*each) for each in asked * 2] == wanted * 2
        scalar = tl.core.tensor("handle", tl.float32)
    assert (scalar.shape.values, scalar.numel.value, scalar.dtype) == ([], 1, tl.float32)


SHAPES = ([16], [2, 16], [16, 2], [tl.constexpr(2), 16], tl.core.tuple([4, 8]))


def test_types_that_do_not_exist_are_refused():
    with quickly():
        for _ in range(2):
            with pytest.raises(ValueError, match="power of 2"):
                tl.block_type(tl.float32, [3])


def test_types_are_remembered_as_long_as_there_is_room(monkeypatch):
    monkeypatch.setattr("ndbench.verify.interpretation.MOST_TYPES", 2)
    test_types_and_tensors_are_those_that_triton_makes()
