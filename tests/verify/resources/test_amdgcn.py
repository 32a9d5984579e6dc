import pytest

from ndbench.verify.resources import amdgcn
from ndbench.verify.resources.loops import in_loops

# what LLVM prints for gfx942, cut down: a loop that spills, a block behind the end that jumps back, metadata
LISTING = """
	.text
	.globl	steps                           ; -- Begin function steps
	.p2align	8
steps:                                  ; @steps
.Lfunc_begin0:
	.cfi_startproc
; %bb.42:
	.loc	1 25 0 prologue_end             ; small.py:25:0
	s_load_dwordx2 s[2:3], s[0:1], 0x0
	s_waitcnt lgkmcnt(0)
	scratch_store_dwordx2 off, v[2:3], off  ; 8-byte Folded Spill
.LBB0_1:                                ; =>This Inner Loop Header: Depth=1
	scratch_load_dword v5, off, off offset:4 ; 4-byte Folded Reload
	v_mfma_f32_32x32x2_f32 a[0:15], v4, v5, a[0:15]
	v_fmac_f32_e32 v1, v2, v3
	v_pk_fma_f32 v[8:9], v[4:5], v[6:7], v[8:9]
	s_nop 1
	s_cbranch_scc1 .LBB0_1
	s_cbranch_execz .LBB0_3
.LBB0_2:
	s_endpgm
.LBB0_3:
	scratch_load_dword v7, off, off offset:12 ; 4-byte Folded Reload
	s_branch .LBB0_2
.Lfunc_end0:
	.size	steps, .Lfunc_end0-steps
	.section	.AMDGPU.csdata,"",@progbits
; codeLenInByte = 7964
	.amdgpu_metadata
---
amdhsa.kernels:
  - .agpr_count:     16
    .args:
      - .address_space:  global
        .offset:         0
        .size:           8
    .group_segment_fixed_size: 0
    .private_segment_fixed_size: 24
    .sgpr_count:     96
    .sgpr_spill_count: 3
    .vgpr_count:     118
    .vgpr_spill_count: 6
    .wavefront_size: 64
"""


def program_of(*lines):
    """A listing of these instructions."""
    return amdgcn.parse("kernel:\n" + "".join(f"\t{line}\n" for line in lines) + ".Lfunc_end0:\n")


def test_usage():
    used = amdgcn.usage(LISTING)
    wanted = {"vgpr_count": 118, "agpr_count": 16, "sgpr_spill_count": 3, "private_segment_fixed_size": 24}
    assert {name: used[name] for name in wanted} == wanted


def test_directives_comments_and_padding_are_no_instructions():
    program = amdgcn.parse(LISTING)
    assert len(program) == 12
    assert program[2].opcode == "scratch_store_dwordx2"


def test_spills_inside_and_outside_of_the_loop():
    program = amdgcn.parse(LISTING)
    assert in_loops(program) == {3, 4, 5, 6, 7}
    assert amdgcn.spills(program) == (2, 1, 1)


def test_multiply_adds_on_pairs_count_two_and_matrix_instructions_do_not_count():
    assert amdgcn.multiply_adds(amdgcn.parse(LISTING)) == 3


@pytest.mark.parametrize(
    ("opcode", "kind"),
    [
        ("v_mfma_f32_32x32x2_f32", "f32"),
        ("v_mfma_f32_32x32x1_2b_f32", "f32"),
        ("v_mfma_f32_16x16x8_xf32", "tf32"),
        ("v_mfma_f32_32x32x8_f16", "f16"),
        ("v_mfma_f32_32x32x16_bf16", "bf16"),
        ("v_mfma_f32_32x32x4bf16_1k", "unknown"),
        ("v_mfma_f32_16x16x4_4b_bf16_1k", "bf16"),
        ("v_smfmac_f32_16x16x32_bf16", "bf16"),
        ("v_mfma_f64_16x16x4_f64", "f64"),
        ("v_mfma_f32_16x16x32_fp8_fp8", "unknown"),
        ("v_mfma_i32_32x32x16_i8", "unknown"),
    ],
)
def test_matrix_instructions(opcode, kind):
    assert amdgcn.matrix_kinds(program_of(f"{opcode} v[0:3], v4, v5, v[0:3]", "s_endpgm")) == {kind: 1}


def test_traps():
    assert amdgcn.traps(program_of("s_trap 2", "s_endpgm")) == 1
    assert amdgcn.traps(amdgcn.parse(LISTING)) == 0


def test_barriers_of_a_program():
    assert amdgcn.barriers(program_of("s_waitcnt lgkmcnt(0)", "s_barrier", "s_endpgm")) == 1
