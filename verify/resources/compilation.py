"""One kernel for one architecture: compiled ahead of time, and read."""

import importlib
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import triton
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from ndbench.kernels.variant import Variant
from ndbench.verify.resources import amdgcn, sass
from ndbench.verify.resources.figures import Figures
from ndbench.verify.resources.targets import Target

ALIGNED = [["tt.divisibility", 16]]
_FLOAT32_PRODUCT = re.compile(r"^.*= tt\.dot .*xf32> \* tensor<.*$", re.MULTILINE)
_PRECISION = re.compile(r"inputPrecision = (\w+)")
_BARRIER = re.compile(r"\b(?:ttg\.barrier all|gpu\.barrier)\b")
"""What Triton 3.7 and 3.6 make of tl.debug_barrier; the barriers of shared memory come later."""
_LOWERED = re.compile(r"(?:tt\.dot|ttng\.warp_group_dot|ttng\.tc_gen5_mma) ")


@dataclass(frozen=True)
class Job:
    """A variant and a target in a form that travels between processes: the kernel by its name."""

    module: str
    kernel: str
    signature: Mapping[str, str]
    constants: Mapping[str, Any]
    warps: int
    stages: int
    divisible: tuple[str, ...]
    target: Target

    @staticmethod
    def of(variant: Variant, target: Target) -> "Job":
        """The job of compiling this variant for this target."""
        function, chosen = variant.kernel.fn, variant.configuration
        return Job(
            function.__module__,
            function.__qualname__,
            {name: kind for name, kind in variant.signature.items() if name not in variant.ones},
            {**chosen.constants, **dict.fromkeys(variant.ones, 1)},
            chosen.warps,
            chosen.stages,
            variant.divisible,
            target,
        )


def figures(job: Job) -> Figures:
    """Compile and read. Whatever the compiler raises passes through."""
    compiled = _compile(job)
    common = {
        "shared": compiled.metadata.shared,
        "asked": asked(compiled.asm["ttir"]),
        "lowered": len(_LOWERED.findall(compiled.asm["ttgir"])),
        "asked_barriers": len(_BARRIER.findall(compiled.asm["ttgir"])),
    }
    if job.target.vendor == "amd":
        return _amd(compiled.asm["amdgcn"], common)
    columns = getattr(compiled.metadata, "tmem_size", None) or 0
    return _nvidia(compiled.asm["cubin"], compiled.asm["ptx"], {**common, "tensor_memory": columns})


def asked(ttir: str) -> dict[str, int]:
    """The products of float32 tiles by the precision asked for; Triton leaves out its own default, "ieee".

    Example:
        >>> asked("%5 = tt.dot %3, %4, %0, inputPrecision = tf32x3 : tensor<16x16xf32> * tensor<16x16xf32> -> ...")
        {'tf32x3': 1}
    """
    found = [_PRECISION.search(line) for line in _FLOAT32_PRODUCT.findall(ttir)]
    return dict(Counter(precision[1] if precision else "ieee" for precision in found))


def _compile(job: Job) -> Any:
    """Triton's compiled kernel."""
    kernel = getattr(importlib.import_module(job.module), job.kernel)
    unknown = [name for name in kernel.arg_names if name not in job.signature and name not in job.constants]
    if unknown:
        raise ValueError(
            f"{job.kernel}: {', '.join(unknown)} must have a type or be constant; the variant tells neither"
        )
    source = ASTSource(
        fn=kernel,
        signature={name: job.signature.get(name, "constexpr") for name in kernel.arg_names},
        constexprs=dict(job.constants),
        attrs={(kernel.arg_names.index(name),): ALIGNED for name in job.divisible},
    )
    target = GPUTarget(job.target.backend, job.target.arch, job.target.warp)
    with knobs.compilation.scope():
        knobs.compilation.disable_line_info = True  # no instruction depends on it, and a third of the time does
        return triton.compile(source, target=target, options={"num_warps": job.warps, "num_stages": job.stages})


def _nvidia(cubin: bytes, ptx: str, common: Mapping[str, Any]) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(cubin)
        used = sass.usage(_cuobjdump("-res-usage", path))
        program = sass.parse(_cuobjdump("-sass", path))
    loads, stores, inside = sass.spills(program)
    return Figures(
        registers=used["REG"],
        stack=used["STACK"],
        spill_loads=loads,
        spill_stores=stores,
        spills_in_loops=inside,
        instructions=sass.size(program),
        multiply_adds=sass.multiply_adds(program),
        matrix=sass.matrix_kinds(program, ptx),
        traps=sass.traps(program),
        barriers=sass.barriers(program),
        **common,
    )


def _cuobjdump(option: str, path: Path) -> str:
    """What the program that Triton's wheel carries prints about a cubin."""
    return subprocess.run(
        [knobs.nvidia.cuobjdump.path, option, str(path)], check=True, capture_output=True, text=True
    ).stdout


def _amd(text: str, common: Mapping[str, Any]) -> Figures:
    used, program = amdgcn.usage(text), amdgcn.parse(text)
    loads, stores, inside = amdgcn.spills(program)
    return Figures(
        registers=used["vgpr_count"],
        accumulators=used["agpr_count"],
        scalar_spills=used["sgpr_spill_count"],
        stack=used["private_segment_fixed_size"],
        spill_loads=loads,
        spill_stores=stores,
        spills_in_loops=inside,
        instructions=len(program),
        multiply_adds=amdgcn.multiply_adds(program),
        matrix=amdgcn.matrix_kinds(program),
        traps=amdgcn.traps(program),
        barriers=amdgcn.barriers(program),
        **common,
    )
