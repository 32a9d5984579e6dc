import pytest
import torch
import triton
import triton.language as tl
from triton.runtime import interpreter

from ndbench.cost.counting import Launch, count_dots
from ndbench.kernels import newton_schulz
from ndbench.kernels.runtime import interpreted
from ndbench.roots.adjoints import Coupled
from ndbench.roots.coefficients import LIMITS

pytestmark = pytest.mark.skipif(not interpreted(), reason="what is executed is counted in the interpreter")


def test_dots_count_launch_by_launch_with_their_padding():
    kernels = newton_schulz.CoupledKernels(Coupled((LIMITS[3],) * 3), "ieee")
    A = torch.eye(5).expand(2, 5, 5)
    found = count_dots(lambda: [kernels.run(A), kernels.run(A[:1])])
    product, matrix, coefficients = 2 * 16**3, 4 * 5**2, 4 * 2 * 3
    # A is read for its norm, and with its transpose
    assert found == (
        Launch("steps_in_registers", (2, 1, 1), 2 * 6 * product, 2 * (3 * matrix + coefficients), 2 * matrix),
        Launch("steps_in_registers", (1, 1, 1), 6 * product, 3 * matrix + coefficients, matrix),
    )


@triton.jit
def take_some(x, y, flags, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    # a number alone, a column of numbers for a tile, bytes, and what no mask holds back
    values = tl.load(x) + tl.load(x + i[:, None], mask=(i < n)[:, None], other=0) + tl.zeros((BLOCK, 4), tl.float16)
    kept = tl.load(flags + i, mask=i < n, other=0) != 0
    tl.store(y + i[:, None] * 4 + tl.arange(0, 4)[None, :], values, mask=kept[:, None])
    tl.store(y + 4 * i, tl.load(y + 4 * i))
    tl.atomic_add(y + i, 1, mask=i < 3)
    tl.atomic_cas(y, tl.full((), 0, tl.int64), tl.full((), 1, tl.int64))


def test_bytes_count_where_masks_let_them_through():
    n, block = 11, 8
    x, y = torch.ones(16, dtype=torch.float16), torch.zeros(64, dtype=torch.int64)
    flags = torch.arange(16) < 5
    (found,) = count_dots(lambda: take_some[(2,)](x, y, flags, n, BLOCK=block))
    atomic = 8 * (3 + 2)
    assert (found.flops, found.loaded) == (0, 2 * (2 + n) + n + 16 * 8 + atomic)
    assert found.stored == 8 * 4 * 5 + 16 * 8 + atomic


def test_what_was_hooked_is_as_it_was():
    before = interpreter.GridExecutor.__call__, vars(interpreter.interpreter_builder).copy()
    with pytest.raises(ZeroDivisionError):
        count_dots(lambda: 1 / 0)
    assert before == (interpreter.GridExecutor.__call__, vars(interpreter.interpreter_builder))


def test_an_interpreter_of_another_kind_is_refused(monkeypatch):
    monkeypatch.delattr(interpreter, "GridExecutor")
    with pytest.raises(RuntimeError, match=r"as Triton 3.6 and 3.7 do"):
        count_dots(lambda: None)


def test_an_interpreter_with_other_loads_is_refused(monkeypatch):
    monkeypatch.delattr(interpreter.InterpreterBuilder, "create_masked_load")
    with pytest.raises(RuntimeError, match="create_masked_load"):
        count_dots(lambda: None)
