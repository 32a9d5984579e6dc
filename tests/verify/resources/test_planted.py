"""Kernels with planted faults, compiled: the right gate fails, and on which target."""

import pytest

from ndbench.verify.resources.compilation import Job
from ndbench.verify.resources.survey import judge
from ndbench.verify.resources.targets import target_named
from ndbench.verify.resources.workers import run
from tests.verify.resources import planted

pytestmark = planted.NEEDS_COMPILER

WRONG = [
    (planted.SPILLING, "sm_90", {"no-spills-in-loops", "small-stack"}),
    (planted.JOINED, "sm_100", {"no-lost-digits"}),
    (planted.MISLABELLED, "sm_90", {"asked-precision", "no-lost-digits"}),
    (planted.ONE_FOR_THREE, "sm_90", {"asked-precision"}),
    (planted.GREEDY, "sm_80", {"shared-memory"}),
    (planted.NO_TENSOR_CORES, "sm_90", {"tensor-cores", "asked-precision"}),
    (planted.NOT_TF32, "sm_90", {"tensor-cores", "asked-precision"}),
    (planted.TRAPPED_NVIDIA, "sm_90", {"no-trap", "enough-instructions"}),
    (planted.TRAPPED_AMD, "gfx942", {"no-trap"}),
    (planted.UNUSED, "sm_90", {"asked-precision", "enough-instructions", "multiplies"}),
    (planted.UNUSED, "gfx950", {"asked-precision", "enough-instructions", "multiplies"}),
    (planted.MISMATCHED, "sm_90", {"compiles"}),
    (planted.UNSUPPORTED, "gfx942", {"compiles"}),
    (planted.HASTY, "sm_90", {"promised-barriers"}),
    (planted.HASTY, "gfx942", {"promised-barriers"}),
]
RIGHT = [
    (planted.RIGHT, "sm_90"),
    (planted.RIGHT, "gfx942"),
    (planted.RIGHT_HALF, "sm_100"),
    (planted.EXACT_DOUBLE, "sm_90"),
    (planted.PATIENT, "sm_90"),
    (planted.PATIENT, "gfx942"),
]


@pytest.fixture(scope="module")
def rows():
    """Every planted variant on its target, by names."""
    pairs = [case[:2] for case in [*WRONG, *RIGHT]]
    outcomes = run(
        [Job.of(variant, target_named(name)) for variant, name in pairs], 2, done=lambda place, outcome: None
    )
    judged = zip(pairs, outcomes, strict=True)
    return {(variant.name, name): judge(variant, target_named(name), outcome) for (variant, name), outcome in judged}


@pytest.mark.parametrize(("variant", "target", "rules"), WRONG, ids=lambda value: getattr(value, "name", None))
def test_planted_faults_fail_their_gates(rows, variant, target, rules):
    row = rows[variant.name, target]
    assert {failure.rule for failure in row.failures} == rules


@pytest.mark.parametrize(("variant", "target"), RIGHT, ids=lambda value: getattr(value, "name", None))
def test_right_kernels_pass(rows, variant, target):
    row = rows[variant.name, target]
    assert row.failures == ()


def test_tensor_memory_is_seen_and_its_guards_are_no_traps(rows):
    figures = rows[planted.RIGHT_HALF.name, "sm_100"].figures
    assert figures.tensor_memory > 0
    assert figures.matrix.keys() == {"f16/bf16"}


def test_barriers_that_the_compiler_adds_are_told_from_those_asked_for(rows):
    for target in ("sm_90", "gfx942"):
        patient, hasty = (rows[variant.name, target].figures for variant in (planted.PATIENT, planted.HASTY))
        assert (patient.asked_barriers, hasty.asked_barriers) == (1, 0)
        assert patient.barriers == hasty.barriers + 1
    products = rows[planted.RIGHT_HALF.name, "sm_100"].figures
    assert products.barriers > products.asked_barriers == 0


def test_the_compilers_message_is_told(rows):
    (mismatched,) = rows[planted.MISMATCHED.name, "sm_90"].failures
    assert "must have equal reduction dimensions" in mismatched.message
    (unsupported,) = rows[planted.UNSUPPORTED.name, "gfx942"].failures
    assert "Unsupported data type" in unsupported.message
