import pytest
import torch
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
    product = 2 * 16**3
    assert found == (
        Launch("steps_in_registers", (2, 1, 1), 2 * 6 * product),
        Launch("steps_in_registers", (1, 1, 1), 6 * product),
    )


def test_what_was_hooked_is_as_it_was():
    before = interpreter.GridExecutor.__call__, vars(interpreter.interpreter_builder).copy()
    with pytest.raises(ZeroDivisionError):
        count_dots(lambda: 1 / 0)
    assert before == (interpreter.GridExecutor.__call__, vars(interpreter.interpreter_builder))


def test_an_interpreter_of_another_kind_is_refused(monkeypatch):
    monkeypatch.delattr(interpreter, "GridExecutor")
    with pytest.raises(RuntimeError, match=r"as Triton 3.6 and 3.7 do"):
        count_dots(lambda: None)
