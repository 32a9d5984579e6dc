"""Inverse square roots: five Newton-Schulz steps, and eigh, on matrices of condition 1000, float32."""

from . import measurement

CPU = (
    ("newton_schulz-T5-n32-b16", "newton_schulz-T5-n64-b4", "newton_schulz-T5-n288-b1"),
    ("torch", "bmm chain", "eigh"),
)
CUDA = (
    ("newton_schulz-T5-n32-b1024", "newton_schulz-T5-n64-b1024", "newton_schulz-T5-n576-b1"),
    ("torch", "triton ieee", "triton tf32x3"),
)


def setup_cache():
    return measurement.figures("forward", cpu=CPU, cuda=CUDA)


Timing, TimingOnGPU, Figures, FiguresOnGPU = measurement.benchmarks(CPU, CUDA)
