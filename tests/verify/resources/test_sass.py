import pytest

from ndbench.verify.resources import sass
from ndbench.verify.resources.loops import in_loops

# what cuobjdump -sass prints, cut down: a loop with a spill, a call out of it, a block moved behind the end
LOOP = """
	code for sm_90a
		Function : steps
	.headerflags	@"EF_CUDA_TEXMODE_UNIFIED EF_CUDA_64BIT_ADDRESS EF_CUDA_SM90"
        /*0000*/                   LDC R1, c[0x0][0x28] ;                  /* 0x00000a00ff017b82 */
                                                                           /* 0x000e220000000800 */
        /*0010*/                   STL.64 [R1+0x8], R8 ;                   /* 0x0000080801007387 */
                                                                           /* 0x000e220000000800 */
        /*0020*/                   BSSY.RECONVERGENT B0, 0x80 ;            /* 0x0000000000007945 */
        /*0030*/              @!P5 BRA 0xc0 ;                              /* 0x000000000028d947 */
        /*0040*/                   LDL.LU.64 R6, [R1+0x8] ;                /* 0x0000000001067983 */
        /*0050*/                   FFMA R4, R6, R5, R4 ;                   /* 0x0000000506047223 */
        /*0060*/               @P6 CALL.REL.NOINC 0xf0 ;                   /* 0x0000000000007944 */
        /*0070*/                   BSYNC.RECONVERGENT B0 ;                 /* 0x0000000000007941 */
        /*0080*/               @P6 BRA P5, 0x30 ;                          /* 0x0000000000206947 */
        /*0090*/                   LDL R7, [R1+0xc] ;                      /* 0x0000000001077983 */
        /*00a0*/                   HFMA2.MMA R36, -RZ, RZ, 0, 0 ;          /* 0x00000000ff247435 */
        /*00b0*/                   EXIT ;                                  /* 0x000000000000794d */
        /*00c0*/                   NOP ;                                   /* 0x0000000000007918 */
        /*00d0*/                   STL [R1+0x10], R8 ;                     /* 0x0000100801007387 */
        /*00e0*/                   BRA 0x90 ;                              /* 0xfffffffc00fc7947 */
        /*00f0*/                   STL [R1+0x14], R8 ;                     /* 0x0000140801007387 */
        /*0100*/                   RET.REL.NODEC R2 0x0 ;                  /* 0x0000000002007950 */
        /*0110*/                   BRA 0x110;                              /* 0xfffffffc00fc7947 */
        /*0120*/                   NOP;                                    /* 0x0000000000007918 */
"""
USAGE = """
Resource usage:
 Common:
  GLOBAL:0
 Function steps:
  REG:236 STACK:48 SHARED:1024 LOCAL:0 CONSTANT[0]:424 TEXTURE:0 SURFACE:0 SAMPLER:0
"""


def program_of(*lines):
    """A listing of these instructions."""
    numbered = (f"        /*{16 * k:04x}*/                   {line} ;   /* 0x0 */\n" for k, line in enumerate(lines))
    return sass.parse("\t\tFunction : kernel\n" + "".join(numbered))


def test_usage():
    used = sass.usage(USAGE)
    assert (used["REG"], used["STACK"], used["SHARED"]) == (236, 48, 1024)


def test_every_line_is_an_instruction_and_padding_is_not_counted():
    program = sass.parse(LOOP)
    assert [i.opcode for i in program[:4]] == ["LDC", "STL.64", "BSSY.RECONVERGENT", "BRA"]
    assert (len(program), sass.size(program)) == (19, 17)


def test_spills_inside_and_outside_of_the_loop():
    program = sass.parse(LOOP)
    assert in_loops(program) == {*range(0x3, 0x9), 0xF, 0x10, 0x11}
    # inside: the load at 40 and the store at f0, in the subroutine; not 10, nor 90, nor d0, which jumps back
    assert sass.spills(program) == (2, 3, 2)


def test_a_branch_to_padding_keeps_its_place():
    assert sass.parse(LOOP)[3].targets == (0xC,)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("HMMA.1688.F32.TF32 R4, R8, R2, R4", "tf32"),
        ("HMMA.16816.F32 R4, R8, R2, R4", "f16"),
        ("HMMA.16816.F32.BF16 R4, R8, R2, R4", "bf16"),
        ("HGMMA.64x64x8.F32.TF32 R24, gdesc[UR8], R24, gsb0", "tf32"),
        ("HGMMA.64x64x16.F32 R24, gdesc[UR8], R24, gsb0", "f16"),
        ("HGMMA.64x64x16.F32.BF16 R24, gdesc[UR8], R24, gsb0", "bf16"),
        ("DMMA.8x8x4 R4, R8, R2, R4", "f64"),
        ("QGMMA.64x64x32.F32.E4M3.E4M3 R24, gdesc[UR8], R24, gsb0", "unknown"),
        ("IMMA.16832.S8.S8 R4, R8, R2, R4", "unknown"),
    ],
)
def test_matrix_instructions(line, kind):
    assert sass.matrix_kinds(program_of(line, line, "EXIT"), ptx="") == {kind: 2}


@pytest.mark.parametrize(("kind", "told"), [("tf32", "tf32"), ("f16", "f16/bf16"), ("f8f6f4", "unknown")])
def test_the_fifth_generation_is_told_by_ptx(kind, told):
    program = program_of("UTCHMMA gdesc[UR6], gdesc[UR8], tmem[UR10], tmem[UR46], idesc[UR47], UPT", "EXIT")
    ptx = f"@p tcgen05.mma.cta_group::1.kind::{kind} [ %r1 + 0 ], %rd2, %rd3, %r4, p;"
    assert sass.matrix_kinds(program, ptx) == {told: 1}
    assert sass.matrix_kinds(program, "") == {"unknown": 1}


def test_moves_on_the_half_precision_pipe_are_no_matrix_instructions_and_no_multiply_adds():
    program = program_of("HFMA2.MMA R36, -RZ, RZ, 0, 0", "HFMA2 R5, -RZ, RZ, 0, 5.9e-08", "EXIT")
    assert sass.matrix_kinds(program, "") == {}
    assert sass.multiply_adds(program) == 0


def test_multiply_adds_on_pairs_count_two():
    program = program_of("FFMA R1, R2, R3, R1", "FFMA2 R4, R6.F32x2.HI_LO, R8, R4", "DFMA R4, R6, R8, R4", "EXIT")
    assert sass.multiply_adds(program) == 4


def test_traps_that_guard_tensor_memory_are_called_and_not_counted():
    guard = program_of("@P0 CALL.REL.NOINC 0x20", "EXIT", "BPT.TRAP 0x1", "RET.REL.NODEC R2 0x0")
    assert sass.traps(guard) == 0
    assert sass.traps(program_of("S2R R0, SR_TID.X", "BPT.TRAP 0x1", "EXIT")) == 1


def test_barriers_of_a_program():
    assert sass.barriers(program_of("BAR.SYNC.DEFER_BLOCKING 0x0", "BAR.ARV 0x1, 0x80", "WARPSYNC 0xff", "EXIT")) == 1


def test_what_the_parser_cannot_follow_is_refused():
    with pytest.raises(ValueError, match="BRX jumps to places"):
        program_of("BRX R2 -0x100", "EXIT")
    with pytest.raises(ValueError, match="must hold one function; got 2"):
        sass.parse(LOOP + LOOP)
