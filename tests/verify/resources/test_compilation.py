from dataclasses import replace

import pytest

from ndbench.verify.resources.compilation import Job, asked, figures
from ndbench.verify.resources.targets import target_named
from tests.verify.resources import planted

pytestmark = planted.NEEDS_COMPILER


def compiled(variant, target):
    return figures(Job.of(variant, target_named(target)))


def test_nvidia():
    found = compiled(planted.RIGHT, "sm_80")
    assert 0 < found.registers < 255
    assert found.multiply_adds == 16 * 16 * 16 / 32  # of each of 32 threads
    assert found.asked == {"ieee": 1}
    assert (found.matrix, found.stack, found.traps) == ({}, 0, 0)
    assert found.shared == 2 * 16 * 16 * 4  # both operands


def test_amd():
    found = compiled(planted.RIGHT, "gfx942")
    assert found.matrix.keys() == {"f32"}
    assert 0 < found.registers <= 512
    assert (found.asked, found.stack, found.traps) == ({"ieee": 1}, 0, 0)


def test_two_compilations_agree():
    assert compiled(planted.RIGHT, "sm_90") == compiled(planted.RIGHT, "sm_90")


def test_arguments_that_are_one_become_constants():
    variant = planted.variant(planted.strided, signature={**planted.POINTERS, "stride": "i64"}, N=16, warps=1)
    variant = replace(variant, divisible=("A", "B", "C"))
    general, unit = compiled(variant, "sm_90"), compiled(replace(variant, ones=("stride",)), "sm_90")
    assert unit.instructions < general.instructions


def test_an_argument_without_a_type_is_an_error():
    variant = replace(planted.RIGHT, signature={"A": "*fp32", "B": "*fp32"}, divisible=())
    with pytest.raises(ValueError, match="right: C must have a type or be constant"):
        compiled(variant, "sm_90")


def test_products_by_precision():
    # two of float32, one of float16, one of float64, as Triton 3.7.1 prints them
    ttir = """
    %5 = tt.dot %3, %4, %0, inputPrecision = tf32 : tensor<16x16xf32> * tensor<16x16xf32> -> tensor<16x16xf32> loc(#1)
    %6 = tt.dot %3, %4, %5 : tensor<2x16x16xf32> * tensor<2x16x16xf32> -> tensor<2x16x16xf32> loc(#loc2)
    %7 = tt.dot %1, %2, %0 : tensor<16x16xf16> * tensor<16x16xf16> -> tensor<16x16xf32> loc(#loc2)
    %8 = tt.dot %1, %2, %0, inputPrecision = tf32 : tensor<16x16xf64> * tensor<16x16xf64> -> tensor<16x16xf64>
    """
    assert asked(ttir) == {"tf32": 1, "ieee": 1}
