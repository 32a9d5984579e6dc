from dataclasses import replace

import pytest
import triton.language as tl

from ndbench.kernels.variant import Configuration, Variant
from ndbench.verify.resources.figures import Figures
from ndbench.verify.resources.gates import RULES, Compiled, failures
from ndbench.verify.resources.targets import TARGETS, target_named

FIGURES = Figures(
    registers=128,
    stack=0,
    spill_loads=0,
    spill_stores=0,
    spills_in_loops=0,
    shared=1024,
    instructions=500,
    multiply_adds=64,
    matrix={},
    traps=0,
    asked={"ieee": 1},
    lowered=1,
)


def compiled(
    precision="ieee",
    target="sm_90",
    *,
    warps=4,
    products=True,
    element="fp32",
    operand=tl.float32,
    promised=0,
    **changes,
):
    chosen = Configuration({"OPERAND": operand}, warps)
    variant = Variant("planted", None, {"A": f"*{element}"}, chosen, precision, products, barriers=promised)
    return Compiled(variant, target_named(target), replace(FIGURES, **changes))


RIGHT = [
    compiled(),
    compiled(target="gfx942", matrix={"f32": 8}),
    compiled(target="sm_90", matrix={"f64": 8}),
    compiled("tf32", asked={"tf32": 1}, matrix={"tf32": 8}),
    compiled("tf32x3", asked={"tf32x3": 2}, lowered=6, matrix={"tf32": 24}),
    compiled("half", element="fp16", asked={}, matrix={"f16": 8}),
    compiled("half", element="bf16", asked={}, matrix={"bf16": 8}),
    compiled("half", element="bf16", target="sm_100", asked={}, matrix={"f16/bf16": 8}, tensor_memory=512),
    compiled("half", operand=tl.bfloat16, asked={}, matrix={"bf16": 8}),
    compiled(products=False, asked={}, multiply_adds=0),
    compiled(spill_loads=9, spill_stores=9, stack=256),
    *(compiled(target=target.name, shared=target.shared_memory) for target in TARGETS),
    compiled(warps=16),
    compiled(target="gfx942", warps=16),
    compiled(barriers=9),
    compiled(promised=2, asked_barriers=2, barriers=2),
    compiled(promised=2, asked_barriers=2, barriers=9),
]
WRONG = {
    "no-spills-in-loops": [compiled(spills_in_loops=1)],
    "small-stack": [compiled(stack=260)],
    "shared-memory": [compiled(target=target.name, shared=target.shared_memory + 1) for target in TARGETS],
    "tensor-memory": [compiled(target="sm_100", tensor_memory=513), compiled(tensor_memory=1)],
    "register-file": [
        compiled(warps=17),
        compiled(registers=255, warps=9),
        compiled(target="gfx942", registers=129, warps=16),
    ],
    "asked-precision": [
        compiled(asked={}),
        compiled(asked={"tf32": 1}),
        compiled(asked={"ieee": 1, "tf32x3": 1}, lowered=4),
        compiled("tf32x3", asked={"tf32": 1}, matrix={"tf32": 8}),
        compiled("half", element="fp16", asked={"tf32": 1}, matrix={"f16": 8}),
    ],
    "threefold": [compiled("tf32x3", asked={"tf32x3": 2}, lowered=5, matrix={"tf32": 24})],
    "tensor-cores": [
        compiled("tf32", asked={"tf32": 1}),
        compiled("half", element="fp16", asked={}),
        compiled("half", element="bf16", asked={}, matrix={"f32": 8}),
    ],
    "no-lost-digits": [
        compiled(matrix={"tf32": 8}),
        compiled(matrix={"f32": 8, "f16/bf16": 8}),
        compiled(target="gfx942", matrix={"f32": 8, "tf32": 1}),
        compiled(matrix={"unknown": 8}),
        compiled("tf32", asked={"tf32": 1}, matrix={"tf32": 8, "bf16": 1}),
        compiled("half", element="fp16", asked={}, matrix={"f16": 8, "bf16": 1}),
        compiled("half", operand=tl.float16, asked={}, matrix={"f16": 8, "bf16": 1}),
    ],
    "no-trap": [compiled(traps=1)],
    "promised-barriers": [
        compiled(promised=2, barriers=9),
        compiled(promised=2, asked_barriers=1, barriers=9),
        compiled(promised=2, asked_barriers=2, barriers=1),
        compiled(asked_barriers=1, barriers=1),
    ],
    "enough-instructions": [compiled(instructions=31)],
    "multiplies": [compiled(multiply_adds=0)],
}


@pytest.mark.parametrize("right", RIGHT, ids=str)
def test_right_figures_pass(right):
    assert failures(right) == ()


@pytest.mark.parametrize(("rule", "wrong"), [(rule, wrong) for rule, cases in WRONG.items() for wrong in cases])
def test_each_rule_fails_alone(rule, wrong):
    (failure,) = failures(wrong)
    assert failure.rule == rule
    assert failure.message


def test_every_rule_is_shown_to_fail_and_gives_its_reason():
    assert set(WRONG) == {rule.__name__.replace("_", "-") for rule in RULES}
    assert all(rule.__doc__ for rule in RULES)
